--- Loads a policy file, with its parts, into a box, and says where it went wrong.
local errors = require "axosandbox.base.errors"
local file = require "axosandbox.policy.file"

local policy_load = {}

---@class axo.policy.Layer
---@field fn (fun(request: table, default: fun(request: table?): table): table)? of the host's
---@field reference integer? of a file's function, in the box
---@field text string? of a file that is loaded when it is first asked
---@field path string? of a file
---@field files { path: string, real: string }[] the file and its parts; real: without symbolic links
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
---@param what axo.Error|axo.core.BoxFailure as the box gives it
---@param otherwise string the file and line to name when no frame is known
---@return axo.Error
function policy_load.error_of_run(what, otherwise)
  if errors.is_error(what) then return what end
  local path = what.path
  if not path then return policy_load.failure(otherwise .. ": " .. what.message) end
  local message = with_full_path(what.message, what.short, path)
  if message:sub(1, #path + 1) ~= path .. ":" then
    message = ("%s:%d: %s"):format(path, what.line, message)
  end
  return policy_load.failure(message, nil, what.traceback)
end

--- What `part "name"` in a file asks for: the file `name.lua` in the directory that has the file's
--- own name.
local function read_part(layer, name)
  local path = ("%s/%s.lua"):format(layer.path:gsub("%.lua$", ""), name)
  local text, err, real = file.read(path, { shipped = layer.shipped })
  if text then
    table.insert(layer.files, { path = path, real = real })
    return text, "@" .. path
  end
  return nil, err or policy_load.failure(path .. ":1: there is no such file",
    layer.path .. " needs it as a part")
end

--- Reads a file. One of an operator's is loaded at once, so that nothing begins with one that cannot
--- be used; a shipped one when it is first asked.
---@param box axo.core.Box
---@param path string absolute
---@param shipped boolean?
---@return axo.policy.Layer? layer nil when it failed, or when there is no such file
---@return axo.Error? err
function policy_load.file(box, path, shipped)
  local text, err, real = file.read(path, { shipped = shipped })
  if not text then return nil, err end
  local layer = {
    path = path, shipped = shipped, files = { { path = path, real = real } }, text = text,
    where = path .. ":1",
  }
  if shipped then return layer end
  err = policy_load.load(box, layer)
  if err then return nil, err end
  return layer
end

--- Loads a file that was read, with its parts.
---@param box axo.core.Box
---@param layer axo.policy.Layer
---@return axo.Error? err
function policy_load.load(box, layer)
  local reference, line = box:load(layer.text, "@" .. layer.path, function(name)
    return read_part(layer, name)
  end)
  if not reference then return policy_load.error_of_run(line, layer.where) end
  layer.text, layer.reference = nil, reference
  layer.where = ("%s:%d"):format(layer.path, line)
end

return policy_load
