--- Loads a policy file, with its parts, and says where it went wrong.
local env = require "axosandbox.policy.env"
local errors = require "axosandbox.base.errors"
local file = require "axosandbox.policy.file"

local policy_load = {}

---@class axo.policy.Layer
---@field fn fun(request: table, default: fun(request: table?): table): table
---@field path string? of a file
---@field files { path: string, real: string }[] the file and its parts; real: without symbolic links
---@field owners table<string, string> chunk name to path, of the same
---@field where string file and line of the function
---@field shipped boolean?

--- The error of a policy that cannot be used.
---@param message string
---@param hint string?
---@param traceback string?
---@return axo.Error
function policy_load.failure(message, hint, traceback)
  return errors.new {
    code = "POLICY", op = "policy", message = message, hint = hint, stderr = traceback,
  }
end

--- Puts the whole path where Lua put a shortened one.
local function with_full_path(message, short, path)
  if short == path then return message end
  local at, stop = message:find(short, 1, true)
  if not at then return message end
  return message:sub(1, at - 1) .. path .. message:sub(stop + 1)
end

--- The error for something that a file did when it ran.
---@param what { value: any, co: thread, traceback: string }
---@param owners table<string, string> chunk name to path, of the files that may be blamed
---@param otherwise string the file and line to name when no frame is known
---@return axo.Error
function policy_load.error_of_run(what, owners, otherwise)
  local value, frame = what.value, env.frame_of(what.co, owners)
  if errors.is_error(value) then return value end
  local message = type(value) == "string" and value or ("raised a " .. type(value))
  if type(value) ~= "string" and type(value) ~= "table" then
    message = message .. ": " .. tostring(value)
  end
  if not frame then
    return policy_load.failure(otherwise .. ": " .. message, nil, what.traceback)
  end
  message = with_full_path(message, frame.short, frame.path)
  if message:sub(1, #frame.path + 1) ~= frame.path .. ":" then
    message = ("%s:%d: %s"):format(frame.path, frame.line, message)
  end
  return policy_load.failure(message, nil, what.traceback)
end

local function problem_of_syntax(problem, chunk_name, path)
  local short = debug.getinfo(load("", chunk_name), "S").short_src
  problem = with_full_path(problem, short, path)
  if problem:sub(1, #path + 1) ~= path .. ":" then problem = path .. ":1: " .. problem end
  return policy_load.failure(problem)
end

--- Reads a file and compiles it, as one of the layer's.
---@return function? chunk nil when it failed, or when there is no such file
---@return axo.Error? err
local function compile(layer, path, globals)
  local text, err, real = file.read(path, { shipped = layer.shipped })
  if not text then return nil, err end
  local chunk_name = "@" .. path
  local chunk, problem = load(text, chunk_name, "t", globals)
  if not chunk then return nil, problem_of_syntax(problem, chunk_name, path) end
  layer.owners[chunk_name] = path
  table.insert(layer.files, { path = path, real = real })
  return chunk
end

local function compile_part(layer, name)
  local path = ("%s/%s.lua"):format(layer.path:gsub("%.lua$", ""), name)
  local chunk, err = compile(layer, path, env.new())
  if chunk or err then return chunk, err end
  return nil, policy_load.failure(path .. ":1: there is no such file",
    layer.path .. " needs it as a part")
end

--- What `part "name"` in a file is: it runs the file `name.lua` in the directory that has the
--- file's own name, and returns what that returned.
local function part_of(layer, budget)
  return function(name)
    if not layer.is_loading then error("part: only while the file is loaded", 0) end
    if type(name) ~= "string" or not name:find "^[%w_]+$" then
      error("part: a name is of letters, digits and '_'", 0)
    end
    local chunk, err = budget:paused(compile_part, layer, name)
    if not chunk then error(err, 0) end
    return chunk()
  end
end

local function run(layer, chunk, globals)
  layer.is_loading = true
  local fn, what = env.run_loading(function(budget)
    globals.part = part_of(layer, budget)
    return budget:counted(chunk)
  end)
  layer.is_loading = false
  if what then return nil, policy_load.error_of_run(what, layer.owners, layer.path .. ":1") end
  if type(fn) == "function" then return fn end
  return nil, policy_load.failure(("%s:1: must return one function, but returned a %s"):format(
    layer.path, type(fn)))
end

--- Loads a file.
---@param path string absolute
---@param shipped boolean?
---@return axo.policy.Layer? layer nil when it failed, or when there is no such file
---@return axo.Error? err
function policy_load.file(path, shipped)
  local layer = { path = path, shipped = shipped, files = {}, owners = {} }
  local globals = env.new()
  local chunk, err = compile(layer, path, globals)
  if not chunk then return nil, err end
  layer.fn, err = run(layer, chunk, globals)
  if not layer.fn then return nil, err end
  layer.where = ("%s:%d"):format(path, math.max(debug.getinfo(layer.fn, "S").linedefined, 1))
  return layer
end

return policy_load
