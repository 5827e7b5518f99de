--- Finding and reading a project's devcontainer.json. The project is hostile: no symbolic link
--- is followed, nothing but a regular file of a bounded size is opened.
local uv = require "luv"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local jsonc = require "axosandbox.base.jsonc"
local project_file = require "axosandbox.policy.project_file"
local unseen = require "axosandbox.base.text.unseen"

local file = {}

local FOLDER = ".devcontainer"
local MAX_NAMES = 32
local MAX_ENTRIES = 4096

local function failure(code, message, hint)
  return nil, errors.new { code = code, op = "devcontainer", message = message, hint = hint }
end

local IGNORE = hints.TABLE.devcontainer.lua

local function refuse(path, why)
  return failure("EPERM", ("%s is not read: %s"):format(path, why), IGNORE)
end

-- Control characters come from names of files, and go to terminals.
local function visible(name)
  return unseen.replace(name, "?")
end

-- ---- looking ---------------------------------------------------------------------------

-- nil without an error: there is nothing. What cannot be examined is not taken for nothing.
local function look(path)
  local stat, message, code = uv.fs_lstat(path)
  if stat or code == "ENOENT" or code == "ENOTDIR" then return stat end
  return refuse(path, message)
end

local function is_folder(path)
  local stat, err = look(path)
  if err then return nil, err end
  if stat and stat.type == "link" then return refuse(path, "it is a symbolic link") end
  return stat ~= nil and stat.type == "directory"
end

-- What is there under that name, unless it is nothing.
local function is_there(root, relative)
  local folder = relative:match "^(.*)/[^/]*$"
  if folder then
    local found, err = is_folder(root .. "/" .. folder)
    if not found then return found, err end
  end
  local stat, err = look(root .. "/" .. relative)
  if err then return nil, err end
  return stat ~= nil
end

--- The names of `.devcontainer/NAME/devcontainer.json`.
---@param root string the project, without symbolic links
---@return string[] sorted, at most 32
function file.names(root)
  local names = {}
  local base = root .. "/" .. FOLDER
  if not is_folder(base) then return names end
  local dir = uv.fs_opendir(base, nil, MAX_ENTRIES)
  for _, entry in ipairs(dir and uv.fs_readdir(dir) or {}) do
    local path = ("%s/%s/devcontainer.json"):format(FOLDER, entry.name)
    if #names < MAX_NAMES and is_there(root, path) then names[#names + 1] = entry.name end
  end
  if dir then uv.fs_closedir(dir) end
  table.sort(names)
  return names
end

local function listed(names)
  local shown = {}
  for i, name in ipairs(names) do shown[i] = visible(name) end
  return table.concat(shown, ", ")
end

local function by_name(root, name)
  local relative = ("%s/%s/devcontainer.json"):format(FOLDER, name)
  local found, err = is_there(root, relative)
  if err then return nil, err end
  if found then return relative end
  local names = file.names(root)
  return failure("NOT_FOUND", ("%s has no dev container %q"):format(root, name),
    #names > 0 and "it has: " .. listed(names) or "it has none with a name")
end

local function among(root)
  local names = file.names(root)
  if #names == 1 then return ("%s/%s/devcontainer.json"):format(FOLDER, names[1]) end
  if #names == 0 then
    return failure("NOT_FOUND", ("%s has no devcontainer.json"):format(root))
  end
  return failure("AMBIGUOUS",
    ("%s has several dev containers: %s"):format(root, listed(names)),
    hints.TABLE.devcontainer_name.lua)
end

--- Finds the file that counts: `.devcontainer/devcontainer.json`, `.devcontainer.json`, or the
--- one below `.devcontainer` that `name` chooses.
---@param root string the project, without symbolic links
---@param name string? of a folder in `.devcontainer`
---@return string? relative, axo.Error? code "NOT_FOUND", "AMBIGUOUS" or "EPERM"
function file.find(root, name)
  if name then return by_name(root, name) end
  for _, relative in ipairs { FOLDER .. "/devcontainer.json", ".devcontainer.json" } do
    local found, err = is_there(root, relative)
    if err then return nil, err end
    if found then return relative end
  end
  return among(root)
end

-- ---- reading ---------------------------------------------------------------------------

--- Reads it.
---@param root string the project, without symbolic links
---@param relative string from `file.find`
---@return string? text, axo.Error? code "EPERM"
function file.read(root, relative)
  local path = root .. "/" .. relative
  local text, problem = project_file.read(path, jsonc.MAX_BYTES)
  if not text then return refuse(path, problem) end
  return text
end

return file
