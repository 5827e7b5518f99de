--- Starting a session: find podman, decide, run, verify, provision. A start that fails
--- leaves nothing behind; one that succeeds says what it had to give up.
local uv = require "luv"
local core = require "axosandbox.core"
local audit_session = require "axosandbox.audit.session"
local await = require "axosandbox.base.await"
local ending = require "axosandbox.session.ending"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local guest = require "axosandbox.way.native.guest"
local host = require "axosandbox.host"
local image = require "axosandbox.podman.image"
local job_of = require "axosandbox.start.job"
local learnt = require "axosandbox.start.learnt"
local leftovers = require "axosandbox.session.leftovers"
local own_files = require "axosandbox.host.own_files"
local places = require "axosandbox.host.mounts.places"
local plan = require "axosandbox.start.plan"
local podman = require "axosandbox.podman"
local policy = require "axosandbox.policy"
local place = require "axosandbox.host.place"
local provision = require "axosandbox.start.provision"
local root = require "axosandbox.way.root"
local request = require "axosandbox.start.request"
local reuse = require "axosandbox.start.reuse"
local session_user = require "axosandbox.start.user"
local secrets = require "axosandbox.podman.secrets"
local session_file = require "axosandbox.session.record"
local session_lock = require "axosandbox.host.session_lock"
local sessions = require "axosandbox.session.sessions"
local settle = require "axosandbox.start.settle"
local tables = require "axosandbox.base.tables"
local unmet = require "axosandbox.policy.unmet"

local start = {}

local must = errors.must

local DEFAULT_TIMEOUT = 120
local REUSE_PAUSE = 0.2

-- ---- deciding ------------------------------------------------------------------------

local function decide_sandbox(set, asked, remote_user)
  local mounts
  if asked.source then asked.places, mounts = places.of(asked.source) end
  local decision, err = set:decide("sandbox", {
    id = asked.id, dir = asked.dir, dir_real = asked.source,
    places = asked.places, mounts = mounts, image = asked.image,
    ports = asked.ports, env = asked.env, env_names = tables.keys(asked.env),
    secret_names = tables.keys(asked.env_from),
    user = asked.user, remote_user = remote_user,
    host = {
      uid = uv.getuid(), home = uv.os_homedir(), os = uv.os_uname().sysname,
      rootless = uv.getuid() ~= 0,
    },
  })
  if not decision then return nil, err end
  if not decision.deny then return decision end
  return nil, errors.new {
    code = "POLICY", op = "start", message = "the session is refused: " .. decision.deny,
    hint = "see " .. set:source "sandbox",
  }
end

--- Asks the sandbox policy.
---@param set axo.Policy
---@param asked axo.Asked with `source`
---@param remote_user string? whom its commands are to run as
---@return axo.policy.SandboxDecision? decision, axo.Error? err code "POLICY" or "OWN_FILES"
function start.decide_sandbox(set, asked, remote_user)
  if asked.source then
    local ok, refusal = own_files.check(asked.source)
    if not ok then return nil, refusal end
  end
  return decide_sandbox(set, asked, remote_user)
end

-- A user that came with an image means nothing in another one.
local function settle_user(job, sandbox, chosen)
  local user = job.asked.user
  if not user then return end
  local is_replaced = job.asked.image and not image.may_be(job.asked.image, chosen.image)
  if is_replaced and sandbox.user == user and job.set:fields().user ~= user then
    sandbox.user = nil
  end
  if sandbox.user == user then return end
  job:warn(("the user %s was asked for, and the session runs as %s: %s"):format(
    user, sandbox.user or "the image's own", is_replaced and "another image runs" or "policy"),
    true)
end

local WAYS = { [""] = true, native = true, portable = true }

-- Which way is wanted is the user's to say; a word that says nothing must not choose one.
local function check_way()
  local wanted = os.getenv "AXOSANDBOX_PATH" or ""
  if WAYS[wanted] then return end
  errors.raise {
    code = "INVALID", op = "start",
    message = ("$AXOSANDBOX_PATH is %q, which is no way into a container"):format(wanted),
    hint = "set it to native or portable, or unset it",
  }
end

-- The native way needs our kernel under the container, and the guest's binary.
local function guest_for(job)
  if os.getenv "AXOSANDBOX_PATH" == "portable" or job.client:is_remote() or job.lost_guest then
    return nil
  end
  local binary, err = guest.binary()
  if err then job:warn("the portable path is used: " .. tostring(err)) end
  return binary
end

-- What policy gives back of the floor is said aloud. Without root it is the shipped policy's answer
-- that set-id bits may be set: what they lead to is the user, who has the directory anyway.
local function warn_of_the_floor(job)
  if job.plan.setuid and uv.getuid() == 0 then
    job:warn("policy lets this session make set-id programs (setuid): one that it leaves in its "
      .. "directory runs as root, whoever starts it")
  end
  if job.plan.nested_namespaces then
    job:warn("policy lets this session make namespaces of its own (nested_namespaces): it has "
      .. "every capability in them, reaches much more of the kernel, and may leave programs with "
      .. "capabilities in its directory")
  end
end

-- Without a network no port is published: who asked for one gets it, or an error.
local function tell_of_ports(job)
  local asked, is_own = job.asked, job.set:fields().network == "none"
  if #job.plan.ports == #asked.ports then return end
  local why = is_own and "no network was asked for"
    or "the sandbox policy gives this session no network"
  local required = {}
  for _, port in ipairs(asked.ports) do
    if asked.required_ports[port] then required[#required + 1] = tostring(port) end
  end
  if not required[1] then return job:warn("no port is published: " .. why, true) end
  errors.raise {
    code = is_own and "INVALID" or "POLICY", op = "start", port = tonumber(required[1]),
    message = ("the port %s was asked for and cannot be published: %s"):format(
      table.concat(required, ", "), why),
    hint = hints.TABLE[is_own and "port_and_no_network" or "port_without_network"].lua,
  }
end

local function make_plan(job)
  local asked = job.asked
  local sandbox = must(decide_sandbox(job.set, asked, asked.remote_user))
  local chosen = image.decide(job)
  if chosen.warning then job:warn(chosen.warning, asked.image ~= nil) end
  settle_user(job, sandbox, chosen)
  session_user.prefer(job, sandbox, chosen)
  -- From now on by the name that a short one stands for.
  if image.may_be(asked.image, chosen.image) then asked.image = chosen.image end
  unmet.tell_of_start(job, sandbox)
  local problem
  job.plan, problem = plan.new({
    guest = guest_for(job), search = not job.client:is_remote() and guest.search_binary() or nil,
    owner = host.identity(), version = core.version,
    place = job.place:path(), podman_dir = job.client:runtime_dir(),
    id = asked.id, dir = asked.dir, source = asked.source, image = asked.image,
    root = not job.client:is_remote() and asked.identity or nil,
    needs_image = asked.image ~= nil and not asked.optional_image, ports = asked.ports,
    required_ports = asked.required_ports, env = asked.env, keep = asked.keep,
    secret_names = next(asked.env_from) and tables.keys(asked.env_from) or nil,
  }, sandbox, chosen)
  if not job.plan then errors.raise { code = "POLICY", op = "start", message = problem } end
  tell_of_ports(job)
  warn_of_the_floor(job)
  job.sandbox = sandbox
  job.pull_timeout = sandbox.timeouts and sandbox.timeouts.pull
  job:set_deadline(sandbox.timeouts and sandbox.timeouts.start or DEFAULT_TIMEOUT)
end

-- ---- the lock ------------------------------------------------------------------------

-- False when somebody else holds it.
local function take_lock(job)
  local lock, err = session_lock.take(job.place, true)
  if not lock and err.code ~= "EBUSY" then error(err, 0) end
  job.lock = lock
  return lock ~= nil
end

local function lock(job)
  if take_lock(job) then return end
  errors.raise {
    code = "IN_USE", op = "start",
    message = ("the session %q is in use: it is open somewhere, or being started"):format(job.id),
    hint = hints.TABLE.in_use.lua,
  }
end

-- ---- after podman run ----------------------------------------------------------------

-- podman knows nothing of it, so it is in another store, and its files are in our place.
local function rival(job)
  errors.raise {
    code = "IN_USE", op = "start",
    message = ("a session %q runs already, in another of podman's stores"):format(job.id),
    hint = "choose another id, or stop it with the podman that started it",
  }
end

local function make_directory(job)
  local err
  job.dir, err = job.place:dir()
  must(job.dir, err)
end

local function run(job)
  local container = session_user.run(job)
  job.container = container
  -- The container is a new one: what an older one of this id left here means nothing any more.
  if not leftovers.remove_directory(job.dir, container.instance) then rival(job) end
  make_directory(job)
  settle.verify(job)
  settle.keep(job)
end

local function record_of(job)
  return {
    id = job.id,
    container = job.plan.name,
    container_id = job.container.id,
    pid = job.container.pid,
    instance = job.container.instance,
    link_dir = job.container.link_dir,
    dir = job.asked.dir,
    mounted = root.known(job.asked.dir, job.plan.root),
    image = job.plan.base_image or job.plan.image,
    network = job.plan.network,
    ports = job.ports,
    limits = job.limits,
    warnings = job.warnings,
    client = job.client,
    policy = job.set,
    lock = job.lock,
    place = job.place,
    kind = "started",
    owned = true,
    exec = job.sandbox.exec or {},
    timeouts = job.sandbox.timeouts or {},
    user = job.sandbox.user,
    runtime_dir = job.dir,
    secrets = job.secrets,
  }
end

-- Their files and commands have deadlines of their own.
local function resolve_secrets(job)
  job.secrets = job:off_the_clock(secrets.resolve, job.asked.env_from, {
    dirs = { job.asked.dir, job.asked.source },
    on_process = function(process) job.current = process end,
  })
end

-- ---- the sequence --------------------------------------------------------------------

local function prepare(job)
  check_way()
  must(request.find_directory(job.asked))
  host.avoid(job.asked.source)
  job.client = must(podman.client())
  must(own_files.check(job.asked.source, job.client.program))
  must(job.set, job.set_error)
  job.place = must(place.own(job.id))
  make_plan(job)
end

local function start_anew(job)
  resolve_secrets(job)
  make_directory(job)
  session_file.begin(job.dir)
  learnt.apply(job)
  provision.look_up(job)
  run(job)
  provision.apply(job, run)
  local record = record_of(job)
  must(secrets.keep(record))
  provision.post_create(job, record)
  job:check_cancelled()
  must(session_lock.share(job.lock, job.id))
  return record
end

-- Until there is a session to open, or none and the right to start it.
local function reuse_or_lock(job)
  while true do
    local record, err = reuse.find(job)
    if record then return record end
    if err and err.code ~= "STARTING" then error(err, 0) end
    if take_lock(job) then return nil end
    job:check_stopped()
    await.sleep(REUSE_PAUSE)
  end
end

local function join(job, record)
  local _ <close> = errors.finally(function(err)
    if err then reuse.leave(record) end
  end)
  resolve_secrets(job)
  job:check_cancelled()
  reuse.apply(job, record)
  return record
end

local function establish(job)
  prepare(job)
  if not job.asked.reuse then lock(job) end
  local record = job.asked.reuse and reuse_or_lock(job)
  return record and join(job, record) or start_anew(job)
end

-- A container that this start did not make, and its files, are left alone.
local function abandon(job)
  if job.container then
    local ok, err = leftovers.remove(job.client, job.container.id)
    if not ok then job:warn("a failed start left a container: " .. tostring(err)) end
    leftovers.remove_directory(job.dir)
    guest.forget(job.container.instance, job.dir)
  elseif job.dir then
    session_file.abandon(job.dir)
  end
  if job.lock then session_lock.release(job.lock, job.place) end
end

-- The guest was run, and has ended without a word: the container went with it.
local function has_lost_its_guest(sb, record)
  return record.kind == "started" and record.link_dir ~= nil and record.pid ~= nil
    and sb:path() ~= "native" and not uv.fs_stat("/proc/" .. record.pid)
end

local begin

-- That the portable way is taken has been said already.
local function begin_without_guest(job, record)
  job.lost_guest = true
  job.lock, job.container, job.dir = nil, nil, nil
  local _, err = await.call(function(done) return ending.remove(record, done) end)
  if err then return nil, err end
  return begin(job)
end

function begin(job)
  local ok, record = xpcall(establish, errors.trace, job)
  if ok then
    local sb = sessions.session(record)
    if has_lost_its_guest(sb, record) then return begin_without_guest(job, record) end
    return sb
  end
  abandon(job)
  if job.cancelled and errors.is_error(record) then return nil, job:stopped() end
  return nil, errors.wrap(record, "start")
end

local function begin_on_record(job)
  local sb, err = begin(job)
  audit_session.started(job, sb, err)
  -- Not before: the error may hold what a command printed.
  if not sb then secrets.release(job.secrets) end
  return sb, err
end

local function new_job(opts, level)
  local asked = request.check(opts, level + 1)
  local called, set, err = pcall(policy.new, opts.policy)
  if not called then error(set, level + 1) end
  if set then set.session = asked.id end
  local job = job_of.new { id = asked.id, asked = asked, set = set, set_error = err }
  job:set_deadline(DEFAULT_TIMEOUT)
  return job
end

---@class axo.StartOptions
---@field id string [A-Za-z0-9][A-Za-z0-9_.-]{0,62}
---@field dir string an existing directory, absolute
---@field image string? an OCI reference; policy decides whether it is trusted
---@field ports integer[]? published 1:1
---@field optional { image: boolean?, ports: integer[]? }? image: another one may run where policy refuses it; ports: published where nobody holds them. What is not optional is an error
---@field post_create string[]? shell commands; run only when policy allows it
---@field env table<string, string>?
---@field env_from table<string, axo.SecretSource>? secrets, by the name of their variable
---@field user string? NAME|UID[:GROUP|GID] of the image; policy decides
---@field remote_user string? whom its commands will run as: where podman is rootless everything does, so that it can write the directory
---@field policy table? overrides for this session
---@field confirm (fun(question: axo.Question, answer: fun(agreed: boolean)): (fun())?)? is called where policy wants somebody asked; calls `answer` now or later; may return a function that takes the question back
---@field reuse boolean? open the running session of this id, if it is the same
---@field keep boolean? a label says that it is meant to outlive this process; nothing else changes

--- Starts a session: its own container, with `dir` mounted read-write at the same path.
---
--- A stale container of this id is removed; one that a live host uses is an error with code
--- "IN_USE", unless `reuse` is set and it has the same directory and image, no network where this
--- start has none and no larger limits than `policy.limits`: then that session is opened. `env`
--- and `env_from` go to what this handle starts; a port that it does not publish, a network that it
--- lacks, another limit, and `user`, `post_create` and a size of /dev/shm, which are a start's alone,
--- are warnings.
---
--- Further codes: "ENOENT" (no podman, no such directory), "POLICY", "LIMITS", "TIMEOUT",
--- "CANCELLED", "CHANGED" (the directory was replaced meanwhile), "PODMAN" (with `class`, `stderr`,
--- `exit_code`). A wrong option raises. With a callback, the returned handle has `:cancel()`.
---
---     local sb <close> = assert(axo.start {
---       id = "example", dir = "/some/project",
---       policy = { network = "none", limits = { memory = "1g" } },
---     })
---     print(assert(sb:exec { "echo", "hello" }).stdout)
---@param opts axo.StartOptions
---@param callback fun(err: axo.Error?, sb: axo.Sandbox?)?
---@return axo.Sandbox? sandbox, axo.Error? err
function start.start(opts, callback)
  local job = new_job(opts, 2)
  return await.call(function(done)
    await.defer(function()
      await.spawn(function() return begin_on_record(job) end, done)
    end)
    return { cancel = function() job:cancel() end }
  end, callback)
end

---@class axo.Record what is known of a running container
---@field kind "started"|"opened"|"attached"
---@field owned boolean this handle started it: closing it ends the session
---@field id string
---@field container string its name
---@field container_id string
---@field pid integer? its first process, when it runs on this machine
---@field link_dir string? where its guest looks for our socket
---@field no_link any? why there is no such directory, though it has a guest
---@field dir string
---@field image string
---@field ports integer[] published
---@field limits axo.Limits
---@field warnings string[]
---@field client axo.Client
---@field policy axo.Policy
---@field exec { timeout: number?, max_output: integer? }
---@field timeouts { stop: number? }
---@field runtime_dir string private files of the session
---@field place axo.Place? where they lie; nil: those of a container that was attached to
---@field secrets axo.Secrets?
---@field env table<string, string>? what a start with `reuse` gives its commands
---@field defaults { env: table<string, string>?, cwd: string?, user: string? }? of its commands
---@field port_labels table<integer, string>?

return start
