--- Projects with a devcontainer.json, for specs.
local uv = require "luv"
local cjson = require "cjson"
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

--- The description of such a project, which must be there. Without a policy it may set any variable.
function projects.load(text, opts)
  local dir = projects.with(text)
  opts = opts or {}
  opts.policy = opts.policy or { project_env = { "*" } }
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

-- ---- with real containers ----------------------------------------------------------------

local POLICY = { network = "none", allow_untrusted_image = true, allow_post_create = true }

--- A project of the test image with further properties, and its description.
---@return axo.Devcontainer description, string dir
function projects.describe(config, policy)
  local e2e = require "spec.support.e2e"
  config.image = config.image or e2e.images.base()
  local dir = projects.with(cjson.encode(config))
  local own = {}
  for key, value in pairs(POLICY) do own[key] = value end
  for key, value in pairs(policy or {}) do own[key] = value end
  return assert(devcontainer.load(dir, { id = e2e.new_id(), policy = own })), dir
end

--- The same, started.
---@return axo.Session sandbox, axo.LifecycleResult result, string dir, axo.Devcontainer description
function projects.start(config, policy)
  local description, dir = projects.describe(config, policy)
  local sb, result = devcontainer.start(description)
  assert(sb, tostring(result))
  return sb, result, dir, description
end

--- What the commands of a project wrote into its file `log`.
function projects.log(dir)
  return temp.read(dir .. "/log") or ""
end

local ALL = {
  initializeCommand = "echo initialize >> log",
  onCreateCommand = "echo create >> log",
  updateContentCommand = { "sh", "-c", "echo update >> log" },
  postCreateCommand = "echo post-create >> log",
  postStartCommand = "echo start >> log",
  postAttachCommand = "echo attach >> log",
}

--- Properties with a command for each event, each of which writes a line into the log.
function projects.all(changes)
  local config = {}
  for key, value in pairs(ALL) do config[key] = value end
  for key, value in pairs(changes or {}) do config[key] = value end
  return config
end

return projects
