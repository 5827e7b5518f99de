--- A project's defaults: `.axosandbox/config.json` in its directory. Whoever writes in the project
--- writes it, sessions too: so it is data, and can only take away.
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local jsonc = require "axosandbox.base.jsonc"
local project_file = require "axosandbox.policy.project_file"
local uv = require "luv"

local project = {}

--- Where it is in a project.
project.PATH = ".axosandbox/config.json"
local MAX_BYTES = 64 * 1024

local function failure(path, why)
  return nil, errors.new {
    code = "DEFAULTS", op = "defaults", message = ("%s: %s"):format(path, why),
    hint = hints.TABLE.defaults.lua,
  }
end

local function is_there(dir)
  local folder = uv.fs_lstat(dir .. "/.axosandbox")
  return folder ~= nil and uv.fs_lstat(dir .. "/" .. project.PATH) ~= nil, folder
end

--- What it says.
---@param dir string the project, without symbolic links
---@return table<string, any>? values nil without an error: there is no such file
---@return axo.Error? err code "DEFAULTS"
function project.read(dir)
  local path = dir .. "/" .. project.PATH
  local found, folder = is_there(dir)
  if not found then return nil end
  if folder.type ~= "directory" then return failure(path, "its folder is a " .. folder.type) end
  local text, problem = project_file.read(path, MAX_BYTES)
  if not text then return failure(path, problem) end
  local object, wrong = jsonc.decode(text)
  if wrong then
    return failure(path, ("line %d: %s"):format(wrong.line, wrong.message))
  end
  if not jsonc.is_object(object) then
    return failure(path, 'it is no object: write { "memory": "512m" }')
  end
  local values = {}
  for _, key in ipairs(jsonc.keys(object)) do values[key] = object[key] end
  return values
end

return project
