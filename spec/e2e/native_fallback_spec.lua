-- @runs native-user
local uv = require "luv"
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"
local temp = e2e.temp
local way = require "axosandbox.way.native"

describe("a guest that cannot serve", function()
  e2e.housekeeping(_ENV)

  local function lines_about_it(list)
    local count = 0
    for _, line in ipairs(list) do
      if line:find("the portable path is used", 1, true) then count = count + 1 end
    end
    return count
  end

  local function logged_lines()
    local lines = {}
    for _, entry in ipairs(e2e.messages()) do lines[#lines + 1] = entry.message end
    return lines
  end

  local function start_with(guest)
    return native.with_env({ AXOSANDBOX_PATH = false, AXOSANDBOX_GUEST = guest }, function()
      return assert(axo.start(e2e.options()))
    end)
  end

  local function assert_serves(sb)
    local r = assert(sb:exec { "sh", "-c", "echo fine; exit 3" })
    assert.equal("fine\n", r.stdout)
    assert.equal(3, r.code)
    assert(sb:write_file("a file", "bytes"))
    assert.equal("bytes", assert(sb:read_file "a file"))
  end

  -- It starts, is on the portable path, and says so once.
  local function assert_falls_back(guest, why)
    local sb = start_with(guest)
    assert.equal("portable", sb:path())
    assert.equal(1, lines_about_it(sb:warnings()))
    assert.equal(1, lines_about_it(logged_lines()))
    if why then assert.matches(why, table.concat(sb:warnings(), "\n")) end
    assert_serves(sb)
    assert(sb:stop())
    assert.is_false(e2e.podman.exists(sb:container()))
  end

  -- The engine waits five seconds for a guest; for one that never comes, less will do.
  local function impatiently(fn)
    local usual = way.CONNECT
    way.CONNECT = 0.5
    local ok, err = pcall(fn)
    way.CONNECT = usual
    if not ok then error(err, 0) end
  end

  local function script(text, mode)
    return temp.write(temp.dir() .. "/guest", text, mode or "755")
  end

  it("because it is missing is done without, and one warning says so", function()
    assert_falls_back("/nonexistent/axo-guest", "/nonexistent/axo%-guest[^\n]*missing")
  end)

  it("because it is a directory", function()
    assert_falls_back(temp.dir(), "it is no file")
  end)

  it("because others can write to it", function()
    assert_falls_back(script("#!/bin/sh\n", "777"), "others can write to it")
  end)

  it("because it may not be executed", function()
    assert_falls_back(script("#!/bin/sh\nexec sleep 100000\n", "644"))
  end)

  it("because it is no program", function()
    assert_falls_back(script "\1\2\3\4 no program")
  end)

  it("because it is for another machine's interpreter", function()
    assert_falls_back(script "#!/no/such/interpreter\n")
  end)

  it("because it ends at once", function()
    assert_falls_back(script "#!/bin/sh\nexit 3\n")
  end)

  it("because it never connects", function()
    impatiently(function()
      assert_falls_back(script "#!/bin/sh\nexec sleep 100000\n", "did not connect")
    end)
  end)

  it("leaves the next session, which has a good one, on the native path", function()
    local sb = start_with "/nonexistent/axo-guest"
    local other = native.start()
    assert_serves(other)
    assert(other:stop())
    assert(sb:stop())
  end)

  -- What a runtime makes of a bind mount from such a file system differs.
  it("on a file system that is mounted noexec is used or done without, never in between",
    function()
      local mounts = temp.read "/proc/self/mounts"
      local place = mounts:match "tmpfs (/dev/shm) tmpfs %S*noexec" and "/dev/shm"
      if not place then return end
      local dir = e2e.janitor.made("dir", place .. "/axotest-" .. temp.token())
      assert(uv.fs_mkdir(dir, tonumber("700", 8)))
      local guest = assert(require("axosandbox.way.native.guest").binary())
      e2e.proc.must { "cp", guest, dir .. "/axo-guest" }
      local sb = start_with(dir .. "/axo-guest")
      assert.equal(sb:path() == "portable" and 1 or 0, lines_about_it(sb:warnings()))
      assert_serves(sb)
      assert(sb:stop())
    end)

  -- A guest that needed one would be without: there are some hundred, for all of a user's sessions.
  it("is not made by a user who has no inotify instance left", function()
    local program = temp.dir() .. "/holder"
    e2e.proc.must { "cc", "-std=gnu11", "-O1", "-o", program, "spec/support/inotify_holder.c" }
    local holder = e2e.proc.start({ program }, { stdin = true })
    holder:wait_for "held (%d+)"
    local sb = native.start()
    local other = native.open(sb:id())
    assert_serves(other)
    other:__close()
    holder:close_stdin()
    holder:wait()
    assert(sb:stop())
  end)

  it("is told by open as well, once, when the guest of a session does not answer any more",
    function()
      local options = e2e.options()
      local guest = script "#!/bin/sh\nexec sleep 100000\n"
      local sb, other
      impatiently(function()
        sb = native.with_env({ AXOSANDBOX_PATH = false, AXOSANDBOX_GUEST = guest },
          function() return assert(axo.start(options)) end)
        e2e.forget_messages()
        other = assert(axo.open(options.id))
      end)
      assert.equal("portable", other:path())
      assert.equal(1, lines_about_it(other:warnings()))
      assert.equal(1, lines_about_it(logged_lines()))
      assert_serves(other)
      assert(sb:stop())
    end)
end)
