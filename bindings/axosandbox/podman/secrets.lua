--- Secrets: variables of a session's commands whose values come from a file or from a command
--- of the host, and which are in no argument, no label, no setting of the container and no log.
---
--- They are resolved once, at the start, and given to each command as it is started. Who opens
--- the session later finds them in the session's private directory.
local cjson = require "cjson.safe"
local uv = require "luv"
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local last_line = require "axosandbox.base.text.last_line"
local host = require "axosandbox.host"
local links = require "axosandbox.host.links"
local naming = require "axosandbox.base.naming"
local paths = require "axosandbox.base.text.path"
local private_file = require "axosandbox.host.private_file"
local redact = require "axosandbox.audit.redact"
local shell = require "axosandbox.base.text.shell"
local tables = require "axosandbox.base.tables"

local secrets = {}

--- Bytes of one value.
secrets.MAX_BYTES = 64 * 1024
--- How many a session may have.
secrets.MAX_COUNT = 64

-- Seconds to read a file, and to run a command.
local FILE_TIMEOUT = 10
local COMMAND_TIMEOUT = 30
local COMMAND_GRACE = 1

local FILE = "/secrets.json"
-- What all values together may take, written down.
local MAX_STORED = 32 * 1024 * 1024

---@class axo.SecretSource one of the two
---@field file string? absolute; a trailing newline is not part of the value
---@field command string|string[]|nil run on the host, by `sh -c` or as an argv; its output is the value

---@class axo.Secrets
---@field names string[] sorted
---@field values table<string, string>

-- ---- what may be asked for ---------------------------------------------------------------

-- On the portable way podman takes the values from its own environment, where these would
-- mean something to podman or to the system's loader.
local RESERVED = {
  "^PATH$", "^HOME$", "^USER$", "^LOGNAME$", "^TMPDIR$", "^LD_", "^GO%u", "^GLIBC_", "^MALLOC_",
  "^XDG_", "^CONTAINERS?_", "^_", "^STORAGE_", "^DBUS_", "^LISTEN_", "^NOTIFY_SOCKET$",
  "^SSL_CERT_", "^REGISTRY_AUTH_FILE$", "^DOCKER_", "^PODMAN_", "^AXO", "^TERM$", "^NETAVARK_",
}

--- What is wrong with the name of a secret; nil when nothing is.
---
---     print(axo.check.secret_name "TOKEN" == nil)  --> true
---     print(axo.check.secret_name "PATH" ~= nil)  --> true
---@param name string
---@return string? problem
function secrets.check_name(name)
  local problem = naming.check_env_name(name)
  if problem then return problem end
  for _, pattern in ipairs(RESERVED) do
    if name:find(pattern) then
      return ("%s has a meaning to podman itself, and cannot be a secret"):format(name)
    end
  end
end

local function check_argv(argv)
  for i, word in ipairs(argv) do
    if type(word) ~= "string" or word:find("\0", 1, true) then
      return ("word %d of the command is not a string without NUL"):format(i)
    end
  end
  if #argv == 0 then return "the command is empty" end
end

local function check_source(source)
  if (source.file == nil) == (source.command == nil) then
    return "exactly one of file and command is needed"
  end
  if source.file and source.file:sub(1, 1) ~= "/" then
    return "the path of the file must be absolute"
  end
  if type(source.command) == "table" then return check_argv(source.command) end
end

local function check_names(sources)
  local count = 0
  for name in pairs(sources) do
    local problem = secrets.check_name(tostring(name))
    if problem then return problem end
    count = count + 1
  end
  if count > secrets.MAX_COUNT then return ("more than %d secrets"):format(secrets.MAX_COUNT) end
end

--- The rule of the option `env_from`; see options.lua.
secrets.RULE = {
  type = "table", check = check_names,
  values = {
    type = "table", shape = { file = "string", command = "string|table" }, check = check_source,
  },
}

--- A copy of the option, which stays as it was whatever its owner does.
---@param sources table<string, axo.SecretSource>?
---@return table<string, axo.SecretSource>
function secrets.copy(sources)
  local copied = {}
  for name, source in pairs(sources or {}) do
    local command = source.command
    if type(command) == "table" then command = table.move(command, 1, #command, 1, {}) end
    copied[name] = { file = source.file, command = command }
  end
  return copied
end

local function fail(name, code, message, hint)
  errors.raise {
    code = code, op = "env_from", message = ("the secret %s: %s"):format(name, message),
    hint = hint,
  }
end

-- ---- from a file -------------------------------------------------------------------------

-- What the session can write could lead to any file of the host, so no step of the way may lie
-- there.
local function leads_through(path, dirs)
  return links.follow("", path, function(at) return paths.is_in_any(at, dirs) end) == nil
end

-- An operation of luv in this coroutine, by a deadline.
local function fs(name, deadline, ...)
  local arguments = table.pack(...)
  return await.call(function(done)
    local over = false
    local function finish(err, value)
      if over then
        -- A descriptor that came too late.
        if name == "fs_open" and value then uv.fs_close(value) end
        return
      end
      over = true
      done(err, value)
    end
    local cancel = await.after(math.max(deadline - await.now(), 0.001), function()
      finish "it took too long"
    end)
    arguments[arguments.n + 1] = function(err, value)
      cancel()
      finish(err, value)
    end
    return uv[name](table.unpack(arguments, 1, arguments.n + 1))
  end)
end

local function read_open(fd, deadline)
  local stat, err = fs("fs_fstat", deadline, fd)
  if not stat then return nil, err end
  if stat.type ~= "file" then return nil, "it is a " .. stat.type .. ", not a regular file" end
  local parts, size = {}, 0
  while size <= secrets.MAX_BYTES do
    local bytes
    bytes, err = fs("fs_read", deadline, fd, secrets.MAX_BYTES + 1 - size, -1)
    if not bytes then return nil, err end
    if bytes == "" then break end
    parts[#parts + 1], size = bytes, size + #bytes
  end
  return table.concat(parts)
end

local function read_file(name, source, context)
  if leads_through(source.file, context.dirs) then
    fail(name, "EPERM",
      source.file .. " lies in a directory that the session can write, or a symbolic link leads "
      .. "through one: what runs in the session could put another file there",
      "move it out of there")
  end
  local deadline = await.now() + FILE_TIMEOUT
  local flags = uv.constants.O_RDONLY | uv.constants.O_NONBLOCK
  local fd, err = fs("fs_open", deadline, source.file, flags, 0)
  if not fd then
    fail(name, "ENOENT", tostring(err), "check that the file is there, and that you may read it")
  end
  local text, problem = read_open(fd, deadline)
  uv.fs_close(fd, function() end)
  return text or fail(name, "EIO", source.file .. ": " .. tostring(problem))
end

-- ---- from a command ----------------------------------------------------------------------

local function problem_of(result)
  if result.timed_out then return ("it took longer than %d s"):format(COMMAND_TIMEOUT) end
  if result.cancelled then return "it was cancelled" end
  if result.limit_hit or result.stdout_truncated then
    return ("it printed more than %d bytes"):format(secrets.MAX_BYTES)
  end
  if result.code == 0 then return nil end
  local said = last_line(result.stderr)
  return (result.signal and "it was ended by SIG" .. result.signal
    or ("it failed with exit code %d"):format(result.code)) .. (said and ": " .. said or "")
end

-- No program of a session's directory is taken for one of this host.
local function environment()
  local vars, env = uv.os_environ(), {}
  if vars.PATH then vars.PATH = host.program_path(vars.PATH) end
  for name, value in pairs(vars) do env[#env + 1] = name .. "=" .. value end
  return env
end

-- The working directory is "/": the project's own settings must not change what it does.
local function run_command(name, source, context)
  local argv = source.command
  if type(argv) == "string" then argv = shell.argv(argv) end
  local result, err = await.call(function(done)
    local process, problem = core.spawn(argv, {
      cwd = "/", env = environment(), timeout = COMMAND_TIMEOUT, grace = COMMAND_GRACE,
      max_output = secrets.MAX_BYTES + 1, on_limit = "kill",
    }, function(raw) done(nil, raw) end)
    if context.on_process then context.on_process(process) end
    return process, problem
  end)
  if context.on_process then context.on_process(nil) end
  if not result then fail(name, err.code, "its command: " .. err.message) end
  local problem = problem_of(result)
  if problem then
    fail(name, "COMMAND", "its command: " .. problem,
      "it runs on this host, in / and without a terminal: try it there")
  end
  return result.stdout
end

-- ---- all of them -------------------------------------------------------------------------

local function check_value(name, value)
  if value:find("\0", 1, true) then fail(name, "EINVAL", "its value holds a NUL") end
  if #value > secrets.MAX_BYTES then
    fail(name, "E2BIG", ("its value is longer than %d bytes"):format(secrets.MAX_BYTES))
  end
  if #value < redact.MIN_BYTES then
    fail(name, "EINVAL",
      value == "" and "its value is empty"
        or ("its value is shorter than %d bytes, and cannot be kept out of the audit log")
          :format(redact.MIN_BYTES),
      value ~= "" and "a value that is no secret belongs into `env`" or nil)
  end
  return value
end

--- Wraps values, sorted by name; until `release` they are redacted.
---@param values table<string, string>
---@return axo.Secrets? # nil when there are none
function secrets.of(values)
  local names = tables.keys(values)
  if #names == 0 then return nil end
  redact.add(values)
  return { names = names, values = values }
end

--- Reads the files and runs the commands, one after the other; in a coroutine. Raises what fails.
---@param sources table<string, axo.SecretSource>
---@param context { dirs: string[], on_process: fun(process: any)? } dirs: what the session can write, in all spellings; on_process hears of each command that runs, and of nil at its end
---@return axo.Secrets? secrets nil when there are none
function secrets.resolve(sources, context)
  local values = {}
  for _, name in ipairs(tables.keys(sources)) do
    local source = sources[name]
    local value = (source.file and read_file or run_command)(name, source, context)
    -- As $(...) does.
    values[name] = check_value(name, value:match "^.*[^\r\n]" or "")
  end
  return secrets.of(values)
end

-- ---- kept for those who open the session -------------------------------------------------

local function cannot_keep(path)
  return nil, errors.new {
    code = "EIO", op = "env_from", message = "the session's secrets cannot be kept in " .. path,
    hint = "is its file system full?",
  }
end

--- Writes a record's secrets into its private directory, for who opens the session later.
---@param record axo.Record
---@return true? kept, axo.Error?
function secrets.keep(record)
  if not record.secrets then return true end
  local path = record.runtime_dir .. FILE
  local text = cjson.encode { instance = record.instance, values = record.secrets.values }
  if private_file.replace(path, text) then return true end
  return cannot_keep(path)
end

local function read_kept(path)
  local kept = cjson.decode(private_file.read(path, MAX_STORED) or "")
  return type(kept) == "table" and type(kept.values) == "table" and kept or nil
end

--- Finds the secrets of a session that is opened.
---@param record axo.Record gets `secrets`
---@param expected string[] the names on the container's label
function secrets.recall(record, expected)
  if #expected == 0 then return end
  local kept = read_kept(record.runtime_dir .. FILE)
  if kept and kept.instance == record.instance then record.secrets = secrets.of(kept.values) end
  if record.secrets then return end
  record.warnings[#record.warnings + 1] =
    ("the session's secrets are gone (%s): commands run without them"):format(
      table.concat(expected, ", "))
end

--- The values may be written down again, as far as these are concerned.
---@param held axo.Secrets?
function secrets.release(held)
  if held and not held.released then
    held.released = true
    redact.remove(held.values)
  end
end

--- A record is let go of.
---@param record axo.Record
function secrets.forget(record)
  secrets.release(record.secrets)
  record.secrets = nil
end

-- ---- given to a command ------------------------------------------------------------------

--- The names that a command gets: it may set a variable of its own in a secret's place.
---@param held axo.Secrets?
---@param env table<string, string>? the command's own
---@return string[]? names nil when there are none
function secrets.names_for(held, env)
  if not held then return nil end
  local names = {}
  for _, name in ipairs(held.names) do
    if not env or env[name] == nil then names[#names + 1] = name end
  end
  return names[1] and names or nil
end

--- The environment of a podman client that is told to pass them on.
---@param base string[] "NAME=value"
---@param held axo.Secrets?
---@return string[]
function secrets.client_env(base, held)
  if not held then return base end
  local list = {}
  for _, entry in ipairs(base) do
    if not held.values[entry:match "^[^=]*"] then list[#list + 1] = entry end
  end
  for _, name in ipairs(held.names) do list[#list + 1] = name .. "=" .. held.values[name] end
  return list
end

return secrets
