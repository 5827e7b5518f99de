--- Temporary directories and files, removed by the janitor.
local uv = require "luv"
local janitor = require "spec.support.janitor"
local state = require "spec.support.state"

local temp = {}

--- A random part for names, unique to this run and call.
---@return string
function temp.token()
  state.count = (state.count or 0) + 1
  state.run = state.run or ("%x"):format(string.unpack("I4", uv.random(4)))
  return ("%s-%d"):format(state.run, state.count)
end

--- The name that everything of this run begins with.
function temp.run_name()
  temp.token()
  return "axotest-" .. state.run
end

--- A fresh directory that only this user can enter.
---@param name string? its last component
---@return string path
function temp.dir(name)
  local base = janitor.made("dir", "/tmp/axotest-" .. temp.token())
  assert(uv.fs_mkdir(base, tonumber("700", 8)))
  if not name then return base end
  local path = base .. "/" .. name
  assert(uv.fs_mkdir(path, tonumber("755", 8)))
  return path
end

--- The same, kept until this process ends.
---@return string path
function temp.lasting_dir()
  local path = janitor.made("lasting", "/tmp/axotest-" .. temp.token())
  assert(uv.fs_mkdir(path, tonumber("700", 8)))
  return path
end

--- Writes a file, with a mode (octal text) when given.
---@return string path
function temp.write(path, bytes, mode)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
  if mode then assert(uv.fs_chmod(path, tonumber(mode, 8))) end
  return path
end

function temp.read(path)
  local file, err = io.open(path, "rb")
  if not file then return nil, err end
  local bytes = file:read "a"
  file:close()
  return bytes
end

--- Random bytes, every value of a byte among them.
---@return string
function temp.random_bytes(size)
  local parts = {}
  while size > 0 do
    local n = math.min(size, 65536)
    parts[#parts + 1] = uv.random(n)
    size = size - n
  end
  return table.concat(parts)
end

return temp
