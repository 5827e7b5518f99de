--- What each property of a devcontainer.json means for a session, and which ones never mean
--- anything: the file was written by whoever wrote the project.
local uv = require "luv"
local core = require "axosandbox.core"
local jsonc = require "axosandbox.base.jsonc"
local naming = require "axosandbox.base.naming"
local unseen = require "axosandbox.base.text.unseen"
local variables = require "axosandbox.devcontainer.variables"

local properties = {}

local MAX_VARIABLES = 256
--- Bytes of the value of a variable.
properties.MAX_VALUE = 32 * 1024

local HARDENING = "the hardening of a container is never lowered"
local NO_BUILD = "no image is built from a project's files"
local NO_COMPOSE = "a session is one container, compose files are not read"
local ONE_MOUNT = "nothing but the project's directory is mounted"
local EDITORS = "it is for editors"

-- What would weaken the border between the project and this machine.
properties.DENIED = {
  initializeCommand = "it would run on this machine, outside of the container",
  privileged = HARDENING,
  capAdd = HARDENING,
  securityOpt = HARDENING,
  runArgs = "podman's arguments are not the project's to choose",
  mounts = ONE_MOUNT,
  workspaceMount = ONE_MOUNT,
  build = NO_BUILD,
  dockerFile = NO_BUILD,
  context = NO_BUILD,
  features = "programs from elsewhere are not installed",
  overrideFeatureInstallOrder = "programs from elsewhere are not installed",
  dockerComposeFile = NO_COMPOSE,
  service = NO_COMPOSE,
  runServices = NO_COMPOSE,
}

-- What has no meaning for a session.
properties.IGNORED = {
  customizations = EDITORS, extensions = EDITORS, settings = EDITORS, devPort = EDITORS,
  shutdownAction = "the program that started a session ends it",
  updateRemoteUserUID = "the users of an image stay as they are",
  userEnvProbe = "shells are not started to find variables",
  waitFor = "each command is waited for",
  otherPortsAttributes = "only ports that are listed are published",
  secrets = "give secrets to the program that starts the session",
  overrideCommand = "an image's own command is never run",
}

--- Read by other modules, or of no consequence.
properties.KNOWN = {
  ["$schema"] = true, name = true, image = true, containerEnv = true, remoteEnv = true,
  containerUser = true, remoteUser = true, forwardPorts = true, appPort = true,
  portsAttributes = true, workspaceFolder = true, init = true, hostRequirements = true,
  onCreateCommand = true, updateContentCommand = true, postCreateCommand = true,
  postStartCommand = true, postAttachCommand = true,
}

-- Asks for nothing beyond what is so anyway.
local function asks_nothing(property, value)
  if value == false or value == jsonc.null then return property ~= "overrideCommand" end
  if property == "overrideCommand" then return value == true end
  return (jsonc.is_array(value) and #value == 0)
    or (jsonc.is_object(value) and #jsonc.keys(value) == 0)
end

--- Reports what is not honoured, whatever it says.
---@param config table
---@param reports axo.DevcontainerReports
function properties.report_refused(config, reports)
  for _, property in ipairs(jsonc.keys(config)) do
    local denied, ignored = properties.DENIED[property], properties.IGNORED[property]
    if denied or ignored then
      if not asks_nothing(property, config[property]) then
        reports:add(property, denied and "denied" or "ignored", denied or ignored)
      end
    elseif not properties.KNOWN[property] then
      reports:add(property, "ignored", "it is not known here")
    end
  end
end

-- ---- one by one ------------------------------------------------------------------------

local function text_of(config, property, reports)
  local value = config[property]
  if value == nil then return nil end
  if type(value) == "string" and value ~= "" and not value:find "%z" then return value end
  reports:add(property, "invalid", "expected a text")
end

--- The title, for people.
---@param config table
---@param reports axo.DevcontainerReports
---@return string?
function properties.name(config, reports)
  local name = text_of(config, "name", reports)
  return name and unseen.replace(name:sub(1, 200), " ")
end

--- The image, when it can be one.
---@param config table
---@param reports axo.DevcontainerReports
---@return string?
function properties.image(config, reports)
  local image = text_of(config, "image", reports)
  if not image then return nil end
  local reference, err = core.reference.parse(image)
  if not reference then
    return reports:add("image", "invalid", err.message)
  end
  reports:add("image", "policy", "whether it is trusted")
  return image
end

--- A user of the image.
---@param config table
---@param property "containerUser"|"remoteUser"
---@param image string? nil: none of the file's own runs
---@param reports axo.DevcontainerReports
---@return string?
function properties.user(config, property, image, reports)
  local user = text_of(config, property, reports)
  if not user then return nil end
  if naming.check_user(user) then
    return reports:add(property, "invalid", "it is not the name of a user")
  end
  if not image then
    return reports:add(property, "ignored", "the image that it belongs to does not run")
  end
  reports:add(property, "policy", "whether it is that user")
  return user
end

--- `init`: a session's first process reaps in any case.
---@param config table
---@param reports axo.DevcontainerReports
function properties.init(config, reports)
  local init = config.init
  if init == nil then return end
  if type(init) ~= "boolean" then
    return reports:add("init", "invalid", "expected true or false")
  end
  if init then return reports:add("init", "honoured") end
  reports:add("init", "ignored", "the first process of a session always reaps")
end

local function is_directory_beneath(root, path)
  local here = root
  for part in path:sub(#root + 1):gmatch "[^/]+" do
    if part == ".." then return false, "it holds \"..\"" end
    here = here .. "/" .. part
    local stat = uv.fs_lstat(here)
    if not stat then return false, "there is no such directory" end
    if stat.type ~= "directory" then return false, here .. " is a " .. stat.type end
  end
  return true
end

--- The directory in which commands run: the project's, or one beneath it.
---@param config table
---@param root string
---@param reports axo.DevcontainerReports
---@return string? folder nil: the project's
function properties.folder(config, root, reports)
  local folder = text_of(config, "workspaceFolder", reports)
  if not folder then return nil end
  folder = naming.tidy_path(folder)
  if folder ~= root and folder:sub(1, #root + 1) ~= root .. "/" then
    return reports:add("workspaceFolder", "ignored",
      ("the project is at %s, and it is not beneath that"):format(root))
  end
  local ok, why = is_directory_beneath(root, folder)
  if not ok then return reports:add("workspaceFolder", "ignored", why) end
  reports:add("workspaceFolder", "honoured")
  return folder
end

-- ---- variables -------------------------------------------------------------------------

local function problem_of_variable(name, value, count)
  if naming.check_env_name(name) then return "it is not the name of a variable" end
  if type(value) ~= "string" then return "expected a text" end
  if value:find("\0", 1, true) then return "it holds a NUL" end
  if #value > properties.MAX_VALUE then
    return ("longer than %d bytes"):format(properties.MAX_VALUE)
  end
  if count >= MAX_VARIABLES then return ("at most %d variables"):format(MAX_VARIABLES) end
end

local function is_listed(name, patterns)
  for _, pattern in ipairs(patterns) do
    local beginning = pattern:match "^(.*)%*$"
    if name == pattern or beginning and name:sub(1, #beginning) == beginning then return true end
  end
end

local NOT_LISTED = "not known to choose no code that the session's commands run; to let the "
  .. "project set it, list it in project_env in the policy table (axolua run --project-env NAME), "
  .. "or all of them by allow_post_create = true (--allow-post-create)"

--- `containerEnv` or `remoteEnv`.
---@param config table
---@param property "containerEnv"|"remoteEnv"
---@param allowed string[] policy's `project_env`
---@param reports axo.DevcontainerReports
---@return table<string, string>
function properties.env(config, property, allowed, reports)
  local env, count = {}, 0
  local given = config[property]
  if given == nil then return env end
  if not jsonc.is_object(given) then
    reports:add(property, "invalid", "expected an object")
    return env
  end
  for _, name in ipairs(jsonc.keys(given)) do
    local value = given[name]
    local problem = problem_of_variable(name, value, count)
    if value == jsonc.null and property == "remoteEnv" then
      reports:add(property .. "." .. name, "ignored",
        "a variable of the container cannot be taken away")
    elseif problem then
      reports:add(property .. "." .. name, "invalid", problem)
    elseif not is_listed(name, allowed) then
      reports:add(property .. "." .. name, "denied", NOT_LISTED)
    else
      env[name], count = value, count + 1
      reports:add(property, "honoured")
      if property == "containerEnv" and variables.needs_container(value) then
        reports:add(property .. "." .. name, "warning", "${containerEnv:...} stays as it is: the "
          .. "container is only made with it; remoteEnv can have it")
      end
    end
  end
  return env
end

return properties
