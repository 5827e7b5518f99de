--- What is found out or made once for all spec files of a run: in the directory that
--- $AXO_TEST_SHARED names, which scripts/test makes and whose images it removes; without one, for
--- this process alone.
local uv = require "luv"
local cjson = require "cjson"
local state = require "spec.support.state"
local temp = require "spec.support.temp"

local shared = {}

--- Whether there is anybody to share with.
function shared.dir() return os.getenv "AXO_TEST_SHARED" end

-- Whoever was first has the say: two that make it at once have two of it, and one is used.
local function keep(path, value)
  local new = ("%s.%d"):format(path, uv.os_getpid())
  temp.write(new, cjson.encode { value })
  uv.fs_link(new, path)
  uv.fs_unlink(new)
end

local function read(path)
  local text = temp.read(path)
  return text and cjson.decode(text)[1]
end

local function from_dir(key, find)
  local path = shared.dir() .. "/" .. key .. ".json"
  local value = read(path)
  if value ~= nil then return value end
  keep(path, find())
  return read(path)
end

--- What `find` returns, asked once: a string, a number, a boolean or a table of them.
---@param key string a file's name
---@param find fun(): any
function shared.once(key, find)
  state.once = state.once or {}
  if state.once[key] == nil then
    state.once[key] = { shared.dir() and from_dir(key, find) or find() }
  end
  return state.once[key][1]
end

--- An image that is about to be made for all of them.
---@param tag string
function shared.will_make(tag)
  local list = assert(io.open(shared.dir() .. "/images", "a"))
  assert(list:write(tag .. "\n"))
  assert(list:close())
end

return shared
