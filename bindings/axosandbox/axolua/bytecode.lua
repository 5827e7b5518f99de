--- The library's modules, the commands and what they need, compiled when they were built: a short
--- command spends most of its time on parsing them otherwise. A module whose text is another one now
--- is parsed.
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

-- Of the index, which is some twenty kilobytes today.
local INDEX_MAX = 1 << 20

local function head()
  return string.pack("<s4", string.dump(assert(load(PROBE, "=probe"))))
end

-- At most so many bytes, in one piece: read "a", and what is buffered, take it in many.
local function read(path, most)
  local file = io.open(path, "rb")
  if not file then return nil end
  file:setvbuf "no"
  local text = file:read(most)
  file:close()
  return text
end

-- Of a module: its file beneath the prefix, the size and the hash of its text, where its code begins
-- and how long that is.
local ENTRY = "<s4I4i8I4I4"

local function is_elsewhere(path) return path:sub(1, 1) == "/" end

--- Compiles modules and writes them to a file.
---@param out string the file
---@param prefix string
---@param modules table<string, string> a module's name, and its file beneath the prefix; an absolute one is somebody else's, and looked for by package.path when it is wanted
---@param hash fun(text: string): integer
function bytecode.write(out, prefix, modules, hash)
  local names, index, parts, at = {}, {}, {}, 0
  for name in pairs(modules) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local path = modules[name]
    local text = assert(read(is_elsewhere(path) and path or prefix .. "/" .. path, "a"))
    local shown = path:match "^.*/([^/]+/[^/]+)$" or path
    local code = string.dump(assert(load(text, "@" .. shown, "t")))
    local entry = ENTRY:pack(is_elsewhere(path) and "" or path, #text, hash(text), at, #code)
    index[i] = ("[%q]=%q"):format(name, entry)
    parts[i], at = code, at + #code
  end
  local file = assert(io.open(out .. ".new", "wb"))
  index = string.dump(assert(load("return {" .. table.concat(index, ",") .. "}")), true)
  assert(file:write(head(), string.pack("<I4I4", #index, at), index, table.concat(parts)))
  assert(file:close())
  assert(os.rename(out .. ".new", out)) -- whoever has opened the old one goes on reading it
end

-- What is cut, or another Lua's, is left alone.
local function read_index(file)
  local begin = head()
  local from = #begin + 8
  local start = file:read(from)
  if not start or #start < from or start:sub(1, #begin) ~= begin then return nil end
  local size, code_size = string.unpack("<I4I4", start, #begin + 1)
  local is_whole = size <= INDEX_MAX and file:seek "end" == from + size + code_size
  local index = is_whole and file:seek("set", from) and load(file:read(size), "=index", "b")
  if index then return index(), from + size end
end

--- A loader for package.searchers; it finds nothing where there is no such file, or a damaged one.
---@param path string what `write` has written
---@param prefix string
---@param hash fun(text: string): integer
---@return fun(name: string): function|string|nil, string?
function bytecode.searcher(path, prefix, hash)
  local file, index, base = io.open(path, "rb"), nil, nil
  if file then
    index, base = read_index(file)
    file:setvbuf "no"
  end
  return function(name)
    local entry = index and index[name]
    if not entry then return nil end
    local own, text_size, text_hash, from, size = ENTRY:unpack(entry)
    local at = own ~= "" and prefix .. "/" .. own or package.searchpath(name, package.path)
    local text = at and read(at, text_size + 1)
    if not text or hash(text) ~= text_hash then return nil end
    local code = file:seek("set", base + from) and file:read(size)
    local chunk = code and load(code, name, "b")
    return chunk, chunk and at
  end
end

return bytecode
