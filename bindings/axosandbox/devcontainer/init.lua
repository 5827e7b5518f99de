--- devcontainer.json: what a project says about the container that it wants. The file is read as
--- a wish: policy decides, and each property that is not honoured is reported with the reason.
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local commands = require "axosandbox.devcontainer.commands"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local file = require "axosandbox.devcontainer.file"
local jsonc = require "axosandbox.base.jsonc"
local lifecycle = require "axosandbox.devcontainer.lifecycle"
local limits = require "axosandbox.policy.limits"
local naming = require "axosandbox.base.naming"
local options = require "axosandbox.base.options"
local policy = require "axosandbox.policy"
local ports = require "axosandbox.devcontainer.ports"
local properties = require "axosandbox.devcontainer.properties"
local report = require "axosandbox.devcontainer.report"
local request = require "axosandbox.start.request"
local requirements = require "axosandbox.devcontainer.host"
local start = require "axosandbox.start"
local variables = require "axosandbox.devcontainer.variables"

local devcontainer = {}

local LOAD_SHAPE = {
  name = { type = "string", check = function(name)
    if name == "" or name == "." or name == ".." or #name > 255 or name:find "[/%z]" then
      return "expected the name of a folder in .devcontainer"
    end
  end },
  id = { type = "string", check = naming.check_id },
  policy = "table",
}

local must = errors.must

local function fail(path, message, code)
  errors.raise {
    code = code or "INVALID", op = "devcontainer", message = ("%s: %s"):format(path, message),
    hint = hints.TABLE.devcontainer.lua,
  }
end

-- ---- who it is -------------------------------------------------------------------------

local function json_text(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    if c == '"' or c == "\\" then return "\\" .. c end
    return ("\\u%04x"):format(c:byte())
  end) .. '"'
end

-- `${devcontainerId}` as the specification suggests to make it: the digest of two labels, five
-- bits a digit.
local function id_of(root, path)
  local digits = "0123456789abcdefghijklmnopqrstuv"
  local labels = ('{"devcontainer.config_file":%s,"devcontainer.local_folder":%s}'):format(
    json_text(path), json_text(root))
  local id, bits, count = {}, 0, 4
  for byte in core.digest(labels):gsub("^.*:", ""):gmatch "%x%x" do
    bits, count = bits << 8 | tonumber(byte, 16), count + 8
    while count >= 5 do
      count = count - 5
      local digit = bits >> count & 31
      id[#id + 1] = digits:sub(digit + 1, digit + 1)
    end
    bits = bits & (1 << count) - 1
  end
  return table.concat(id)
end

-- The same project has the same session, unless the caller wants another.
local function session_id(root, id)
  local base = root:gsub("^.*/", ""):gsub("[^%w_.-]+", "-"):gsub("^%W+", ""):sub(1, 40)
  return (base == "" and "session" or base) .. "-" .. id:sub(-8)
end

-- ---- reading ---------------------------------------------------------------------------

local function decode(path, text, reports)
  local config, problem, duplicates = jsonc.decode(text)
  if problem then
    fail(("%s:%d:%d"):format(path, problem.line, problem.column), problem.message)
  end
  if not jsonc.is_object(config) then fail(path .. ":1:1", "expected an object") end
  for _, it in ipairs(duplicates) do
    reports:add(it.key, "warning", ("twice in one object (line %d); the last one counts"):format(
      it.line))
  end
  return config
end

local function context_of(reading, allowed)
  local names = {}
  for _, name in ipairs(allowed or {}) do names[name] = true end
  return {
    root = reading.root, id = reading.id, allowed = names,
    budget = { left = variables.MAX_BYTES },
    denied = function(name, property)
      if not properties.KNOWN[property] then return end
      reading.reports:add("localEnv:" .. name, "denied",
        ("policy's local_env does not list this variable of the machine (in %s)"):format(property))
    end,
  }
end

-- The variables are put in; where the project is in the container has to be known first.
local function substitute(reading, config, allowed)
  local context = context_of(reading, allowed)
  local folder = config.workspaceFolder
  if type(folder) == "string" then
    context.property = "workspaceFolder"
    local value = variables.substitute(context, folder)
    reading.folder = properties.folder({ workspaceFolder = value }, reading.root, reading.reports)
  elseif folder ~= nil then
    reading.reports:add("workspaceFolder", "invalid", "expected a text")
  end
  context.folder = reading.folder or reading.root
  local result = jsonc.object(jsonc.keys(config))
  for _, property in ipairs(jsonc.keys(config)) do
    context.property = property
    result[property] = variables.substitute(context, config[property])
  end
  return result
end

local function port_numbers(list)
  local numbers = {}
  for i, entry in ipairs(list) do numbers[i] = entry.port end
  return numbers
end

local function describe(reading, config, opts)
  local reports, root = reading.reports, reading.root
  local image = properties.image(config, reports)
  local found = {
    path = reading.path, id = reading.id, config = config,
    name = properties.name(config, reports),
    options = {
      id = opts.id or session_id(root, reading.id), dir = root, image = image,
      env = properties.env(config, "containerEnv", reading.project_env, reports),
      user = properties.user(config, "containerUser", image, reports),
      policy = opts.policy,
    },
    remote = {
      env = properties.env(config, "remoteEnv", reading.project_env, reports),
      user = properties.user(config, "remoteUser", image, reports),
      cwd = reading.folder,
    },
  }
  found.options.remote_user = found.remote.user
  properties.init(config, reports)
  found.ports = ports.read(config, reports)
  found.options.ports = port_numbers(found.ports)
  -- The file asked, not whoever starts it: it is told what it does not get.
  found.options.optional = { image = true, ports = port_numbers(found.ports) }
  found.requirements = requirements.check(config, reports, reading.limits, root)
  found.lifecycle = commands.read(config, reports)
  properties.report_refused(config, reports)
  found.reports = reports:all()
  return found
end

-- ---- policy ----------------------------------------------------------------------------

-- What may be read of this machine, and what the session will have.
local function decide(reading, asked, set)
  local decision = must(start.decide_sandbox(set, asked))
  reading.limits = limits.normalise(decision.limits) or {}
  reading.project_env = decision.project_env or {}
  return decision.local_env or {}
end

local function read(asked, set, opts)
  must(request.find_directory(asked))
  local reading = { root = asked.dir, reports = report.new() }
  local allowed = decide(reading, asked, set)
  local relative = must(file.find(asked.source, opts.name))
  reading.path = ("%s/%s"):format(reading.root, relative)
  reading.id = id_of(reading.root, reading.path)
  local text = must(file.read(asked.source, relative))
  local config = decode(reading.path, text, reading.reports)
  local read_well, result = pcall(substitute, reading, config, allowed)
  if read_well then return describe(reading, result, opts) end
  if type(result) ~= "table" then error(result, 0) end
  fail(reading.path, ("%s: %s"):format(result.property, result.message))
end

---@class axo.Devcontainer
---@field path string of the file
---@field name string? its title
---@field id string what `${devcontainerId}` stands for
---@field config table the file's properties with their variables put in; null is a value of its own
---@field options axo.StartOptions for `axo.start`: may be added to
---@field remote { env: table<string, string>, user: string?, cwd: string? } what each command gets
---@field ports { port: integer, label: string? }[]
---@field requirements { cpus: integer?, memory: number?, storage: number? } of the machine, in bytes
---@field lifecycle axo.LifecycleEvent[]
---@field reports axo.DevcontainerReport[] what became of each property

--- Reads a project's devcontainer.json: `.devcontainer/devcontainer.json`, else
--- `.devcontainer.json`, else the only `.devcontainer/*/devcontainer.json`, or the one that
--- `name` chooses. Nothing of it runs, and nothing is granted: image, users, variables of this
--- machine and commands pass policy.
---
--- Codes: "NOT_FOUND" (there is none), "AMBIGUOUS" (several, and none was chosen), "EPERM" (a
--- symbolic link, a FIFO, too large, ...), "INVALID" (with line and column), "POLICY". A wrong
--- option raises.
---
---     local project = assert(axo.devcontainer.load "/some/project")
---     for _, it in ipairs(project.reports) do print(it.property, it.status, it.reason) end
---@param dir string the project, absolute
---@param opts { name: string?, id: string?, policy: table? }? name: of a folder in .devcontainer; id: of the session, by default made from the project; policy: as in `axo.start`
---@return axo.Devcontainer? description, axo.Error? err
function devcontainer.load(dir, opts)
  opts = options.check(LOAD_SHAPE, opts, "axosandbox.devcontainer.load", 2)
  local asked = request.check({ id = opts.id or "devcontainer", dir = dir }, 2)
  local set, err = policy.checked(opts.policy, 2)
  if not set then return nil, err end
  return errors.try(read, asked, set, opts)
end

-- ---- starting --------------------------------------------------------------------------

local SHAPE = { on_output = "function", confirm = "function" }

local function step(steps, begin)
  return await.call(function(done)
    local handle, err = begin(done)
    steps.current = handle
    if handle and steps.cancelled then handle:cancel() end
    return handle, err
  end)
end

local function start_and_enter(steps, description, opts)
  local sb = must(step(steps, function(done) return start.start(description.options, done) end))
  local result, err = step(steps, function(done)
    return lifecycle.enter(sb, description, opts, done)
  end)
  if result then return sb, result end
  -- One that ran before (`reuse`) goes on.
  sb:__close()
  return nil, err
end

--- Starts a session of a description and enters it: `axo.start` and `axo.devcontainer.enter`.
--- Where policy says that a failing command counts, the session is ended again, unless it ran
--- before (`reuse`). A wrong option raises. With a callback, the returned handle has `:cancel()`.
---
---     local project = assert(axo.devcontainer.load("/some/project", {
---       id = "example", policy = { allow_post_create = true },
---     }))
---     local sb <close>, result = axo.devcontainer.start(project)
---     assert(sb, result)
---     print("ran:", table.concat(result.ran, " "))
---@param description axo.Devcontainer
---@param opts { on_output: fun(event: string, bytes: string)?, confirm: function? }? gets what the commands print; is asked as in `axo.start`
---@param callback fun(err: axo.Error?, sb: axo.Session?, result: axo.LifecycleResult?)?
---@return axo.Session? sandbox, axo.LifecycleResult|axo.Error|nil result
function devcontainer.start(description, opts, callback)
  opts, callback = options.arguments(SHAPE, opts, callback, "axosandbox.devcontainer.start")
  request.check(description.options, 2)
  policy.checked(description.options.policy, 2)
  local steps = {}
  return await.sequence(function() return start_and_enter(steps, description, opts) end, callback,
    function()
      steps.cancelled = true
      if steps.current then steps.current:cancel() end
    end)
end

--- Enters a session, started or opened, as its devcontainer.json has it. From now on its
--- commands get `remoteEnv`, run as `remoteUser` and in `workspaceFolder`; then the lifecycle
--- commands run that are due: those of the creation once in a container, whoever opens it,
--- postStartCommand at each of its starts, postAttachCommand each time. Policy (`post_create`)
--- decides about all of them, and `exec` about each. One that fails ends the sequence.
---
--- Codes: "POST_CREATE" (a command failed, and policy says that this counts), "CANCELLED",
--- "POLICY", "STOPPED". With a callback, the returned handle has `:cancel()`.
---
---     local project = assert(axo.devcontainer.load "/some/project")
---     local result = assert(axo.devcontainer.enter(sb, project))
---     print(result.failed and result.failed.message)  --> nil
---@param sb axo.Session
---@param description axo.Devcontainer
---@param opts { on_output: fun(event: string, bytes: string)?, confirm: function? }?
---@param callback fun(err: axo.Error?, result: axo.LifecycleResult?)?
---@return axo.LifecycleResult? result, axo.Error? err
function devcontainer.enter(sb, description, opts, callback)
  opts, callback = options.arguments(SHAPE, opts, callback, "axosandbox.devcontainer.enter")
  return lifecycle.enter(sb, description, opts, callback)
end

return devcontainer
