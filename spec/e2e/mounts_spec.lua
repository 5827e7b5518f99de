-- @runs native-root native-user portable-root
-- Directories that a session has besides its own.
local uv = require "luv"
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local podman, temp = e2e.podman, e2e.temp

describe("an extra mount", function()
  e2e.housekeeping(_ENV)

  local extra
  before_each(function()
    extra = temp.dir "extra"
    temp.write(extra .. "/file", "there")
  end)

  local function options(mounts, policy, changes)
    local all = { mounts = mounts, policy = { network = "none" } }
    for key, value in pairs(policy or {}) do all.policy[key] = value end
    for key, value in pairs(changes or {}) do all[key] = value end
    return all
  end

  local function sh(sb, script)
    return assert(sb:exec({ "sh", "-c", script }))
  end

  it("is refused unless policy allows it, with the words that say how", function()
    local err = e2e.refused(options { { source = extra, target = "/data" } })
    assert.equal("POLICY", err.code)
    assert.matches("--allow-mount " .. extra, tostring(err), 1, true)
  end)

  it("is read-only, without devices and programs that change their user", function()
    local sb = e2e.start(options({ { source = extra, target = "/data/x" } },
      { allow_mounts = { extra } }))
    assert.equal("there", sh(sb, "cat /data/x/file").stdout)
    assert.not_equal(0, sh(sb, "echo other > /data/x/file").code)
    assert.not_equal(0, sh(sb, "mount -o remount,rw /data/x").code)
    local flags = sh(sb, "grep ' /data/x ' /proc/mounts").stdout
    for _, flag in ipairs { "ro", "nosuid", "nodev" } do
      assert.truthy(flags:find("[ ,]" .. flag .. "[ ,]"), flag .. " in " .. flags)
    end
    assert.equal("there", temp.read(extra .. "/file"))
    local info
    for _, session in ipairs(assert(axo.list())) do
      if session.id == sb:id() then info = session end
    end
    assert.same({ { source = extra, target = "/data/x", writable = false } }, info.mounts)
    assert.same(info.mounts, sb:mounts())
    do
      local again <close> = assert(axo.open(sb:id()))
      assert.same(info.mounts, again:mounts())
    end
    assert(sb:stop())
  end)

  it("may be written where policy says so, and what is written survives", function()
    local mounts = { { source = extra, target = "/cache", writable = true } }
    assert.equal("POLICY", e2e.refused(options(mounts, { allow_mounts = { extra } })).code)
    local sb = e2e.start(options(mounts, { allow_writable_mounts = { extra } }))
    assert.equal(0, sh(sb, "echo kept > /cache/new").code)
    assert(sb:stop())
    assert.equal("kept\n", temp.read(extra .. "/new"))
    sb = e2e.start(options(mounts, { allow_writable_mounts = { extra } }))
    assert.equal("kept\n", sh(sb, "cat /cache/new").stdout)
    assert(sb:stop())
  end)

  it("is an error where a policy of one's own says nothing of it, or less", function()
    local function narrower(change)
      return { allow_writable_mounts = { extra }, sandbox = function(request, default)
        local decision = default(request)
        change(decision)
        return decision
      end }
    end
    local mounts = { { source = extra, target = "/data", writable = true } }
    local err = e2e.refused(options(mounts, narrower(function(d) d.mounts = nil end)))
    assert.equal("POLICY", err.code)
    assert.matches("does not grant it", tostring(err))
    err = e2e.refused(options(mounts, narrower(function(d) d.mounts[1].writable = false end)))
    assert.matches("does not grant it, to be written", tostring(err))
  end)

  it("is never where it may not be", function()
    local dir = temp.dir "project"
    for _, target in ipairs { "/", "/etc", "/proc/x", "/run/.axosandbox", "/dev/shm/x", dir,
      dir .. "/in", "/usr" } do
      local err = e2e.refused(options({ { source = extra, target = target } },
        { allow_mounts = { extra } }, { dir = dir }))
      assert.equal("INVALID", err.code, target)
    end
    assert.is_nil(uv.fs_stat(dir .. "/in"))
    local err = e2e.refused(options({ { source = extra, target = "/a" },
      { source = extra, target = "/a/b" } }, { allow_mounts = { extra } }))
    assert.matches("/a is mounted there", tostring(err))
    err = e2e.refused(options({ { source = axo.host.runtime_dir(), target = "/a" } },
      { allow_mounts = { "/run", "/tmp" } }))
    assert.equal("OWN_FILES", err.code)
    err = e2e.refused(options({ { source = extra .. "/no", target = "/a" } }))
    assert.equal("ENOENT", err.code)
    err = e2e.refused(options({ { source = extra .. "/file", target = "/a" } }))
    assert.equal("ENOTDIR", err.code)
  end)

  it("that leads elsewhere is judged by where it leads", function()
    assert(uv.fs_symlink("/etc", extra .. "/link"))
    local err = e2e.refused(options({ { source = extra .. "/link", target = "/data" } },
      { allow_mounts = { extra, "/etc" } }))
    assert.equal("POLICY", err.code)
    assert.matches("/etc belongs to the system", tostring(err))
  end)

  it("that is replaced while the session starts starts nothing", function()
    local secret = temp.dir "secret"
    local program = podman.recording(([[
if [ "$1" = run ] && [ ! -e '%s.was' ]; then
  mv '%s' '%s.was'
  ln -s '%s' '%s'
fi]]):format(extra, extra, extra, secret, extra))
    local err = podman.with(program, function()
      return e2e.refused(options({ { source = extra, target = "/data" } },
        { allow_mounts = { extra } }))
    end)
    assert.equal("CHANGED", err.code)
    assert.matches(extra .. " is not the one that policy judged", tostring(err), 1, true)
  end)

  it("is a part of which session is used again", function()
    local mounts = { { source = extra, target = "/data" } }
    local sb = e2e.start(options(mounts, { allow_mounts = { extra } }))
    local same = options(mounts, { allow_mounts = { extra } },
      { id = sb:id(), dir = sb:root(), reuse = true })
    assert(e2e.start(same)):__close()
    for _, other in ipairs { {}, { { source = extra, target = "/other" } },
      { { source = extra, target = "/data", writable = true } } } do
      local _, err = axo.start(e2e.options(options(other, { allow_writable_mounts = { extra } },
        { id = sb:id(), dir = sb:root(), reuse = true })))
      assert.equal("IN_USE", err.code)
      assert.matches("other mounts: ", tostring(err))
    end
    assert(sb:stop())
  end)
end)
