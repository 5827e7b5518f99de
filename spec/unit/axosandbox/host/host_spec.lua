local uv = require "luv"
local host = require "axosandbox.host"
local unit = require "spec.support.unit"

local function make_dir()
  return assert(uv.fs_mkdtemp "/tmp/axotest-host-XXXXXX")
end

local function remove(path)
  assert(unit.run { "rm", "-rf", "--", path })
end

local function with_env(values, fn)
  local before = {}
  for name, value in pairs(values) do
    before[name] = os.getenv(name) or false
    if value then uv.os_setenv(name, value) else uv.os_unsetenv(name) end
  end
  local ok, err = pcall(fn)
  for name, value in pairs(before) do
    if value then uv.os_setenv(name, value) else uv.os_unsetenv(name) end
  end
  if not ok then error(err, 0) end
end

describe("a private directory", function()
  local base
  before_each(function() base = make_dir() end)
  after_each(function() remove(base) end)

  it("is made with mode 0700, and found again", function()
    local path = assert(host.private_dir(base .. "/one"))
    assert.equal(tonumber("700", 8), uv.fs_lstat(path).mode & tonumber("777", 8))
    assert.equal(path, host.private_dir(path))
  end)

  it("loses the bits that let others read it", function()
    uv.fs_mkdir(base .. "/one", tonumber("755", 8))
    assert(host.private_dir(base .. "/one"))
    assert.equal(tonumber("700", 8), uv.fs_lstat(base .. "/one").mode & tonumber("777", 8))
  end)

  it("is refused when it is a symbolic link, a file, or writable by others", function()
    uv.fs_mkdir(base .. "/target", tonumber("700", 8))
    uv.fs_symlink(base .. "/target", base .. "/link")
    io.open(base .. "/file", "w"):close()
    uv.fs_mkdir(base .. "/shared", tonumber("700", 8))
    uv.fs_chmod(base .. "/shared", tonumber("777", 8))
    for _, name in ipairs { "link", "file", "shared" } do
      local path, err = host.private_dir(base .. "/" .. name)
      assert.is_nil(path)
      assert.equal("EPERM", err.code)
      assert.matches(base .. "/" .. name, err.message, 1, true)
      assert.is_string(err.hint)
    end
  end)

  it("is refused when it belongs to somebody else", function()
    local stranger = uv.getuid() == 0 and base .. "/foreign" or "/usr"
    if uv.getuid() == 0 then
      uv.fs_mkdir(stranger, tonumber("700", 8))
      uv.fs_chown(stranger, 12345, 12345)
    end
    local path, err = host.private_dir(stranger)
    assert.is_nil(path)
    assert.matches("belongs to uid", err.message)
  end)

  it("whose parent is missing is an error", function()
    local path, err = host.private_dir(base .. "/a/b")
    assert.is_nil(path)
    assert.equal("ENOENT", err.code)
  end)
end)

describe("the directories of a user", function()
  local base
  before_each(function() base = make_dir() end)
  after_each(function() remove(base) end)

  it("follow XDG", function()
    with_env({ XDG_STATE_HOME = base .. "/a/state", XDG_CONFIG_HOME = base .. "/config" },
      function()
        assert.equal(base .. "/a/state/axosandbox", assert(host.state_dir()))
        assert.equal("directory", uv.fs_lstat(base .. "/a/state/axosandbox").type)
        assert.equal(base .. "/config/axosandbox", host.config_dir())
        assert.is_nil(uv.fs_lstat(base .. "/config"))
      end)
  end)

  it("ignore a relative XDG directory, as the specification says", function()
    with_env({ XDG_STATE_HOME = "relative", HOME = base }, function()
      assert.equal(base .. "/.local/state/axosandbox", assert(host.state_dir()))
    end)
  end)

  it("are not where the process happened to be started", function()
    with_env({ XDG_CONFIG_HOME = "relative", XDG_STATE_HOME = "relative", HOME = "home" },
      function()
        assert.is_nil(host.config_dir())
        local path, err = host.state_dir()
        assert.is_nil(path)
        assert.matches("no home directory", err.message)
      end)
  end)

  it("keep locks where no session directory can be", function()
    assert.matches("/%.locks/x%.lock%.lock$", assert(host.lock_path "x.lock"))
  end)
end)

describe("an identity", function()
  it("is that of a live process", function()
    assert.is_true(host.is_alive(host.identity()))
    assert.equal(host.identity(), host.identity())
  end)

  it("of a process that has ended is dead, also when its pid is used again", function()
    local pid, start, rest = host.identity():match "^(%d+):(%d+):(.*)$"
    assert.is_false(host.is_alive(("%s:%d:%s"):format(pid, start + 1, rest)))
    local result = unit.lua [[io.write(require("axosandbox.host").identity())]]
    assert.equal(0, result.code, result.stderr)
    assert.is_false(host.is_alive(result.stdout))
  end)

  it("of another boot is dead", function()
    local front, ns = host.identity():match "^(%d+:%d+):[%x-]+:(%d+)$"
    assert.is_false(host.is_alive(front .. ":00000000-0000-0000-0000-000000000000:" .. ns))
  end)

  it("of another pid namespace cannot be told", function()
    local front = host.identity():match "^(.*):%d+$"
    assert.is_nil(host.is_alive(front .. ":1"))
  end)

  it("that is none cannot be told", function()
    for _, text in ipairs { "", "1", "a:b:c:d", "1:2:3", "::::" } do
      assert.is_nil(host.is_alive(text))
    end
  end)

  it("of a zombie is dead", function()
    -- The shell becomes a sleep, which never waits for the child that it inherits; the child
    -- ends after that.
    local script = [[
      (until [ "$(cat /proc/$$/comm)" = sleep ]; do :; done) &
      echo $!
      exec sleep 60
    ]]
    local out, done = "", false
    local core = require "axosandbox.core"
    local process = assert(core.spawn({ "sh", "-c", script }, {
      on_stdout = function(bytes) out = out .. bytes end,
    }, function() done = true end))
    unit.wait(function() return out:find "\n" ~= nil end)
    local pid = out:match "%d+"
    local stat
    repeat stat = host.read_file("/proc/" .. pid .. "/stat") until stat:find(") Z ", 1, true)
    local start = stat:match "^.*%) (.*)$"
    local fields = {}
    for field in start:gmatch "%S+" do fields[#fields + 1] = field end
    local rest = host.identity():match "^%d+:%d+:(.*)$"
    assert.is_false(host.is_alive(("%s:%s:%s"):format(pid, fields[20], rest)))
    process:signal "KILL"
    unit.wait(function() return done end)
  end)
end)

describe("podman's environment", function()
  local function value_of(name)
    for _, entry in ipairs(host.podman_env()) do
      local key, value = entry:match "^([^=]*)=(.*)$"
      if key == name then return value end
    end
  end

  it("is this process's, without what speaks of the process itself", function()
    with_env({ AXOTEST_VALUE = "a=b c", NOTIFY_SOCKET = "/run/x", LISTEN_FDS = "1" }, function()
      assert.equal("a=b c", value_of "AXOTEST_VALUE")
      assert.is_nil(value_of "NOTIFY_SOCKET")
      assert.is_nil(value_of "LISTEN_FDS")
    end)
  end)

  it("has the directories that are set, unless they are gone or another user's", function()
    local here = make_dir()
    with_env({ XDG_RUNTIME_DIR = here, TMPDIR = here }, function()
      assert.equal(here, value_of "XDG_RUNTIME_DIR")
      assert.equal(here, value_of "TMPDIR")
    end)
    remove(here)
    for _, other in ipairs { here, "", "/proc", "relative" } do
      with_env({ XDG_RUNTIME_DIR = other, TMPDIR = here }, function()
        if uv.getuid() ~= 0 then assert.are_not.equal(other, value_of "XDG_RUNTIME_DIR") end
        assert.is_nil(value_of "TMPDIR")
      end)
    end
  end)
end)

describe("what was learnt about a host", function()
  local base
  local PROGRAM = "/bin/sh"
  before_each(function() base = make_dir() end)
  after_each(function() remove(base) end)

  local function here(fn) with_env({ XDG_STATE_HOME = base }, fn) end

  it("is recalled, and forgotten", function()
    here(function()
      assert.is_nil(host.recall("key", PROGRAM))
      host.remember("key", { runtime = "runc", n = 1 }, 60, PROGRAM)
      assert.same({ runtime = "runc", n = 1 }, host.recall("key", PROGRAM))
      host.remember("other", true, 60, PROGRAM)
      assert.is_true(host.recall("other", PROGRAM))
      host.remember("key", nil, 0, PROGRAM)
      assert.is_nil(host.recall("key", PROGRAM))
      assert.is_true(host.recall("other", PROGRAM))
    end)
  end)

  it("says nothing about another podman", function()
    here(function()
      host.remember("key", 1, 60, PROGRAM)
      assert.is_nil(host.recall("key", "/bin/ls"))
    end)
  end)

  it("is too old after its time", function()
    here(function()
      host.remember("key", 1, -1, PROGRAM)
      assert.is_nil(host.recall("key", PROGRAM))
    end)
  end)

  it("is nothing when the file is corrupt, foreign or a link, and is written anew", function()
    here(function()
      local path = assert(host.state_dir()) .. "/hosts.json"
      for _, text in ipairs { "", "{", "[]", "null", '{"version":1,"programs":[1]}',
        '{"version":99,"programs":{}}', ("x"):rep(1024 * 1024) } do
        local file = io.open(path, "w")
        file:write(text)
        file:close()
        assert.is_nil(host.recall("key", PROGRAM))
        host.remember("key", "value", 60, PROGRAM)
        assert.equal("value", host.recall("key", PROGRAM))
      end
      uv.fs_rename(path, path .. ".real")
      uv.fs_symlink(path .. ".real", path)
      assert.is_nil(host.recall("key", PROGRAM))
    end)
  end)

  it("leaves no temporary file", function()
    here(function()
      host.remember("key", 1, 60, PROGRAM)
      local names, entries = {}, uv.fs_scandir(assert(host.state_dir()))
      for name in function() return uv.fs_scandir_next(entries) end do
        names[#names + 1] = name
      end
      assert.same({ "hosts.json" }, names)
    end)
  end)
end)
