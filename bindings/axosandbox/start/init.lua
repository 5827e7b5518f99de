--- Starting a session: find podman, decide, run, verify, provision. A start that fails
--- leaves nothing behind; one that succeeds says what it had to give up.
local uv = require "luv"
local audit_session = require "axosandbox.audit.session"
local await = require "axosandbox.base.await"
local ending = require "axosandbox.session.ending"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local decide = require "axosandbox.start.decide"
local extra = require "axosandbox.host.mounts.extra"
local forwards = require "axosandbox.start.forwards"
local guest = require "axosandbox.way.native.guest"
local host = require "axosandbox.host"
local under_way = require "axosandbox.start.under_way"
local learnt = require "axosandbox.start.learnt"
local leftovers = require "axosandbox.session.leftovers"
local names_files = require "axosandbox.network.names.files"
local native = require "axosandbox.way.native"
local network = require "axosandbox.network"
local own_files = require "axosandbox.host.own_files"
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

local starting = { decide_sandbox = decide.sandbox }

local must = errors.must

local DEFAULT_TIMEOUT = 120
local REUSE_PAUSE = 0.2

-- ---- the lock ------------------------------------------------------------------------

-- False when somebody else holds it.
local function take_lock(start)
  local lock, err = session_lock.take(start.place, true)
  if not lock and err.code ~= "EBUSY" then error(err, 0) end
  start.lock = lock
  return lock ~= nil
end

local function lock(start)
  if take_lock(start) then return end
  errors.raise {
    code = "IN_USE", op = "start",
    message = ("the session %q is in use: it is open somewhere, or being started"):format(start.id),
    hint = hints.TABLE.in_use.lua,
  }
end

-- ---- after podman run ----------------------------------------------------------------

-- podman knows nothing of it, so it is in another store, and its files are in our place.
local function rival(start)
  errors.raise {
    code = "IN_USE", op = "start",
    message = ("a session %q runs already, in another of podman's stores"):format(start.id),
    hint = "choose another id, or stop it with the podman that started it",
  }
end

local function make_directory(start)
  local err
  start.dir, err = start.place:dir()
  must(start.dir, err)
end

local function run(start)
  local container = session_user.run(start)
  start.container = container
  -- The container is a new one: what an older one of this id left here means nothing any more.
  if not leftovers.remove_directory(start.dir, container.instance) then rival(start) end
  make_directory(start)
  settle.verify(start)
  settle.keep(start)
end

local function record_of(start)
  return {
    id = start.id,
    container = start.plan.name,
    container_id = start.container.id,
    pid = start.container.pid,
    instance = start.container.instance,
    link_dir = start.container.link_dir,
    dir = start.asked.dir,
    mounted = root.known(start.asked.dir, start.plan.root),
    image = start.plan.base_image or start.plan.image,
    network = start.plan.network,
    allow = start.plan.allow,
    confirm = start.asked.confirm,
    ports = start.ports,
    publish_address = start.plan.publish_address,
    extra_mounts = start.plan.extra_mounts,
    limits = start.limits,
    warnings = start.warnings,
    client = start.client,
    policy = start.set,
    lock = start.lock,
    place = start.place,
    kind = "started",
    owned = true,
    exec = start.sandbox.exec or {},
    timeouts = start.sandbox.timeouts or {},
    user = start.sandbox.user,
    runtime_dir = start.dir,
    secrets = start.secrets,
  }
end

-- Their files and commands have deadlines of their own.
local function resolve_secrets(start)
  start.secrets = start:off_the_clock(secrets.resolve, start.asked.env_from, {
    dirs = extra.written(start.asked.mounts, { start.asked.dir, start.asked.source }),
    on_process = function(process) start.current = process end,
  })
end

-- ---- the sequence --------------------------------------------------------------------

local function prepare(start)
  decide.check_way()
  must(request.find_directory(start.asked))
  host.avoid(start.asked.source)
  start.client = must(podman.client())
  must(own_files.check(start.asked.source, start.client.program))
  must(start.set, start.set_error)
  must(extra.find(start.asked.mounts, start.asked, start.client.program,
    start.client:is_remote()))
  for _, it in ipairs(start.asked.mounts) do host.avoid(it.source_real) end
  start.place = must(place.own(start.id))
  decide.plan(start)
  local timeouts = start.sandbox.timeouts or {}
  start.pull_timeout = timeouts.pull
  start:set_deadline(timeouts.start or DEFAULT_TIMEOUT)
end

-- Before anything runs in it: a session that could not reach what it was given is none.
local function open_network(start, record)
  if not start.plan.allow then return end
  local ok, problem = names_files.keep(start.dir, record.instance,
    { allow = start.plan.allow, fixed = start.has_fixed_names or nil })
  if not ok then
    errors.raise { code = "IO", op = "start",
      message = "the session's list of names cannot be written: " .. tostring(problem),
      hint = hints.TABLE.session_files.lua }
  end
  start.entered = must(native.connect(record))
  record.entered = start.entered
  must(network.open(start.entered, { confirm = record.confirm }))
end

local function start_anew(start)
  resolve_secrets(start)
  make_directory(start)
  session_file.begin(start.dir)
  learnt.apply(start)
  provision.look_up(start)
  forwards.refuse_taken(start)
  run(start)
  provision.apply(start, run)
  local record = record_of(start)
  must(secrets.keep(record))
  open_network(start, record)
  provision.post_create(start, record)
  start:check_cancelled()
  must(session_lock.share(start.lock, start.id))
  return record
end

-- Until there is a session to open, or none and the right to start it.
local function reuse_or_lock(start)
  while true do
    local record, err = reuse.find(start)
    if record then return record end
    if err and err.code ~= "STARTING" then error(err, 0) end
    if take_lock(start) then return nil end
    start:check_stopped()
    await.sleep(REUSE_PAUSE)
  end
end

local function join(start, record)
  local _ <close> = errors.finally(function(err)
    if err then reuse.leave(record) end
  end)
  resolve_secrets(start)
  start:check_cancelled()
  reuse.apply(start, record)
  record.confirm = start.asked.confirm
  return record
end

local function establish(start)
  prepare(start)
  if not start.asked.reuse then lock(start) end
  local record = start.asked.reuse and reuse_or_lock(start)
  return record and join(start, record) or start_anew(start)
end

-- A container that this start did not make, and its files, are left alone.
local function abandon(start)
  if start.entered then
    if start.entered.network then start.entered.network:close() end
    start.entered:close(nil, function() end)
  end
  if start.container then
    local ok, err = leftovers.remove(start.client, start.container.id)
    if not ok then start:warn("a failed start left a container: " .. tostring(err)) end
    leftovers.remove_directory(start.dir)
    guest.forget(start.container.instance, start.dir)
  elseif start.dir then
    session_file.abandon(start.dir)
  end
  if start.lock then session_lock.release(start.lock, start.place) end
end

-- The guest was run, and has ended without a word: the container went with it.
local function has_lost_its_guest(sb, record)
  return record.kind == "started" and record.link_dir ~= nil and record.pid ~= nil
    and sb:path() ~= "native" and not uv.fs_stat("/proc/" .. record.pid)
end

local begin

-- That the portable way is taken has been said already.
local function begin_without_guest(start, record)
  start.lost_guest = true
  start.lock, start.container, start.dir = nil, nil, nil
  local _, err = await.call(function(done) return ending.remove(record, done) end)
  if err then return nil, err end
  return begin(start)
end

function begin(start)
  local ok, record = xpcall(establish, errors.trace, start)
  if ok then
    local sb = sessions.session(record)
    if has_lost_its_guest(sb, record) then return begin_without_guest(start, record) end
    return forwards.open(start, sb, record)
  end
  abandon(start)
  if start.cancelled and errors.is_error(record) then return nil, start:stopped() end
  return nil, errors.wrap(record, "start")
end

local function begin_on_record(start)
  local sb, err = begin(start)
  audit_session.started(start, sb, err)
  -- Not before: the error may hold what a command printed.
  if not sb then secrets.release(start.secrets) end
  return sb, err
end

local function new_start(opts, level)
  local asked = request.check(opts, level + 1)
  local set, err = policy.checked(opts.policy, level + 1)
  if set then set.session = asked.id end
  local start = under_way.new { id = asked.id, asked = asked, set = set, set_error = err }
  start:set_deadline(DEFAULT_TIMEOUT)
  return start
end

---@class axo.StartOptions
---@field id string [A-Za-z0-9][A-Za-z0-9_.-]{0,62}
---@field dir string an existing directory, absolute
---@field image string? an OCI reference; policy decides whether it is trusted
---@field ports integer[]? published 1:1; without a network of podman's they are forwards of this process, as of sb:forward
---@field publish "podman"|"forward"|nil by whom: podman's ports are reached while no process has the session open, too, and need the network "bridge"
---@field optional { image: boolean?, ports: integer[]? }? image: another one may run where policy refuses it; ports: published where nobody holds them. What is not optional is an error
---@field mounts axo.ExtraMount[]? directories besides `dir`, read-only unless they say otherwise; policy decides on each, and who asks for one gets it or an error
---@field post_create string[]? shell commands; run only when policy allows it
---@field env table<string, string>?
---@field env_from table<string, axo.SecretSource>? secrets, by the name of their variable
---@field user string? NAME|UID[:GROUP|GID] of the image; policy decides
---@field remote_user string? whom its commands will run as: where podman is rootless everything does, so that it can write the directory
---@field policy table? overrides for this session
---@field narrow axo.Narrow? what it gets at most, whatever policy decides: see axo.defaults
---@field confirm (fun(question: axo.Question, answer: fun(agreed: boolean)): (fun())?)? is called where policy wants somebody asked; calls `answer` now or later; may return a function that takes the question back
---@field reuse boolean? open the running session of this id, if it is the same
---@field keep boolean? a label says that it is meant to outlive this process; nothing else changes

--- Starts a session: its own container, with `dir` mounted read-write at the same path.
---
--- A stale container of this id is removed; one that a live host uses is an error with code
--- "IN_USE", unless `reuse` is set and it has the same directory and image, no network where this
--- start has none and no larger limits than `policy.limits`: then that session is opened. `env`
--- and `env_from` go to what is started here; a port that it does not publish, a network that it
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
---@param callback fun(err: axo.Error?, sb: axo.Session?)?
---@return axo.Session? sandbox, axo.Error? err
function starting.start(opts, callback)
  local start = new_start(opts, 2)
  return await.sequence(function() return begin_on_record(start) end, callback,
    function() start:cancel() end)
end

---@class axo.Record what is known of a running container
---@field kind "started"|"opened"|"attached"
---@field owned boolean started here: closing it ends the session
---@field id string
---@field container string its name
---@field container_id string
---@field pid integer? its first process, when it runs on this machine
---@field link_dir string? where its guest looks for our socket
---@field no_link any? why there is no such directory, though it has a guest
---@field dir string
---@field allow string[]? what a session with a network by names reaches
---@field confirm function? that of its start
---@field image string
---@field ports integer[] published
---@field publish_address string? where they are published
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
---@field unmet_properties axo.DevcontainerReport[]? of its devcontainer.json

return starting
