-- What is believed of a session's own file, and what is never removed because of it.
local uv = require "luv"
local guest = require "axosandbox.way.native.guest"
local host = require "axosandbox.host"
local leftovers = require "axosandbox.session.leftovers"
local naming = require "axosandbox.base.naming"
local session_file = require "axosandbox.session.record"
local unit = require "spec.support.unit"

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

describe("a session's file", function()
  local base, dir
  before_each(function()
    base = assert(uv.fs_mkdtemp "/tmp/axotest-session-XXXXXX")
    dir = base .. "/demo"
    assert(uv.fs_mkdir(dir, tonumber("700", 8)))
  end)
  after_each(function() assert(unit.run { "rm", "-rf", "--", base }) end)

  local function keep(pid, changes)
    local session = {
      id = "demo", dir = "/project", version = "0.1.0", owner = "1:2:3:4", instance = "ab",
      ports = { 80 }, limits = { memory = 1024 }, path = "native", place = dir,
    }
    for name, value in pairs(changes or {}) do session[name] = value end
    assert(session_file.keep(dir, {
      container_id = "abc", image = "localhost/x:1", network = "none", ports = { 80 },
      labels = naming.labels(session),
    }, pid))
  end

  it("is not needed by a number that another process has by now", function()
    write(dir .. "/abcdef.pid", "1\n")
    assert.is_true(session_file.is_needed(dir)) -- it lives, and did when that was written
    assert(uv.fs_utime(dir .. "/abcdef.pid", 86400, 86400))
    assert.is_false(session_file.is_needed(dir))
  end)

  it("tells of a session that lives", function()
    keep(uv.os_getpid())
    local found, session = session_file.live(dir, "demo")
    assert.equal("abc", found.container_id)
    assert.equal("integer", math.type(found.ports[1]))
    assert.equal("/project", session.dir)
    assert.same({ memory = 1024 }, session.limits)
    assert.is_nil(session_file.live(dir, "other"))
  end)

  it("tells of none whose process has ended, or that lies elsewhere", function()
    keep(nil)
    assert.is_nil(session_file.live(dir, "demo"))
    keep(uv.os_getpid(), { place = base .. "/other/demo" })
    assert.is_nil(session_file.live(dir, "demo"))
  end)

  it("keeps what a live container of another store needs", function()
    keep(uv.os_getpid())
    assert(guest.make_link_dir("ab", dir))
    assert.is_false(leftovers.remove_directory(dir))
    assert.is_false(leftovers.remove_directory(dir, "cd"))
    assert.is_truthy(uv.fs_stat(base .. "/.links/ab"))
    assert.is_truthy(session_file.live(dir, "demo"))
    keep(nil)
    assert.is_true(leftovers.remove_directory(dir))
    assert.is_nil(uv.fs_stat(base .. "/.links/ab"))
    assert.is_nil(uv.fs_stat(dir))
  end)

  it("is not needed after a start that came to nothing", function()
    session_file.begin(dir)
    assert.is_false(session_file.is_needed(dir))
    write(dir .. "/ab.pid", tostring(uv.os_getpid()))
    assert.is_true(session_file.is_needed(dir)) -- podman made its container, and was killed
    uv.fs_unlink(dir .. "/ab.pid")
    session_file.abandon(dir)
    assert.is_nil(uv.fs_stat(dir))
  end)

  it("of an earlier session outlives a start that comes to nothing", function()
    keep(uv.os_getpid())
    session_file.begin(dir)
    session_file.abandon(dir)
    assert.is_truthy(session_file.live(dir, "demo"))
    assert.is_true(host.is_alive(session_file.read(dir).process))
  end)
end)
