-- @runs native-user portable-root
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local engine_host = require "axosandbox.host"
local cli = require "spec.support.cli"
local session_lock = require "axosandbox.host.session_lock"
local uv = require "luv"
local podman = e2e.podman

local function ids_of(list)
  local ids = {}
  for _, session in ipairs(list) do ids[session.id] = session end
  return ids
end

-- The sessions of this machine that are none of these specs' business.
local function strangers()
  local known = {}
  for _, session in ipairs(assert(axo.list())) do
    if session.id:sub(1, #e2e.temp.run_name()) ~= e2e.temp.run_name() then
      known[#known + 1] = session.id
    end
  end
  return known
end

local function reap(...)
  local known = strangers()
  table.move({ ... }, 1, select("#", ...), #known + 1, known)
  return assert(axo.reap_orphans(known))
end

-- A container whose host was killed.
local function orphan()
  local options = e2e.options()
  local host = e2e.host.with_session(options)
  host:wait_for "started (%S+)"
  host:kill()
  host:wait(true)
  return "axo-ses-" .. options.id, options
end

describe("reaping orphans", function()
  e2e.housekeeping(_ENV)

  it("removes what a dead host left, and leaves what a live one uses", function()
    local mine = e2e.start()
    local other_options = e2e.options()
    local other = e2e.host.with_session(other_options)
    local others = other:wait_for "started (%S+)"
    local known_container, known = orphan()
    local stranger = podman.start()
    local dead = orphan()

    reap(known.id)
    assert.is_false(podman.exists(dead))
    assert.is_true(podman.exists(mine:container()))
    assert.is_true(podman.exists(others))
    assert.is_true(podman.exists(known_container))
    assert.is_true(podman.exists(stranger))

    assert(mine:stop())
    other:kill()
    other:wait(true)
    reap()
    assert.is_false(podman.exists(others))
    assert.is_false(podman.exists(known_container))
    assert.is_true(podman.exists(stranger))
  end)

  it("leaves one that a live host has only opened", function()
    local container, options = orphan()
    local opened = assert(axo.open(options.id))
    reap()
    assert.is_true(podman.exists(container))
    assert(opened:stop())
  end)

  it("leaves one that was kept while something runs in it, and takes it by force", function()
    local id = e2e.new_id()
    local run = { "--id", id, "--dir", e2e.temp.dir "work", "--image", e2e.images.base(),
      "--allow-untrusted-image", "--network", "none", "true" }
    assert.equal(0, cli.run({ "run", "-q", "--keep", table.unpack(run) }).code)
    local foreseen = assert(axo.reap_orphans(strangers(), { dry_run = true }))
    assert.is_truthy(ids_of(foreseen.removed)[id])
    podman.must("exec", "-d", "axo-ses-" .. id, "sleep", "1000")
    local skipped = ids_of(reap().skipped)[id]
    assert.matches("kept, and %S*sleep runs in it", skipped.reason)
    assert.is_true(skipped.busy)
    assert.matches("left alone " .. id:gsub("%-", "%%-") .. ": [^\n]*%-%-force",
      cli.run({ "reap", "-n" }).stdout)
    assert.is_true(podman.exists("axo-ses-" .. id))
    assert(axo.reap_orphans(strangers(), { force = true }))
    assert.is_false(podman.exists("axo-ses-" .. id))
  end)
end)

-- What lies in the runtime directory of a session and of its container.
local function remains(id, instance)
  local base = assert(engine_host.runtime_dir())
  local found = {}
  for _, path in ipairs { id, ".locks/" .. id .. ".lock", ".links/" .. instance,
    ".links/" .. instance .. ".in" } do
    if uv.fs_lstat(base .. "/" .. path) then found[#found + 1] = path end
  end
  return found
end

local function instance_of(container)
  return podman.inspect(container).Config.Labels["axosandbox.instance"]
end

describe("what a host that was killed left in the runtime directory", function()
  e2e.housekeeping(_ENV)

  it("is removed with its container", function()
    local container, options = orphan()
    local instance = instance_of(container)
    assert(#remains(options.id, instance) > 0)
    reap()
    assert.same({}, remains(options.id, instance))
  end)

  it("is removed when its container is gone already", function()
    local container, options = orphan()
    local instance = instance_of(container)
    podman.must("rm", "-f", "-t", "0", container)
    reap()
    assert.same({}, remains(options.id, instance))
  end)

  it("is removed when the session is started anew", function()
    for _, is_gone in ipairs { true, false } do
      local container, options = orphan()
      local instance = instance_of(container)
      if is_gone then podman.must("rm", "-f", "-t", "0", container) end
      local sb = assert(axo.start(options))
      assert.is_nil(uv.fs_lstat(engine_host.runtime_dir() .. "/.links/" .. instance))
      local current = instance_of(container)
      assert.equal("here\n", assert(sb:exec { "echo", "here" }).stdout)
      assert(sb:stop())
      assert.same({}, remains(options.id, current))
    end
  end)

  it("is removed when the host was killed in mid-start", function()
    local options = e2e.options()
    local file = e2e.temp.dir() .. "/pid"
    local program, calls = podman.recording(
      ('[ "$1" = run ] && { echo $$ > %s; exec sleep 1000; }'):format(file))
    local host = e2e.host.start("axo.start(options)",
      { options = options, env = { AXOSANDBOX_PODMAN = program } })
    local pid = e2e.eventually(function()
      return tonumber(e2e.temp.read(file) or "")
    end, "podman run")
    local instance = table.concat(calls(), "\n"):match "axosandbox%.instance=(%x+)"
    assert(#remains(options.id, instance) > 0)
    host:kill()
    host:wait(true)
    uv.kill(pid, "sigkill")
    reap()
    assert.same({}, remains(options.id, instance))
  end)
end)

describe("stopping a session by its id", function()
  e2e.housekeeping(_ENV)

  local STATES = { running = { "inspect" }, exited = { "kill" } }
  if podman.has_own_cgroup() then STATES.paused = { "pause" } end
  for state, how in pairs(STATES) do
    it("removes it and its files, and nothing else, when it is " .. state, function()
      local other = orphan()
      local container, options = orphan()
      local instance = instance_of(container)
      podman.must(how[1], container)
      e2e.eventually(function()
        return podman.inspect(container).State.Status == state
      end, "a container that is " .. state)
      local result = cli.run { "stop", options.id }
      assert.equal(0, result.code, result.stderr)
      assert.is_false(podman.exists(container))
      assert.same({}, remains(options.id, instance))
      assert.is_true(podman.exists(other))
    end)
  end

  it("waits for nobody who starts or removes it just now, and leaves it to them", function()
    local container, options = orphan()
    local lock = assert(session_lock.take(options.id, true))
    local ok, err = axo.stop(options.id)
    session_lock.release(lock, options.id)
    assert.is_nil(ok)
    assert.equal("STARTING", err.code)
    assert.is_true(podman.exists(container))
    assert.is_true(axo.stop(options.id))
    assert.is_false(podman.exists(container))
    ok, err = axo.stop(options.id)
    assert.is_nil(ok)
    assert.equal("NOT_FOUND", err.code)
  end)

  it("ends what its other handles have in flight", function()
    local sb = e2e.start()
    local outcome
    assert(sb:exec({ "sleep", "1000" }, {}, function(err, r) outcome = err or r end))
    assert(axo.stop(sb:id()))
    e2e.eventually(function() return outcome end, "the end of the command")
    assert(sb:stop())
  end)
end)

describe("opening a session again", function()
  e2e.housekeeping(_ENV)

  it("leaves its container and what runs in it untouched", function()
    local container, options = orphan()
    local before = podman.id(container)
    local mark = e2e.probe.unique_sleep()
    podman.must("exec", "-d", container, "sleep", mark)
    local view = e2e.probe.container(container)
    view.await(mark)
    local sb = assert(axo.open(options.id))
    assert.equal(container, sb:container())
    assert.equal(options.dir, sb:root())
    assert.equal(before, podman.id(container))
    assert.truthy(view.find(mark)[1])
    assert.equal("here\n", assert(sb:exec { "echo", "here" }).stdout)
    assert(sb:stop())
  end)

  it("tells what it was started with", function()
    local _, options = orphan()
    local sb = assert(axo.open(options.id))
    assert.equal(options.dir, sb:root())
    assert.same({}, sb:ports())
    assert.is_table(sb:limits())
    assert(sb:stop())
  end)

  it("keeps it when the handle is closed or collected, and ends it when it is stopped", function()
    local container, options = orphan()
    do
      local sb <close> = assert(axo.open(options.id))
      assert.equal(container, sb:container())
    end
    assert.is_true(podman.exists(container))
    assert(axo.open(options.id))
    collectgarbage()
    collectgarbage()
    e2e.proc.turn(5)
    assert.is_true(podman.exists(container))
    assert(assert(axo.open(options.id)):stop())
    assert.is_false(podman.exists(container))
  end)

  it("that is not running is an error that says so", function()
    local sb, err = axo.open "axotest-no-such-session"
    assert.is_nil(sb)
    assert.truthy(err.code)
    assert.matches("axotest%-no%-such%-session", tostring(err))
  end)

  it("with reuse takes the running one, if directory and image are the same", function()
    local container, options = orphan()
    local before = podman.id(container)
    options.reuse = true
    local sb = assert(axo.start(options))
    assert.equal(before, podman.id(container))
    assert.equal(0, assert(sb:exec { "true" }).code)
    local other = e2e.options { id = options.id, reuse = true }
    local second, err = axo.start(other)
    assert.is_nil(second)
    assert.truthy(err.code)
    assert.equal(before, podman.id(container))
    assert(sb:stop())
  end)

  it("with reuse takes none that has more than is asked for", function()
    local container, options = orphan()
    options.reuse, options.policy.limits = true, { memory = "64m" }
    local sb, err = axo.start(options)
    assert.is_nil(sb)
    assert.equal("IN_USE", err.code)
    assert.matches("larger limit on memory", err.message)
    options.policy.limits = { memory = "900g" }
    assert(assert(axo.start(options)):stop())
    assert.is_false(podman.exists(container))
  end)

  it("with reuse takes none with a network where none is asked for", function()
    local options = e2e.options { policy = { network = "bridge" }, reuse = true }
    local sb = assert(axo.start(options))
    assert(sb:exec { "true" })
    options.policy.network = "none"
    local second, err = axo.start(options)
    assert.is_nil(second)
    assert.equal("IN_USE", err.code)
    assert.matches("with a network", err.message)
    assert(sb:stop())
  end)

  local SHOW = { "sh", "-c", 'echo "$ONE|$TOKEN"' }

  it("with reuse gives variables and secrets to the commands of this handle", function()
    local _, options = orphan()
    options.reuse, options.env = true, { ONE = "1", TOKEN = "none" }
    options.env_from = { TOKEN = { command = "echo s3cr3t" } }
    local sb = assert(axo.start(options))
    assert.equal("1|s3cr3t\n", assert(sb:exec(SHOW)).stdout)
    assert.equal("2|own\n",
      assert(sb:exec(SHOW, { env = { ONE = "2", TOKEN = "own" } })).stdout)
    local task = assert(sb:spawn_background(SHOW))
    task:wait()
    assert.equal("1|s3cr3t\n", task:log())
    local other <close> = assert(axo.open(options.id))
    assert.equal("|\n", assert(other:exec(SHOW)).stdout)
    assert(sb:stop())
  end)

  it("with reuse lets newer secrets go before the session's, and says what they hide", function()
    local options = e2e.options { env_from = { TOKEN = { command = "echo first" },
      OTHER = { command = "echo other" } } }
    local first = assert(axo.start(options))
    options.reuse, options.env_from.OTHER = true, nil
    options.env_from.TOKEN.command, options.env = "echo second", { OTHER = "plain" }
    local sb <close> = assert(axo.start(options))
    local show = { "sh", "-c", 'echo "$TOKEN|$OTHER"' }
    assert.equal("second|other\n", assert(sb:exec(show)).stdout)
    assert.equal("first|other\n", assert(first:exec(show)).stdout)
    assert.matches("OTHER", table.concat(sb:warnings(), "\n"))
    options.env_from.TOKEN.command = "exit 3"
    local failed, err = axo.start(options)
    assert.is_nil(failed)
    assert.matches("TOKEN", err.message)
    assert.equal("first|other\n", assert(first:exec(show)).stdout)
    assert(first:stop())
  end)

  it("with reuse says what it has less of than was asked for", function()
    local _, options = orphan()
    options.reuse = true
    options.policy = { network = "bridge", limits = { memory = "900g" },
      allow_untrusted_image = true }
    local sb = assert(axo.start(options))
    local warnings = table.concat(sb:warnings(), "\n")
    assert.matches("no network", warnings)
    assert.matches("smaller limit on memory", warnings)
    assert(sb:stop())
  end)

  it("with reuse starts one when there is none", function()
    local sb = e2e.start { reuse = true }
    assert.equal(0, assert(sb:exec { "true" }).code)
    assert(sb:stop())
  end)
end)

describe("starting again", function()
  e2e.housekeeping(_ENV)

  it("replaces the stale container of a dead host", function()
    local container, options = orphan()
    local before = podman.id(container)
    local sb = assert(axo.start(options))
    assert.are_not.equal(before, podman.id(container))
    assert.equal(0, assert(sb:exec { "true" }).code)
    assert(sb:stop())
  end)

  it("is an error while a live host uses it, and harms nothing", function()
    local options = e2e.options()
    local host = e2e.host.with_session(options)
    local container = host:wait_for "started (%S+)"
    local before = podman.id(container)
    local sb, err = axo.start(options)
    assert.is_nil(sb)
    assert.equal("IN_USE", err.code)
    assert(#err.hint > 0)
    assert.equal(before, podman.id(container))
    host:kill()
    host:wait(true)
  end)

  it("is an error while podman cannot tell whose container holds the name", function()
    local container, options = orphan()
    local before = podman.id(container)
    local program = podman.recording([[
case "$*" in *inspect*) echo "Error: database is locked" >&2; exit 125 ;; esac]])
    podman.with(program, function()
      local sb, err = axo.start(options)
      assert.is_nil(sb)
      assert.equal("PODMAN", err.code)
      assert.matches(container .. " cannot be examined: database is locked", err.message, 1, true)
    end)
    assert.equal(before, podman.id(container))
    assert(assert(axo.open(options.id)):stop())
  end)

  it("is an error when the name belongs to a container that is not ours", function()
    local options = e2e.options()
    local argv = { "run", "-d", "--name", "axo-ses-" .. options.id, "--network", "none" }
    table.move(podman.run_flags(), 1, #podman.run_flags(), #argv + 1, argv)
    table.move({ options.image, "sleep", "1000" }, 1, 3, #argv + 1, argv)
    podman.must(table.unpack(argv))
    local before = podman.id("axo-ses-" .. options.id)
    local sb, err = axo.start(options)
    assert.is_nil(sb)
    assert.truthy(err.code)
    assert.equal(before, podman.id("axo-ses-" .. options.id))
  end)
end)

describe("the list of sessions", function()
  e2e.housekeeping(_ENV)

  it("holds this host's sessions, whoever started them, with what they are", function()
    local mine = e2e.start()
    local container, options = orphan()
    local ids = ids_of(assert(axo.list()))
    assert.truthy(ids[options.id])
    assert.equal(options.dir, ids[options.id].dir)
    assert.equal(container, ids[options.id].container)
    local seen = false
    for _, session in pairs(ids) do seen = seen or session.container == mine:container() end
    assert.is_true(seen)
    assert(mine:stop())
    podman.must("rm", "-f", "-t", "0", container)
    assert.is_nil(ids_of(assert(axo.list()))[options.id])
  end)
end)

describe("attaching to a container of somebody else", function()
  e2e.housekeeping(_ENV)

  it("gives a handle rooted at a subtree, and never removes the container", function()
    local dir = e2e.temp.dir "tree"
    e2e.proc.must { "mkdir", dir .. "/sub" }
    e2e.temp.write(dir .. "/sub/file", "content")
    local name = podman.start { "--network", "none", "-v", dir .. ":" .. dir }
    do
      local sb <close> = assert(axo.attach(name, dir .. "/sub"))
      assert.equal(name, sb:container())
      assert.equal(dir .. "/sub", sb:root())
      assert.equal(dir .. "/sub\n", assert(sb:exec { "pwd" }).stdout)
      assert.equal("content", assert(sb:read_file "file"))
      local mark = e2e.probe.unique_sleep()
      local view = e2e.probe.container(name)
      local r = assert(sb:exec({ "sleep", mark }, { timeout = 0.5 }))
      assert.is_true(r.timed_out)
      assert.equal(0, #view.find(mark))
    end
    assert.is_true(podman.exists(name))
  end)

  it("that does not run is an error", function()
    local sb, err = axo.attach("axotest-no-such-container", e2e.temp.dir())
    assert.is_nil(sb)
    assert.matches("axotest%-no%-such%-container", tostring(err))
  end)
end)

describe("what an opened session shows of the work of another host", function()
  e2e.housekeeping(_ENV)

  it("is the running tasks with their output, which can be stopped from here", function()
    local options = e2e.options()
    local mark = e2e.probe.unique_sleep()
    local host = e2e.host.start([[
      local sb = assert(axo.start(options.session))
      local task = assert(sb:spawn_background("echo from the other host; sleep " .. options.mark))
      while not task:log():find "host" do uv.run "once" end
      say("task", task.id)
      while true do uv.run "once" end
    ]], { options = { session = options, mark = mark } })
    local id = host:wait_for "task (%S+)"
    local view = e2e.probe.container("axo-ses-" .. options.id)
    view.await("sleep " .. mark)
    local sb = assert(axo.open(options.id))
    local task = assert(sb:get_task(id))
    assert.equal("running", task:status())
    assert.equal("from the other host\n", task:log())
    assert(task:stop())
    assert.equal(0, #view.find(mark))
    host:kill()
    host:wait(true)
    assert(sb:stop())
  end)
end)
