--- What the caller of `axo.start` asks for: checked, and copied so that it stays as it was.
local errors = require "axosandbox.base.errors"
local extra = require "axosandbox.host.mounts.extra"
local mounted = require "axosandbox.host.mounts.mounted"
local narrow = require "axosandbox.start.narrow"
local naming = require "axosandbox.base.naming"
local options = require "axosandbox.base.options"
local secrets = require "axosandbox.podman.secrets"
local shapes = require "axosandbox.policy.shapes"
local tables = require "axosandbox.base.tables"

local request = {}

local function check_dir(path)
  if path:sub(1, 1) ~= "/" then return "an absolute path is needed, got " .. path end
  if path:find "%z" then return "a path with a NUL cannot be mounted" end
end

local function check_ports(list)
  local seen = {}
  for _, port in ipairs(list) do
    if seen[port] then return ("the port %d is listed twice"):format(port) end
    seen[port] = true
  end
end

local function check_env(env)
  for name, value in pairs(env) do
    local problem = naming.check_env_name(tostring(name))
    if problem then return problem end
    if value:find "%z" then return ("the value of %s holds a NUL"):format(name) end
  end
end

local OPTION_SHAPE = {
  id = { type = "string", required = true, check = naming.check_id },
  dir = { type = "string", required = true, check = check_dir },
  image = "string",
  ports = {
    type = "table", items = { type = "integer", min = 1, max = 65535 }, check = check_ports,
  },
  optional = { type = "table", shape = {
    image = "boolean", ports = {
      type = "table", items = { type = "integer", min = 1, max = 65535 }, check = check_ports,
    },
  } },
  mounts = extra.RULE,
  post_create = { type = "table", items = "string" },
  env = { type = "table", values = "string", check = check_env },
  env_from = secrets.RULE,
  user = { type = "string", check = naming.check_user },
  remote_user = { type = "string", check = naming.check_user },
  policy = "table",
  narrow = { type = "table", shape = narrow.SHAPE },
  publish = { type = "string", one_of = { "podman", "forward" } },
  confirm = "function",
  reuse = "boolean",
  keep = "boolean",
}

---@class axo.Asked
---@field id string
---@field dir string tidied
---@field source string? what is mounted: `dir` without symbolic links
---@field identity axo.DirectoryIdentity? of that directory, as policy judges it
---@field places axo.Place[]? where that directory, and what is mounted beneath it, really lies
---@field image string?
---@field ports integer[]
---@field publish "podman"|"forward"|nil
---@field optional_image boolean another image may run where policy refuses this one
---@field required_ports table<integer, true> those that are not optional
---@field mounts axo.ExtraMount[]
---@field post_create string[]
---@field env table<string, string>
---@field env_from table<string, axo.SecretSource>
---@field confirm (fun(question: axo.Question, answer: fun(agreed: boolean)): (fun())?)?
---@field user string?
---@field narrow axo.Narrow? what it gets at most
---@field remote_user string? whom its commands will run as
---@field reuse boolean
---@field keep boolean

-- 3000.0 passes for a port, and must not be written as one.
local function integers(list)
  local result = {}
  for i, value in ipairs(list or {}) do result[i] = math.tointeger(value) end
  return result
end

-- Those that are only optional, too.
local function all_ports(opts)
  local list, known, required = integers(opts.ports), {}, {}
  for _, port in ipairs(list) do known[port], required[port] = true, true end
  for _, port in ipairs(integers(opts.optional and opts.optional.ports)) do
    required[port] = nil
    if not known[port] then list[#list + 1] = port end
  end
  return list, required
end

-- Most who write `network` or `limits` beside `dir` mean the policy's.
local function check_place(opts, level)
  for key in pairs(type(opts) == "table" and opts or {}) do
    if OPTION_SHAPE[key] == nil and shapes.fields[key] ~= nil then
      error(("axosandbox.start: the key %q goes into the policy table: policy = { %s = ... }")
        :format(key, key), level + 1)
    end
  end
end

--- Checks the options of `axo.start`; a mistake raises at `level`.
---@param opts axo.StartOptions
---@param level integer
---@return axo.Asked
function request.check(opts, level)
  check_place(opts, level + 1)
  options.check(OPTION_SHAPE, opts, "axosandbox.start", level + 1)
  local ports, required_ports = all_ports(opts)
  return {
    id = opts.id,
    dir = naming.tidy_path(opts.dir),
    image = opts.image,
    optional_image = opts.optional ~= nil and opts.optional.image or false,
    ports = ports,
    publish = opts.publish,
    required_ports = required_ports,
    mounts = extra.copy(opts.mounts),
    post_create = tables.merged(opts.post_create),
    env = tables.merged(opts.env),
    env_from = secrets.copy(opts.env_from),
    confirm = opts.confirm,
    user = opts.user,
    narrow = opts.narrow and tables.merged(opts.narrow),
    remote_user = opts.remote_user,
    reuse = opts.reuse or false,
    keep = opts.keep or false,
  }
end

--- Finds the session's directory: sets `asked.source` to what is really mounted, and
--- `asked.identity` to what it is known by afterwards.
---@param asked axo.Asked from `request.check`
---@return true? found, axo.Error? code "ENOENT", "ENOTDIR", "EACCES" or "INVALID"
function request.find_directory(asked)
  if asked.dir:find("\n", 1, true) then
    return nil, errors.new {
      code = "INVALID", op = "start",
      message = ("the directory %s cannot be used: podman mounts none with a line feed in its name")
        :format((asked.dir:gsub("\n", "\\n"))),
      hint = "rename it, or choose the directory above",
    }
  end
  local real, identity, code = mounted.examine(asked.dir)
  if real then
    -- ".." in a path with symbolic links names another directory inside than outside.
    if (asked.dir .. "/"):find("/../", 1, true) then asked.dir = real end
    asked.source, asked.identity = real, identity
    return true
  end
  return nil, errors.new {
    code = code, op = "start",
    message = ("the directory %s cannot be used: %s"):format(
      asked.dir, identity:match "^%u+: ([^:]*)" or identity),
    hint = code == "ENOENT" and "mkdir -p " .. asked.dir or nil,
  }
end

--- Looks at the directory of a session that is not asked for yet.
---
---     local ok, err = axo.check.directory "/some/project/src"
---     print(ok or err.message)  --> true
---@param dir string absolute
---@return true? ok, axo.Error? err why no session can be started over it
function request.check_directory(dir)
  return request.find_directory { dir = dir }
end

return request
