-- @runs native-root native-user
-- A session's user who is not root can write the project, and what it writes there is the project's
-- owner's: where podman is rootless. Where root runs it, what cannot be written is said.
local cjson = require "cjson"
local uv = require "luv"
local e2e = require "spec.support.e2e"
local projects = require "spec.support.devcontainers"
local support = require "spec.support.cli"
local axo = require "axosandbox"
local podman, temp = e2e.podman, e2e.temp

local OWN = uv.getuid()
local ROOTLESS = not podman.is_root()

describe("a session's user who is not root", function()
  e2e.housekeeping(_ENV)

  -- The script's output, and the file that it made.
  local function writes(sb, opts)
    local r = assert(sb:exec({ "sh", "-c", "touch made && id -u; id -g" }, opts))
    return r, uv.fs_lstat(sb:root() .. "/made")
  end

  local function warnings_of(sb) return table.concat(sb:warnings(), "\n") end

  local function check(sb, uid, gid)
    local r, made = writes(sb)
    if not ROOTLESS then
      assert.matches(("who cannot write its directory: it belongs to the user %d"):format(OWN),
        warnings_of(sb), 1, true)
      assert.is_nil(made)
      return
    end
    assert.equal(("%d\n%d\n"):format(uid, gid), r.stdout, r.stderr)
    assert.same({ OWN, uv.getgid() }, { made.uid, made.gid })
    assert.is_nil(warnings_of(sb):find("write", 1, true))
  end

  it("can write, whatever its number is, and by its name", function()
    for user, ids in pairs {
      worker = { 1000, 1000 }, ["1000:1000"] = { 1000, 1000 }, builder = { 4321, 4322 },
      ["70:0"] = { 70, 0 },
    } do
      local sb <close> = e2e.start { image = e2e.images.users(), user = user }
      check(sb, ids[1], ids[2])
    end
  end)

  it("can write when the image names it", function()
    local sb <close> = e2e.start { image = e2e.images.user() }
    check(sb, 1000, 1000)
  end)

  it("has files of the same owner by file operations and tasks, and when opened later", function()
    local sb <close> = e2e.start { image = e2e.images.users(), user = "builder" }
    if not ROOTLESS then return check(sb, 4321, 4322) end
    assert(sb:write_file("file", "text"))
    assert.equal(OWN, uv.fs_lstat(sb:root() .. "/file").uid)
    local task = assert(sb:spawn_background "id -un > task")
    assert(task:wait())
    assert.equal("builder\n", temp.read(sb:root() .. "/task"))
    local opened <close> = assert(axo.open(sb:id()))
    assert.equal(sb:path(), opened:path())
    check(opened, 4321, 4322)
    assert.equal("4321\n", assert(opened:exec({ "id", "-u" }, { user = "builder" })).stdout)
  end)

  it("is not the only one: root is there as well, by the floor that every session has", function()
    local sb <close> = e2e.start { image = e2e.images.users(), user = "worker" }
    local r = assert(sb:exec({ "id", "-u" }, { user = "root" }))
    assert.equal("0\n", r.stdout, r.stderr)
    local status = assert(sb:exec { "cat", "/proc/self/status" }).stdout
    assert.matches("NoNewPrivs:%s+1", status)
    assert.matches("Seccomp:%s+2", status)
    assert.matches("CapEff:%s+0000000000000000", status)
    local bounding = tonumber(status:match "CapBnd:%s+(%x+)", 16)
    assert.equal(0, bounding & (1 << 21 | 1 << 19 | 1 << 12 | 1 << 13)) -- SYS_ADMIN, SYS_PTRACE, NET_*
    assert.is_false(podman.inspect(sb:container()).HostConfig.Privileged)
  end)

  it("of a devcontainer.json can write, and has what its commands make", function()
    local dir = projects.with(cjson.encode {
      image = e2e.images.users(), remoteUser = "builder", onCreateCommand = "id -un > created",
    })
    local result = support.run { "run", "--id", e2e.new_id(), "--dir", dir, "--network", "none",
      "--allow-untrusted-image", "--allow-post-create", "--json", "--", "sh", "-c",
      "id -un; touch made" }
    assert.equal(ROOTLESS and 0 or 1, cjson.decode(result.stdout).code, result.stderr)
    assert.matches("^builder\n", cjson.decode(result.stdout).stdout)
    if ROOTLESS then
      assert.equal("builder\n", temp.read(dir .. "/created"))
      assert.equal(OWN, uv.fs_lstat(dir .. "/made").uid)
    else
      assert.matches("remoteUser builder cannot write " .. dir, result.stderr, 1, true)
    end
  end)

  it("of a devcontainer.json that the image does not have is a warning", function()
    local dir = projects.with(cjson.encode {
      image = e2e.images.users(), remoteUser = "nobody-here",
    })
    local result = support.run { "run", "--id", e2e.new_id(), "--dir", dir, "--network", "none",
      "--allow-untrusted-image", "--json", "--", "true" }
    assert.matches("nobody%-here", result.stderr)
  end)

  it("is as policy says: keep_id", function()
    local sb <close> = e2e.start {
      image = e2e.images.users(), user = "worker", policy = { keep_id = false },
    }
    local _, made = writes(sb)
    assert.is_nil(made)
    assert.matches("who cannot write its directory", warnings_of(sb), 1, true)
  end)

  it("is found again by what was learnt, and another image is looked at anew", function()
    if not ROOTLESS then return end
    local program, calls = podman.recording()
    local function runs()
      local count = 0
      for _, call in ipairs(calls()) do
        if call:find "^run " then count = count + 1 end
      end
      return count
    end
    local name = "localhost/axotest-" .. temp.token() .. ":1"
    e2e.janitor.made("image", name)
    local function starts(uid, gid)
      local sb <close> = e2e.start { image = name, user = "builder" }
      check(sb, uid, gid)
    end
    podman.must("tag", e2e.images.users(), name)
    podman.with(program, function()
      starts(4321, 4322)
      local first = runs()
      starts(4321, 4322)
      assert.equal(first + 1, runs())
      podman.must("tag", e2e.images.renumbered(), name)
      starts(5001, 5002)
      assert.equal(first + 3, runs())
    end)
  end)
end)
