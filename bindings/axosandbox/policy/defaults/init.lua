--- What a session is asked for where nobody says: the user's defaults, and a project's, which may
--- only narrow them.
local uv = require "luv"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local naming = require "axosandbox.base.naming"
local nearest = require "axosandbox.base.text.nearest"
local options = require "axosandbox.base.options"
local project = require "axosandbox.policy.defaults.project"
local shapes = require "axosandbox.policy.shapes"
local tables = require "axosandbox.base.tables"
local user = require "axosandbox.policy.defaults.user"

local defaults = {}

-- A limit that is lifted (false) is no default.
local function number_of(key, kind)
  local rule = tables.merged(shapes.fields.limits.shape[key])
  rule.type = kind
  return rule
end

local PORTS = { type = "table", items = { type = "integer", min = 1, max = 65535 } }
local SECONDS = { type = "number", min = 0.001, max = 10 * 365 * 24 * 3600 }

local function check_env(env)
  for name in pairs(env) do
    local problem = naming.check_env_name(tostring(name))
    if problem then return problem end
  end
end

-- What a project may say, too. Each can only take away.
local NARROW = {
  network = shapes.fields.network,
  memory = number_of("memory", "string|integer"), cpus = number_of("cpus", "number"),
  pids = number_of("pids", "integer"),
  shm_size = shapes.fields.shm_size,
  timeout = SECONDS,
  require_resource_limits = "boolean",
}

local USER = tables.merged(NARROW)
for name, rule in pairs {
  image = { type = "string" },
  port = PORTS, optional_port = PORTS,
  env = { type = "table", values = "string", check = check_env },
  user = { type = "string", check = naming.check_user },
  allow_untrusted_image = "boolean", allow_post_create = "boolean",
  devcontainer = "boolean",
  local_env = shapes.fields.local_env, project_env = shapes.fields.project_env,
} do USER[name] = rule end

-- The values of a project's are the same in JSON.
local EXAMPLES = {
  network = '"none"', memory = '"512m"', cpus = "1.5", pids = "200", shm_size = '"128m"',
  timeout = "600", require_resource_limits = "true", image = '"localhost/tools:1"',
  port = "{ 3000 }", optional_port = "{ 3000 }", env = '{ LANG = "C.UTF-8" }',
  user = '"1000:1000"', allow_untrusted_image = "true", allow_post_create = "true",
  devcontainer = "false", local_env = '{ "EDITOR" }', project_env = '{ "NODE_ENV" }',
}

local ONLY_NARROWS = "a project may only take away from what you allow (%s)"

---@class axo.Default
---@field name string
---@field value any
---@field file string which says so
---@field by "user"|"project"

---@class axo.Defaults
---@field user table<string, any> what the user's file says
---@field narrow axo.Narrow what the project's file takes away
---@field timeout number? the smaller one, in seconds
---@field list axo.Default[] what counts of both, by name
---@field notices string[] what of the project's file does not count, and why

---@class axo.Narrow what a session gets at most, whatever was asked for and policy decides
---@field network "none"|{ allow: string[] }|nil
---@field memory string|integer|nil
---@field cpus number?
---@field pids integer?
---@field shm_size string|integer|nil
---@field require_resource_limits true?

local function failure(file, problem)
  return errors.new {
    code = "DEFAULTS", op = "defaults", message = ("%s: %s"):format(file, problem),
    hint = hints.TABLE.defaults.lua,
  }
end

local function unknown(name, shape)
  local like = nearest(name, tables.keys(shape))
  return ("there is no default %q%s"):format(name, like and (": did you mean %s?"):format(like)
    or "; there are " .. table.concat(tables.keys(shape), ", "))
end

local function with_example(problem, name, file)
  local form = file:find "%.json$" and '%s; write it so: "%s": %s' or "%s; write it so: %s = %s"
  return form:format(problem:gsub("^%.", ""), name, EXAMPLES[name])
end

-- The project's values are jsonc's; nothing in it is deep.
local function check(values, shape, known, file)
  for _, name in ipairs(tables.keys(values)) do
    if known[name] == nil then return failure(file, unknown(name, known)) end
    if shape[name] ~= nil then
      local problem = options.validate({ [name] = shape[name] }, { [name] = values[name] }, "")
      if problem then return failure(file, with_example(problem, name, file)) end
    end
  end
end

local function is_less(name, value, than)
  if than == nil then return true end
  if name == "memory" or name == "shm_size" then
    return shapes.bytes(value) < shapes.bytes(than)
  end
  return value < than
end

local function listed(list, name, value, file, by)
  list[#list + 1] = { name = name, value = value, file = file, by = by }
end

-- What of the project's takes something away; why not, otherwise.
local function narrows(name, value, own)
  if name == "network" then return value ~= "bridge" and own ~= "none" and value ~= own end
  if name == "require_resource_limits" then return value and not own end
  return is_less(name, value, own)
end

local function join(found, own, theirs, own_file, their_file)
  local shown = {}
  for _, name in ipairs(tables.keys(theirs)) do
    local value = theirs[name]
    if NARROW[name] == nil then
      table.insert(found.notices, ("%s: %s is not taken: %s"):format(their_file, name,
        ONLY_NARROWS:format(table.concat(tables.keys(NARROW), ", "))))
    elseif narrows(name, value, own[name]) then
      shown[name] = true
      if name == "timeout" then found.timeout = value else found.narrow[name] = value end
      listed(found.list, name, value, their_file, "project")
    elseif value ~= own[name] then
      table.insert(found.notices, ("%s: %s = %s is not taken: it is more than you allow"):format(
        their_file, name, type(value) == "table" and "{ allow }" or tostring(value)))
    end
  end
  for _, name in ipairs(tables.keys(own)) do
    if not shown[name] then listed(found.list, name, own[name], own_file, "user") end
  end
  table.sort(found.list, function(a, b) return a.name < b.name end)
end

--- The defaults for sessions in a directory: the user's `axosandbox/config.lua`, and what the
--- project's `.axosandbox/config.json` takes away from them. A start is given `narrow` as it is.
---
---     local found = assert(axo.defaults "/some/project")
---     for _, it in ipairs(found.list) do print(it.name, it.value, it.file) end
---     print(#found.notices)  --> 0
---@param dir string? nil: the user's alone
---@return axo.Defaults? found, axo.Error? code "DEFAULTS": a file that cannot be read, a name that there is not, a value that is none; "POLICY": others can write the user's file
function defaults.load(dir)
  local real = dir and uv.fs_realpath(dir)
  local own, err = user.read(real)
  if err then return nil, err end
  local own_file = user.path() or ""
  err = check(own or {}, USER, USER, own_file)
  if err then return nil, err end
  local found = { user = own or {}, narrow = {}, timeout = own and own.timeout, list = {},
    notices = {} }
  local theirs
  if real then
    theirs, err = project.read(real)
    if err then return nil, err end
  end
  local their_file = (real or "") .. "/" .. project.PATH
  err = check(theirs or {}, NARROW, USER, their_file)
  if err then return nil, err end
  join(found, found.user, theirs or {}, own_file, their_file)
  return found
end

return defaults
