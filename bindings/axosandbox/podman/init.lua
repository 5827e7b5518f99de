--- The podman of this host: finding it, asking it, understanding its complaints.
local uv = require "luv"
local cjson = require "cjson.safe"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local complaint = require "axosandbox.base.text.complaint"
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"
local package_manager = require "axosandbox.podman.package_manager"
local podman_dir = require "axosandbox.podman.dir"
local policy = require "axosandbox.policy"

local podman = {}

local DEFAULT_TIMEOUT = 60
local MAX_ANSWER = 16 * 1024 * 1024
local MAX_WATCHED = 1024 * 1024

---@class axo.Client
---@field program string absolute path of podman
---@field path string? the PATH that it was found by, and gets
---@field env string[] "NAME=value"
---@field dir string? the XDG_RUNTIME_DIR that it gets where that is not a login's
---@field firewall string? what netavark is told to write its rules with
---@field adaptations table as `podman.adaptations` found them when the client was made
local Client = {}
Client.__index = Client

local function ended_badly(result, opts)
  if result.timed_out then
    return "TIMEOUT", ("podman did not answer within %g s"):format(opts.timeout or DEFAULT_TIMEOUT)
  end
  if result.cancelled then return "CANCELLED", "cancelled" end
  if result.signal then return "PODMAN", "podman was killed by SIG" .. result.signal end
  if result.code ~= 0 then
    local cause = complaint.cause(result.stderr)
    if cause == "" then cause = ("podman ended with exit code %d"):format(result.code) end
    return "PODMAN", cause
  end
end

--- The error that a finished request amounts to; nil when it succeeded. An exit code of 0
--- counts only when nobody signalled the client: podman exits 0 on SIGTERM.
local function error_of(result, opts)
  local code, message = ended_badly(result, opts)
  if not code then return nil end
  return errors.new {
    code = code, op = opts.op or "podman", message = message, stderr = result.stderr,
    stdout = result.stdout,
    exit_code = result.code, signal = result.signal,
  }
end

--- The same of a podman that was run by other means.
---@type fun(result: table, opts: { op: string?, timeout: number? }): axo.Error?
podman.error_of = error_of

---@class axo.RequestOptions
---@field timeout number? seconds, 60 by default
---@field stdin string?
---@field max_output integer? bytes kept of each stream
---@field op string? for errors
---@field progress fun(bytes: string)? watches stderr

-- A stream that is watched is not collected; its words are needed all the same.
local function listener(progress)
  if not progress then return nil end
  local heard, total = {}, 0
  return function(bytes)
    total = total + #bytes
    if total <= MAX_WATCHED then heard[#heard + 1] = bytes end
    progress(bytes)
  end, heard
end

--- Runs one bounded management command. It runs in "/", because podman fails in a directory
--- that it cannot read.
---@param argv string[] from core.argv
---@param opts axo.RequestOptions?
---@param done fun(err: axo.Error?, result: table?) once, on a later turn of the loop
---@return userdata? process with :cancel(), axo.Error?
function Client:request(argv, opts, done)
  opts = opts or {}
  local watch, heard = listener(opts.progress)
  return core.spawn(argv, {
    env = self.env,
    cwd = "/",
    stdin = opts.stdin,
    timeout = opts.timeout or DEFAULT_TIMEOUT,
    max_output = opts.max_output or MAX_ANSWER,
    on_stderr = watch,
  }, function(result)
    if heard then result.stderr = table.concat(heard) end
    done(error_of(result, opts), result)
  end)
end

--- The same inside a coroutine.
---@param argv string[]
---@param opts axo.RequestOptions?
---@return table? result, axo.Error?
function Client:ask(argv, opts)
  return await.call(function(done) return self:request(argv, opts, done) end)
end

--- Asks for JSON inside a coroutine.
---@param argv string[]
---@param opts axo.RequestOptions?
---@return any answer, axo.Error?
function Client:ask_json(argv, opts)
  local result, err = self:ask(argv, opts)
  if not result then return nil, err end
  local answer, problem = cjson.decode(result.stdout)
  if answer == nil then
    return nil, errors.new {
      code = "PODMAN", op = opts and opts.op or "podman",
      message = "podman's answer is not JSON: " .. tostring(problem),
    }
  end
  return answer
end

--- What `podman inspect` says of one container, inside a coroutine.
---@param name string
---@param op string
---@return table? container, axo.Error? code "PODMAN" with podman's stderr when there is none
function Client:inspect(name, op)
  local argv, err = core.argv.inspect { podman = self.program, kind = "container", name = name }
  if not argv then return nil, err end
  local answer
  answer, err = self:ask_json(argv, { op = op })
  if not answer then return nil, err end
  local container = type(answer) == "table" and answer[1]
  if type(container) == "table" then return container end
  return nil, errors.new {
    code = "PODMAN", op = op, message = "podman's answer describes no container",
  }
end

--- Whether podman said that there is no such container. Any other failure leaves that open.
---@param err axo.Error
---@return boolean
function podman.is_missing(err)
  if err.code ~= "PODMAN" then return false end
  for _, words in ipairs { "no such container", "no such object", "no container with" } do
    if err.message:find(words, 1, true) then return true end
  end
  return false
end

--- True when podman's work is done on another machine, where this one's /proc and cgroups say
--- nothing of the container.
---@return boolean
function Client:is_remote()
  if self.remote == nil then
    local url, name = os.getenv "CONTAINER_HOST", os.getenv "CONTAINER_CONNECTION"
    self.remote = (url ~= nil and url ~= "") or (name ~= nil and name ~= "")
      or self.program:find "podman%-remote$" ~= nil or not host.is_linux()
  end
  return self.remote
end

--- Tells netavark what to write its rules with, where its own choice does not work. What made a
--- network must take it down too, so that this goes for every request.
---@param firewall "iptables"|"nftables"|nil nil: its own choice
function Client:use_firewall(firewall)
  self.firewall = firewall
  self.env = host.podman_env {
    NETAVARK_FW = firewall, XDG_RUNTIME_DIR = self.dir, PATH = self.path,
  }
end

--- The XDG_RUNTIME_DIR that a user's podman gets; root's needs none.
---@return string?
function Client:runtime_dir()
  return uv.getuid() ~= 0 and host.value_of(self.env, "XDG_RUNTIME_DIR") or nil
end

--- The client for a session that was started with another XDG_RUNTIME_DIR: there the OCI runtime
--- keeps what it knows of the container, and finds it nowhere else.
---@param session axo.SessionLabels
---@return axo.Client
function Client:for_session(session)
  local dir = session.podman_dir
  if not dir or dir == self:runtime_dir() or not host.is_own_dir(dir) then
    return self
  end
  local there = setmetatable({
    program = self.program, path = self.path, remote = self.remote, dir = dir,
  }, Client)
  there:use_firewall(self.firewall)
  return there
end

--- What an earlier start found out about this machine, and every one since does from the beginning.
---
---     local found = assert(axo.podman.detect())
---     print(axo.podman.adaptations(found.program).runtime)
---@param program string of podman
---@return { runtime: string?, firewall: string?, ulimits: string? }
function podman.adaptations(program)
  local known = host.recall("adaptations", program)
  return type(known) == "table" and known or {}
end

local function known_firewall(adaptations)
  local firewall = adaptations.firewall
  return (firewall == "iptables" or firewall == "nftables") and firewall or nil
end

-- What lies in a session's directory is not run here, which can be all of PATH.
local function not_found(override, path, err)
  local is_all_avoided = path == "" and (os.getenv "PATH" or "") ~= ""
  return errors.new {
    code = "ENOENT", op = "podman",
    message = is_all_avoided and "podman is not looked for: every directory of PATH lies in the "
      .. "session's directory, and programs from there are not run on this machine" or err.message,
    hint = is_all_avoided and "choose another directory"
      or not override and package_manager.hint() or err.hint,
  }
end

-- What it names depends on the current directory, which may be a session's.
local function relative(override)
  return errors.new {
    code = "ENOENT", op = "podman",
    message = ("the podman to use is the relative path %q"):format(override),
    hint = "give an absolute path, or a name to look up in PATH",
  }
end

--- Finds podman: $AXOSANDBOX_PODMAN (an absolute path, or a name to look up), else "podman" in
--- PATH.
---@param opts { podman: string? }?
---@return axo.Client?, axo.Error? code "ENOENT", with the command that installs it as hint
function podman.client(opts)
  local override = opts and opts.podman or os.getenv "AXOSANDBOX_PODMAN"
  if override == "" then override = nil end
  if override and override:find "^[^/]+/" then return nil, relative(override) end
  local path = os.getenv "PATH"
  path = path and host.program_path(path)
  local program, err = core.podman.find(override, path or "")
  if not program then return nil, not_found(override, path, err) end
  local client = setmetatable({ program = program, path = path }, Client)
  if uv.getuid() ~= 0 then client.dir = podman_dir.find(client) end
  client.adaptations = podman.adaptations(program)
  client:use_firewall(known_firewall(client.adaptations))
  return client
end

local RUNTIMES = { "crun", "runc" }
local FIREWALLS = { iptables = "iptables", nftables = "nft" }

--- The OCI runtimes that are installed.
---@return string[]
function podman.runtimes()
  local found = {}
  for _, name in ipairs(RUNTIMES) do
    if host.has_program(name) then found[#found + 1] = name end
  end
  return found
end

--- What netavark could write its rules with: those whose program is installed.
---@return string[] sorted
function podman.firewalls()
  local found = {}
  for name, program in pairs(FIREWALLS) do
    if host.has_program(program) then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

local function dig(t, ...)
  for _, key in ipairs { ... } do
    if type(t) ~= "table" then return nil end
    t = t[key]
  end
  if t == cjson.null then return nil end
  return t
end

local function describe(program, info)
  local limits = core.hard_limits()
  return {
    program = program,
    version = dig(info, "version", "Version"),
    rootless = dig(info, "host", "security", "rootless"),
    remote = dig(info, "host", "serviceIsRemote"),
    runtime = dig(info, "host", "ociRuntime", "name"),
    runtime_path = dig(info, "host", "ociRuntime", "path"),
    runtimes = podman.runtimes(),
    cgroup_version = dig(info, "host", "cgroupVersion"),
    cgroup_manager = dig(info, "host", "cgroupManager"),
    cgroup_controllers = dig(info, "host", "cgroupControllers"),
    network_backend = dig(info, "host", "networkBackend"),
    seccomp = dig(info, "host", "security", "seccompEnabled"),
    selinux = dig(info, "host", "security", "selinuxEnabled"),
    storage_driver = dig(info, "store", "graphDriverName"),
    storage_root = dig(info, "store", "graphRoot"),
    distribution = dig(info, "host", "distribution", "distribution"),
    hard_limits = limits and { nofile = limits.nofile, nproc = limits.nproc },
  }
end

--- What `podman info` says, in a coroutine.
---@param client axo.Client
---@return table? found, axo.Error?
function podman.describe(client)
  local info, err = client:ask_json(
    { client.program, "info", "--format", "json" }, { op = "detect", timeout = 30 })
  if not info then return nil, err end
  return describe(client.program, info)
end

---@class axo.PodmanFound
---@field program string
---@field version string
---@field rootless boolean
---@field remote boolean
---@field runtime string the OCI runtime that podman uses by default
---@field runtimes string[] those that are installed
---@field cgroup_version "v1"|"v2"
---@field cgroup_manager string
---@field cgroup_controllers string[] those that limits can use
---@field network_backend string
---@field seccomp boolean
---@field selinux boolean
---@field storage_driver string
---@field storage_root string
---@field distribution string?
---@field hard_limits { nofile: integer, nproc: integer }

--- Finds out what podman this host has.
---
--- Fails with code "ENOENT" when there is none (`hint` is the command that installs it), and
--- with podman's own complaint when it does not work.
---
---     local found = assert(axo.podman.detect())
---     print(found.version, found.rootless and "rootless" or "rootful")
---@param callback fun(err: axo.Error?, found: axo.PodmanFound?)?
---@return axo.PodmanFound? found, axo.Error?
function podman.detect(callback)
  return await.sequence(function()
    return podman.describe(errors.must(podman.client()))
  end, callback)
end

--- What a complaint of podman means, as the retry policy sees it. Exit codes do not classify:
--- the text does.
---
---     local meaning = assert(axo.podman.classify "Error: no space left on device")
---     print(meaning.class)
---@param stderr string
---@param exit_code integer?
---@return { class: string, subclass: string?, port: integer? }? meaning, axo.Error? code "POLICY"
function podman.classify(stderr, exit_code)
  if type(stderr) ~= "string" then
    error("axosandbox.podman.classify: stderr must be a string, got " .. type(stderr), 2)
  end
  local set, err = policy.new(nil)
  if not set then return nil, err end
  return set:decide("retry", { op = "classify", stderr = stderr, exit_code = exit_code })
end

return podman
