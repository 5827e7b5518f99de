--- The library's modules and the commands, compiled when they were built: a short command spends
--- most of its time on parsing them otherwise. A module whose text has changed since is parsed.
---
--- Called as a chunk by runner.lua, before anything can be required.
local bytecode = {}

-- What one Lua makes of it another does not; a different one must not be handed our code.
local PROBE = [[
local a <const>, b, c <close>, d = 1, ..., nil, { 1, n = 2.5, ... }
for i = a, #d do
  if not (i ~= 3 and b[i] <= "x") then goto continue end
  b[i] = i // 2 | ~i
  ::continue::
end
for k, v in next, d do d[k] = function(...) return d(k, v .. k, ...), -v ^ 2 end end
return d:n()
]]

-- Of the file that `write` writes; that is one megabyte today.
local SIZE_MAX = 4 << 20

local function head()
  return string.pack("<s4", string.dump(assert(load(PROBE, "=probe"))))
end

-- At most so many bytes, in one piece: read "a" takes it in pieces of a kilobyte.
local function read(path, most)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read(most)
  file:close()
  return text
end

--- Compiles the modules beneath a prefix and writes them to a file.
---@param out string the file
---@param prefix string
---@param modules table<string, string> a module's name, and its file beneath the prefix
---@param hash fun(text: string): integer
function bytecode.write(out, prefix, modules, hash)
  local names, parts = {}, { head() }
  for name in pairs(modules) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = modules[name]
    local text = assert(read(prefix .. "/" .. path, "a"))
    local shown = path:match "^.*/([^/]+/[^/]+)$" or path
    local code = string.dump(assert(load(text, "@" .. shown, "t")))
    parts[#parts + 1] = string.pack("<s4s4I4i8s4", name, path, #text, hash(text), code)
  end
  local file = assert(io.open(out, "wb"))
  assert(file:write(table.concat(parts)))
  assert(file:close())
end

local function index_of(all)
  local begin = head()
  if all:sub(1, #begin) ~= begin then return {} end
  local index, at = {}, #begin + 1
  while at <= #all do
    local name, path, text_size, hash, size, from = string.unpack("<s4s4I4i8I4", all, at)
    at = from + size
    index[name] = { path = path, size = text_size, hash = hash, from = from, to = at - 1 }
  end
  return index
end

--- A loader for package.searchers; it finds nothing where there is no such file, or a damaged one.
---@param path string what `write` has written
---@param prefix string
---@param hash fun(text: string): integer
---@return fun(name: string): function|string|nil, string?
function bytecode.searcher(path, prefix, hash)
  local all = read(path, SIZE_MAX)
  local is_whole, index = pcall(index_of, all or "") -- what is cut is left alone
  return function(name)
    local module = is_whole and index[name]
    if not module then return nil end
    local file = prefix .. "/" .. module.path
    local text = read(file, module.size + 1)
    if not text or hash(text) ~= module.hash then return nil end
    local chunk = load(all:sub(module.from, module.to), name, "b")
    return chunk, chunk and file
  end
end

return bytecode
