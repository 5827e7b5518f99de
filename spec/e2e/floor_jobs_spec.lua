-- @runs native-root
--- Real jobs under the floor, in a Debian: what SECCOMP's rules must leave alone, and what they
--- must not.
local e2e = require "spec.support.e2e"
local jobs = require "spec.support.jobs"

local USERS = {
  { name = "container root", user = "0" }, { name = "a plain user", user = "1000:1000" },
}
local is_root = e2e.podman.is_root()

describe("under the floor", function()
  e2e.housekeeping(_ENV)
  local sb
  setup(function() sb = e2e.start { image = e2e.images.tools() } end)
  teardown(function() sb:stop() end)

  local function run(script, user)
    return assert(sb:exec({ "bash", "-c", script }, { user = user, timeout = 60, cwd = "/tmp" }))
  end

  for _, who in ipairs(USERS) do
    for number, job in ipairs(jobs.all) do
      if who.user == "0" or not job.root_only then
        it(("%s works for %s"):format(job.name, who.name), function()
          local r = assert(sb:exec(jobs.argv(job, 20000 + number),
            { user = who.user, timeout = 240, cwd = "/tmp" }))
          assert(r:ok() and r.stdout:find "done\n$",
            ("%s: %s%s"):format(r.code or r.signal, r.stdout, r.stderr))
        end)
      end
    end

    it("a user namespace of one's own is refused to " .. who.name, function()
      local r = run("unshare -Ur true", who.user)
      assert.is_false(r:ok())
      assert.matches("Operation not permitted", r.stderr)
    end)

    it("a set-id program is " .. (is_root and "refused to " or "made by ") .. who.name, function()
      local r = run("f=$(mktemp -u); install -m 4755 /bin/true $f; s=$?; stat -c %a $f; exit $s",
        who.user)
      assert.equal(not is_root, r:ok())
      assert.equal(not is_root, r.stdout == "4755\n")
      assert.equal(is_root, r.stderr:find("Operation not permitted", 1, true) ~= nil)
    end)
  end
end)

describe("with nested_namespaces", function()
  e2e.housekeeping(_ENV)

  it("a plain user may have a namespace, and be root in it", function()
    local sb = e2e.start { image = e2e.images.tools(), policy = { nested_namespaces = true } }
    local r = assert(sb:exec({ "unshare", "-Urm", "sh", "-c", "mount -t tmpfs t /mnt && id -u" },
      { user = "1000:1000", timeout = 60 }))
    assert.equal("0\n", r.stdout, r.stderr)
    assert(sb:stop())
  end)
end)
