-- @runs native-root native-user
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"
local guest = require "axosandbox.way.native.guest"
local uv = require "luv"

local LINKS = "/run/.axosandbox"

describe("a hostile process in the container", function()
  e2e.housekeeping(_ENV)
  local sb, view
  setup(function()
    sb = native.start()
    view = e2e.probe.container(sb:container())
    e2e.proc.must { "cc", "-std=gnu11", "-O1", "-static", "-o", sb:root() .. "/hostile",
      "spec/support/hostile.c" }
  end)
  teardown(function() sb:stop() end)

  local function assert_well()
    for _ = 1, 10 do
      local r = assert(sb:exec({ "echo", "well" }, { timeout = 60 }))
      assert.equal("well\n", r.stdout)
    end
    local task = assert(sb:spawn_background "echo task")
    assert(task:wait())
    assert.equal("task\n", task:log())
    assert.equal("native", sb:path())
  end

  local function open_descriptors()
    local count, scan = 0, assert(uv.fs_scandir "/proc/self/fd")
    while uv.fs_scandir_next(scan) do count = count + 1 end
    return count
  end

  local function from_podman(script)
    return e2e.podman.run("exec", sb:container(), "sh", "-c", script)
  end

  local function sb_instance()
    return e2e.podman.inspect(sb:container()).Config.Labels["axosandbox.instance"]
  end

  -- Puts the directory of the sockets back where processes in the container see it.
  local function show_sockets()
    local directory = assert(guest.link_dir(sb_instance()))
    assert(uv.fs_rename(directory .. ".in", directory .. "/in"))
  end

  it("finds no socket, however many look for one while hosts come and go", function()
    local impostors = assert(sb:spawn_background(
      ("for i in $(seq 20); do ./hostile %s & ./hostile %s/in & done; wait"):format(LINKS, LINKS)))
    e2e.eventually(function() return #view.find "./hostile" >= 20 end, "impostors")
    for _ = 1, 3 do
      local other = native.open(sb:id())
      assert.equal("through\n",
        assert(other:exec({ "echo", "through" }, { timeout = 60 })).stdout)
      other:__close()
    end
    assert.equal("", impostors:log())
    assert(impostors:stop())
    assert.equal("", assert(sb:exec { "ls", "-A", LINKS }).stdout)
    assert_well()
  end)

  it("that reaches a socket before the guest does, and talks, and holds on, is not believed",
    function()
      local before
      local impostor = assert(sb:spawn_background { "./hostile", LINKS .. "/in" })
      for round = 1, 6 do
        show_sockets()
        local other = native.open(sb:id())
        local r = assert(other:exec({ "echo", "through" }, { timeout = 60 }))
        assert.equal("through\n", r.stdout)
        other:__close()
        if round == 2 then before = open_descriptors() end
      end
      e2e.eventually(function() return open_descriptors() <= before end,
        "its connections being closed")
      assert_well()
      assert(impostor:stop())
    end)

  it("has the container's own /dev/null for its stdin, not the host's", function()
    local r = assert(sb:exec { "sh", "-c",
      "stat -L -c '%d %i' /proc/self/fd/0; stat -c '%d %i' /dev/null; echo x >&0" })
    local given, own = r.stdout:match "^(%d+ %d+)\n(%d+ %d+)\n$"
    assert.truthy(given)
    assert.equal(own, given)
    local ours = uv.fs_stat "/dev/null"
    local is_ours = given == ("%d %d"):format(ours.dev, ours.ino)
    -- A rootless podman has no other, and nobody inside has power over it.
    assert.equal(uv.getuid() ~= 0, is_ours)
    if is_ours then
      assert.are_not.equal(0, assert(sb:exec { "sh", "-c", "chmod 600 /proc/self/fd/0" }).code)
      assert.equal(ours.mode, uv.fs_stat("/dev/null").mode)
    end
    assert.are_not.equal(0, r.code) -- it is open for reading alone
  end)

  it("finds no socket while nobody is awaited", function()
    assert.equal("", assert(sb:exec { "ls", "-A", LINKS }).stdout)
  end)

  it("can neither replace nor remove nor change the sockets", function()
    for _, script in ipairs { "ln -sf /tmp/x " .. LINKS .. "/x.sock", "chmod 777 " .. LINKS,
      "mkdir " .. LINKS .. "/x.sock", "rmdir " .. LINKS, "echo x > " .. LINKS .. "/y.sock",
      "mount -o remount,rw " .. LINKS, "umount " .. LINKS, "rm -f /run/.axosandbox-guest",
      "echo x >> /run/.axosandbox-guest" } do
      assert(assert(sb:exec { "sh", "-c", script }).code ~= 0, script .. " succeeded")
    end
    assert_well()
  end)

  it("cannot kill, stop, trace or look into the guest", function()
    for _, script in ipairs { "kill -9 1; kill -STOP 1; kill -TERM 1; kill -SEGV 1; kill -USR1 1",
      "kill -15 1; kill -1 1; kill -2 1; kill -3 1; true" } do
      assert(sb:exec({ "sh", "-c", script }, { timeout = 60 }))
      if not e2e.podman.inspect(sb:container()).State.Running then
        error("the guest is gone after " .. script)
      end
    end
    for _, script in ipairs { "cat /proc/1/mem", "cat /proc/1/environ", "cat /proc/1/maps",
      "readlink /proc/1/fd/0", "readlink /proc/1/exe", "ls /proc/1/root/" } do
      local r = assert(sb:exec({ "sh", "-c", script }, { timeout = 60 }))
      assert(r.code ~= 0, script .. " succeeded: " .. r.stdout)
    end
    assert_well()
  end)

  it("cannot have the guest killed first when memory is short, nor starved, nor leave", function()
    e2e.proc.must { "cc", "-std=gnu11", "-O1", "-static", "-o", sb:root() .. "/first",
      "spec/support/first_process.c" }
    for _, user in ipairs { "0", "1000" } do
      local r = assert(sb:exec({ "./first" }, { user = user, timeout = 60 }))
      assert.equal("own 45\n", r.stdout, user)
    end
    assert_well()
  end)

  it("cannot take all that the kernel counts for a user, here and on the host", function()
    local own = e2e.temp.read "/proc/self/limits"
    for name, most in pairs { ["pending signals"] = 4096, ["msgqueue size"] = 262144 } do
      local words = "Max " .. name .. " +%S+ +(%S+)"
      local hard = tonumber(own:match(words)) or math.huge
      for _, user in ipairs { "0", "1000" } do
        local inside = assert(sb:exec({ "cat", "/proc/self/limits" }, { user = user })).stdout
        local found = tonumber(inside:match(words))
        assert(found and found <= math.min(most, hard / 4), name .. ": " .. inside)
      end
    end
  end)

  it("that kills everything, supervisors too, ends no more than that", function()
    assert_well()
    local outcome
    assert(sb:exec({ "sleep", "1000" }, {}, function(err, r) outcome = { err = err, r = r } end))
    view.await "sleep 1000"
    local task = assert(sb:spawn_background { "sleep", "1001" })
    from_podman "kill -9 -1"
    e2e.eventually(function() return outcome end, "the end of the exec")
    assert.equal("KILL", outcome.r and outcome.r.signal)
    e2e.eventually(function() return not task:is_running() end, "the end of the task")
    assert_well()
    assert(sb:exec({ "sh", "-c", "kill -9 -1; kill -9 $$" }, { timeout = 60 }))
    -- A command that comes while the supervisors die may be hit with them.
    e2e.eventually(function() return assert(sb:exec { "true" }):ok() end, "the end of the killing")
    assert_well()
  end)

  it("that stops everything, supervisors too, holds nothing up", function()
    assert_well()
    local outcome
    assert(sb:exec({ "sleep", "1000" }, { timeout = 1, grace = 0.2 }, function(err, r)
      outcome = { err = err, r = r }
    end))
    view.await "sleep 1000"
    from_podman "kill -STOP -1"
    assert_well()
    e2e.eventually(function() return outcome end, "the end of the exec")
    view.await_gone "sleep 1000"
    from_podman "kill -STOP -1"
    assert_well()
    assert(sb:kill_all())
    assert_well()
  end)
end)
