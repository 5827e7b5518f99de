-- @runs native-root
-- podman mounts by path, and paths can be moved: what is mounted must be what policy judged.
local uv = require "luv"
local e2e = require "spec.support.e2e"
local podman, temp = e2e.podman, e2e.temp

describe("a directory that is replaced while its session starts", function()
  e2e.housekeeping(_ENV)

  local project, secret
  before_each(function()
    project, secret = temp.dir "project", temp.dir "secret"
    temp.write(secret .. "/key", "private")
  end)

  -- Puts something else there in the moment before podman mounts it, and perhaps back after.
  local function swapping(replace, put_back)
    return (podman.recording(([[
if [ "$1" = run ] && [ ! -e '%s.was' ]; then
  mv '%s' '%s.was'
  %s
  %s "$@"
  code=$?
  %s
  exit $code
fi]]):format(project, project, project, replace, podman.program(), put_back or "")))
  end

  local function refused(program)
    local err = podman.with(program, function()
      return e2e.refused {
        dir = project, post_create = { "touch ran" }, policy = { allow_post_create = true },
      }
    end)
    assert.equal("CHANGED", err.code)
    assert.matches(project .. " is not the one that policy judged", tostring(err), 1, true)
    assert.is_nil(uv.fs_stat(secret .. "/ran"))
    assert.is_nil(uv.fs_stat(project .. ".was/ran"))
  end

  local function with_link(put_back)
    return swapping(("ln -s '%s' '%s'"):format(secret, project), put_back)
  end

  it("by a symbolic link starts nothing", function() refused(with_link()) end)

  it("by a symbolic link starts nothing on the portable path either", function()
    e2e.on_portable(function() refused(with_link()) end)
  end)

  it("by another directory starts nothing", function()
    refused(swapping(("mv '%s' '%s'"):format(secret, project)))
  end)

  it("for the moment of the mount only starts nothing", function()
    refused(with_link(("rm '%s'; mv '%s.was' '%s'"):format(project, project, project)))
  end)

  it("and is there again before the mount does no harm", function()
    local program = swapping(("mv '%s.was' '%s'"):format(project, project),
      ("mkdir '%s.was'"):format(project))
    local sb <close> = podman.with(program, function() return e2e.start { dir = project } end)
    assert(sb:write_file("note", "x"))
    assert.equal("x", temp.read(project .. "/note"))
  end)

  it("is told from one that only looks different from inside", function()
    -- In the image, /tmp is a link; outside, the session is reached by one.
    assert(uv.fs_symlink(project, secret .. "/link"))
    local sb <close> = e2e.start { dir = secret .. "/link", image = e2e.images.linked() }
    assert(sb:write_file("note", "x"))
    assert.equal("x", temp.read(project .. "/note"))
  end)
end)
