-- @runs native-root native-user
--- The floor's system calls, each tried from inside: as container root and as a plain user.
local e2e = require "spec.support.e2e"

local PERM, NO_SYS, NO_PROTOCOL, NO_FAMILY = 1, 38, 93, 97
local NAMESPACES = {
  "newns", "newcgroup", "newuts", "newipc", "newuser", "newpid", "newnet", "newuser+upper",
  "newuser+newns",
}
local MOUNTS = {
  "setns", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
}
local NESTING = { "mount", "umount2", "pivot_root" }
local MACHINE = {
  "syslog", "memfd_secret", "bpf", "userfaultfd", "fanotify_init", "perf_event_open", "quotactl",
  "quotactl_fd", "kcmp", "process_madvise", "reboot",
}
local MISSING = {
  "keyctl", "add_key", "request_key", "io_uring_setup", "io_uring_enter", "io_uring_register",
  "clone3:none", "clone3:newuser",
}
local FREE = {
  "unshare:files", "clone:none", "socket:unix", "socket:inet", "socketpair:unix", "netlink:0",
  "netlink:4", "netlink:15",
}
local MAKERS = {
  "chmod", "open", "open-tmpfile", "creat", "mknod", "fchmod", "fchmodat", "openat",
  "openat-tmpfile", "mknodat",
}
-- Where the architecture has them.
local OLD = { chmod = true, open = true, ["open-tmpfile"] = true, creat = true, mknod = true }

local program

local function probe_program()
  if not program then
    program = e2e.temp.lasting_dir() .. "/syscalls"
    e2e.proc.must { "cc", "-std=gnu11", "-O1", "-static", "-o", program,
      "spec/support/syscalls.c" }
  end
  return program
end

local function start(policy)
  local sb = e2e.start { policy = policy }
  e2e.proc.must { "cp", probe_program(), sb:root() .. "/syscalls" }
  return sb
end

-- What each call was answered, by its name.
local function answers(sb, user)
  local r = assert(sb:exec({ "./syscalls", "/tmp" }, { user = user, timeout = 60 }))
  assert.equal(0, r.code, r.stderr)
  local found = {}
  for name, cause in r.stdout:gmatch "(%S+) (%-?%d+)\n" do found[name] = tonumber(cause) end
  return found
end

local function expect(found, wanted, names, format)
  for _, name in ipairs(names) do
    name = (format or "%s"):format(name)
    if found[name] ~= wanted then
      error(("%s was answered with %s, not with %d"):format(name, found[name], wanted), 2)
    end
  end
end

local function assert_sockets(found)
  expect(found, NO_FAMILY, { "socket:vsock", "socket:vsock+upper", "netlink+upper:9",
    "socketpair:tipc", "socketpair:unix+upper" })
  for family = 0, 47 do
    local name = "family:" .. family
    if found[name] then expect(found, NO_FAMILY, { name }) end
  end
  for protocol = 0, 23 do
    local usual = protocol == 0 or protocol == 4 or protocol == 15
    expect(found, usual and 0 or NO_PROTOCOL, { "netlink:" .. protocol })
  end
  expect(found, NO_PROTOCOL, { "netlink:9+upper" })
end

local function assert_always(found)
  expect(found, 0, FREE)
  expect(found, PERM, MOUNTS)
  expect(found, PERM, MACHINE)
  expect(found, NO_SYS, MISSING)
  assert_sockets(found)
  assert(found["x32:keyctl"] ~= 0 and found["x32:keyctl"] ~= 95, "x32 reaches keyctl")
  assert.is_true(found.modify_ldt == nil or found.modify_ldt == PERM)
end

local function assert_no_namespaces(found)
  expect(found, PERM, NAMESPACES, "unshare:%s")
  expect(found, PERM, NAMESPACES, "clone:%s")
  expect(found, PERM, NESTING)
  expect(found, PERM, { "unshare:newtime", "setxattr:capability" })
end

local function makers(found)
  local list = {}
  for _, name in ipairs(MAKERS) do
    if found[name .. ":plain"] or not OLD[name] then list[#list + 1] = name end
  end
  return list
end

local function assert_modes(found, may_set)
  for _, what in ipairs { "suid", "sgid", "both" } do
    expect(found, may_set and 0 or PERM, makers(found), "%s:" .. what)
    expect(found, 0, { "mkdir:" .. what, "openat-garbage:" .. what })
    expect(found, may_set and 0 or NO_SYS, { "openat2:" .. what })
    -- Where libseccomp knows it.
    local newest = found["fchmodat2:" .. what]
    assert(newest == NO_SYS or newest == (may_set and 0 or PERM), "fchmodat2 " .. newest)
  end
  expect(found, 0, makers(found), "%s:plain")
  for name in pairs(found) do
    assert(may_set or not name:find "^left:", name)
  end
end

-- The kernel's door for 32 bits, where it has one.
local function assert_i386(found, may_set)
  if found["i386:getpid"] ~= 0 then return end
  expect(found, PERM, { "i386:unshare:newuser", "i386:socketcall", "i386:mount", "i386:umount" })
  expect(found, NO_FAMILY, { "i386:socket:vsock" })
  expect(found, NO_SYS, { "i386:keyctl" })
  expect(found, 0, { "i386:fchmod:plain", "i386:socket:inet" })
  expect(found, may_set and 0 or PERM, { "i386:fchmod:suid" })
end

describe("the system calls of a session", function()
  e2e.housekeeping(_ENV)

  describe("that may not set set-id bits", function()
    local sb
    setup(function() sb = start { setuid = false } end)
    teardown(function() sb:stop() end)

    for who, user in pairs { ["container root"] = "0", ["a plain user"] = "1000:1000" } do
      it("are refused to " .. who, function()
        local found = answers(sb, user)
        assert_always(found)
        assert_no_namespaces(found)
        assert_modes(found, false)
        assert_i386(found, false)
      end)
    end

    it("are refused in a task, in a terminal and through podman as well", function()
      local script = "chmod 4755 /tmp/none 2>&1; ./syscalls /tmp | grep -c -E "
        .. "'^(keyctl 38|fchmod:suid 1|unshare:newuser 1|socket:vsock 97)$'"
      local task = assert(sb:spawn_background(script))
      assert(task:wait())
      assert.matches("\n4\n$", task:log())
      local term = assert(sb:spawn_pty { "sh", "-c", script })
      assert(term:wait())
      assert.matches("4", term:snapshot():match "[^\n]*\n$")
      assert.matches("4", (e2e.podman.run("exec", "-w", sb:root(), sb:container(), "sh", "-c",
        script)).stdout:match "[^\n]*\n$")
    end)

    it("read and write through symbolic links all the same", function()
      assert(sb:exec { "sh", "-c", "mkdir -p d/e; echo in > d/e/f; ln -s d l; ln -s ../d/e/f d/g" })
      assert.equal("in\n", assert(sb:read_file "l/g"))
      assert(sb:write_file("l/e/new", "made"))
      assert.equal("made", assert(sb:exec { "cat", "d/e/new" }).stdout)
      assert(sb:exec { "sh", "-c", "ln -s ../../../../../etc/passwd out; ln -s /etc/passwd abs" })
      for _, name in ipairs { "out", "abs" } do
        local bytes = sb:read_file(name)
        assert.is_nil(bytes)
      end
    end)
  end)

  it("are given back by policy, and that is said", function()
    local sb = start { setuid = true, nested_namespaces = true }
    local root, plain = answers(sb, "0"), answers(sb, "1000:1000")
    for _, found in ipairs { root, plain } do
      assert_always(found)
      assert_modes(found, true)
      expect(found, 0, { "unshare:newuser", "clone:newuser", "unshare:newuser+newns",
        "clone:newuser+newns" })
    end
    expect(root, 0, { "setxattr:capability" })
    local said = table.concat(sb:warnings(), "\n")
    assert.matches("nested_namespaces", said)
    assert.equal(require "luv".getuid() == 0, said:find("(setuid)", 1, true) ~= nil)
    assert(sb:stop())
  end)

  it("that set set-id bits are made in rootless sessions only, unless policy says so", function()
    local sb = start()
    local r = assert(sb:exec { "sh", "-c", "echo x > f; chmod 4755 f" })
    assert.equal(require "luv".getuid() ~= 0, r:ok())
    assert.equal("", table.concat(sb:warnings(), "\n"):match "setuid" or "")
    assert(sb:stop())
  end)
end)
