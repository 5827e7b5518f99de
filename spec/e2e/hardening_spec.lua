-- @runs native-root native-user portable-root portable-user
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local podman = e2e.podman

-- linux/capability.h: the capabilities that no policy may give back.
local FLOOR = {
  DAC_READ_SEARCH = 2, FSETID = 4, SETPCAP = 8, NET_ADMIN = 12, NET_RAW = 13, SYS_MODULE = 16,
  SYS_RAWIO = 17, SYS_PTRACE = 19, SYS_ADMIN = 21, SYS_BOOT = 22, SYS_TIME = 25, MKNOD = 27,
  AUDIT_WRITE = 29, SETFCAP = 31,
}
-- CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT
local KEPT = { 0, 1, 3, 5, 6, 7, 10, 18 }

local function has(mask, bit)
  return (tonumber(mask, 16) >> bit) & 1 == 1
end

local function assert_hardened(status)
  for _, set in ipairs { "CapEff", "CapBnd", "CapPrm", "CapInh", "CapAmb" } do
    local mask = assert(status:match(set .. ":%s*(%x+)"), "no " .. set .. " in " .. status)
    for name, bit in pairs(FLOOR) do
      assert(not has(mask, bit), ("%s has CAP_%s"):format(set, name))
    end
  end
  assert.equal("1", status:match "NoNewPrivs:%s*(%d)")
  assert.equal("2", status:match "Seccomp:%s*(%d)")
end

describe("the hardening, read from inside", function()
  e2e.housekeeping(_ENV)
  local sb
  setup(function() sb = e2e.start() end)
  teardown(function() sb:stop() end)

  it("holds for a command", function()
    assert_hardened(assert(sb:exec { "cat", "/proc/self/status" }).stdout)
  end)

  it("holds for a background task", function()
    local task = assert(sb:spawn_background { "cat", "/proc/self/status" })
    assert(task:wait())
    assert_hardened(task:log())
  end)

  it("holds in a terminal", function()
    local term = assert(sb:spawn_pty { "cat", "/proc/self/status" })
    assert(term:wait())
    assert_hardened(term:snapshot())
  end)

  it("holds for the first process", function()
    assert_hardened(assert(sb:exec { "cat", "/proc/1/status" }).stdout)
  end)

  it("keeps what package managers need, and nothing else", function()
    local status = assert(sb:exec { "cat", "/proc/self/status" }).stdout
    local kept = 0
    for _, bit in ipairs(KEPT) do kept = kept | 1 << bit end
    for _, set in ipairs { "CapEff", "CapBnd" } do
      assert.equal(("%016x"):format(kept), status:match(set .. ":%s*(%x+)"))
    end
  end)

  it("lets no mount of ours bring devices or set-id programs", function()
    local table_of = assert(sb:exec { "cat", "/proc/self/mountinfo" }).stdout
    local places = { [sb:root()] = true }
    if sb:path() == "native" then
      places["/run/.axosandbox"], places["/run/.axosandbox-guest"] = true, true
    end
    for line in table_of:gmatch "[^\n]+" do
      local at, options = line:match "^%S+ %S+ %S+ %S+ (%S+) (%S+)"
      if places[at] then
        assert.matches("nosuid", options)
        assert.matches("nodev", options)
        places[at] = nil
      end
    end
    assert.same({}, places)
  end)

  it("keeps the host's namespaces out", function()
    local r = assert(sb:exec { "sh", "-c", "for n in pid net ipc uts mnt; do " ..
      'readlink /proc/self/ns/$n; done' })
    for name, inode in r.stdout:gmatch "(%l+):%[(%d+)%]" do
      local own = e2e.proc.must { "readlink", "/proc/self/ns/" .. name }
      assert.are_not.equal(own:match "%d+", inode)
    end
    assert.falsy(podman.inspect(sb:container()).HostConfig.Privileged)
  end)

  -- They lie in podman's directory for the container, in the host's /run as a rule.
  it("lets nobody grow podman's own files", function()
    local found = {}
    for line in assert(sb:exec { "cat", "/proc/self/mountinfo" }).stdout:gmatch "[^\n]+" do
      local root, at, options = line:match "^%d+ %d+ %S+ (%S+) (%S+) (%S+)"
      if root:find("/userdata/", 1, true) then
        found[#found + 1] = at
        assert.matches("^ro,", options, at)
      end
    end
    -- Without a network some podmans make no resolv.conf.
    assert(#found >= 3, "podman's files are mounted otherwise here: " .. table.concat(found, " "))
    for _, user in ipairs { "0", "1000" } do
      local r = assert(sb:exec({ "sh", "-c",
        'for f; do echo x >> "$f" && echo "$f grew"; done 2>/dev/null; true', "sh",
        table.unpack(found) }, { user = user }))
      assert.equal("", r.stdout)
    end
  end)

  it("lets nobody grow them after a restart either", function()
    local own = e2e.start()
    e2e.podman.must("restart", "-t", "0", own:container())
    local again = assert(axo.open(own:id()))
    for _, user in ipairs { "0", "1000" } do
      local r = assert(again:exec({ "sh", "-c",
        "for f in /etc/hosts /etc/hostname /run/.containerenv; do echo x >> $f && echo grew; done",
      }, { user = user }))
      assert.equal("", r.stdout)
    end
    assert(again:stop())
  end)

  it("makes mount, mknod and raw sockets fail", function()
    for _, script in ipairs { "mount -t tmpfs none /mnt", "mknod /tmp/node c 1 3",
      "ping -c 1 -W 1 127.0.0.1", "chroot / true && mount / /mnt" } do
      local r = assert(sb:exec({ "sh", "-c", script }, { timeout = 30 }))
      assert(r.code ~= 0, script .. " succeeded")
    end
    -- busybox only complains, and exits with 0.
    local r = assert(sb:exec { "date", "-s", "2001-01-01" })
    assert.matches("not permitted", r.stderr)
  end)
end)

describe("the hardening of an image that runs as a user", function()
  e2e.housekeeping(_ENV)

  it("holds too, and no program gains privileges", function()
    local sb = e2e.start { image = e2e.images.user() }
    local r = assert(sb:exec { "sh", "-c", "id -un; cat /proc/self/status" })
    assert.equal("worker", r.stdout:match "^%w+")
    assert_hardened(r.stdout)
    assert.equal(0, tonumber(r.stdout:match "CapEff:%s*(%x+)", 16))
    assert(sb:stop())
  end)
end)

describe("resource limits", function()
  e2e.housekeeping(_ENV)
  local LIMITS = { memory = "64m", cpus = 0.5, pids = 60 }

  if e2e.probe.limits_apply() then
    it("are in the cgroup as the host sees it, and in what the session tells", function()
      local sb = e2e.start {
        policy = { limits = LIMITS, require_resource_limits = true },
      }
      local seen = e2e.probe.limits(e2e.probe.init_pid(sb:container()))
      assert.equal(64 * 1024 * 1024, seen.memory)
      assert.equal(60, seen.pids)
      assert.equal(0.5, seen.cpus)
      local told = sb:limits()
      assert.same({ asked = 64 * 1024 * 1024, applied = 64 * 1024 * 1024, enforced = true },
        told.memory)
      assert.same({ asked = 60, applied = 60, enforced = true }, told.pids)
      assert.same({ asked = 0.5, applied = 0.5, enforced = true }, told.cpus)
      assert.is_true(told.verified)
      assert(sb:stop())
    end)

    it("come from the shipped policy when nothing is asked", function()
      local sb = e2e.start()
      local seen = e2e.probe.limits(e2e.probe.init_pid(sb:container()))
      assert.equal(2 * 1024 * 1024 * 1024, seen.memory)
      assert.equal(512, seen.pids)
      assert.equal(2, seen.cpus)
      assert(sb:stop())
    end)

    it("stop a process that wants too much memory, and the session goes on", function()
      local sb = e2e.start { policy = { limits = LIMITS } }
      local r = assert(sb:exec({ "sh", "-c", "head -c 200000000 /dev/zero | tail" },
        { timeout = 60 }))
      assert(not r:ok(), "200 MB fitted in 64")
      assert.equal(0, assert(sb:exec { "true" }).code)
      assert(sb:stop())
    end)
  else
    it("that podman only warns about are told as not enforced", function()
      local sb = e2e.start { policy = { limits = LIMITS } }
      local told = sb:limits()
      for _, key in ipairs { "memory", "pids", "cpus" } do
        assert.is_nil(told[key].applied)
        assert.is_false(told[key].enforced)
      end
      assert.matches("limit", table.concat(sb:warnings(), "\n"))
      assert(sb:stop())
    end)

    it("that are required and only warned about start no container", function()
      local err = e2e.refused {
        policy = { limits = LIMITS, require_resource_limits = true },
      }
      assert.matches("limit", tostring(err))
      assert(#err.hint > 0)
    end)
  end
end)
