--- Projects with a devcontainer.json, for specs.
local uv = require "luv"
local devcontainer = require "axosandbox.devcontainer"
local temp = require "spec.support.temp"

local projects = {}

--- A project with files: relative path to text.
---@return string dir
function projects.dir(files, name)
  local dir = temp.dir(name or "project")
  for path, text in pairs(files) do
    local at = dir
    for folder in path:gmatch "([^/]+)/" do
      at = at .. "/" .. folder
      uv.fs_mkdir(at, tonumber("755", 8))
    end
    temp.write(dir .. "/" .. path, text)
  end
  return dir
end

--- A project whose .devcontainer.json has that text.
---@return string dir
function projects.with(text, name)
  return projects.dir({ [".devcontainer.json"] = text }, name)
end

--- The description of such a project, which must be there.
function projects.load(text, opts)
  local dir = projects.with(text)
  return assert(devcontainer.load(dir, opts)), dir
end

--- The error of such a project.
function projects.refused(text, opts)
  local found, err = devcontainer.load(projects.with(text), opts)
  assert(found == nil, "it was read")
  return err
end

--- What was reported about a property: status, reason.
function projects.report(description, property)
  for _, it in ipairs(description.reports) do
    if it.property == property then return it.status, it.reason end
  end
end

return projects
