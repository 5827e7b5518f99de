-- @runs native-root-only
--- What a session's directory really is, and what comes along with it: bind mounts.
local uv = require "luv"
local e2e = require "spec.support.e2e"
local temp = e2e.temp

-- Where this process may not mount, unit specs alone hold this.
local is_able = uv.getuid() == 0 and e2e.proc.run({ "unshare", "-m", "true" }).code == 0

local made = {}

local function bind(source, target)
  e2e.proc.must { "mount", "--bind", source, target }
  table.insert(made, 1, target)
end

describe("a directory that is a bind mount", function()
  e2e.housekeeping(_ENV)
  after_each(function()
    for _, target in ipairs(made) do e2e.proc.must { "umount", target } end
    made = {}
  end)
  if not is_able then return end

  local function refusal(dir)
    return tostring(e2e.refused { dir = dir })
  end

  it("is judged by what it is: a system directory, a part of one, a home, its keys", function()
    for source, name in pairs { ["/etc"] = "/etc", ["/usr/lib"] = "/usr/lib", ["/proc"] = "/proc",
      ["/etc/ssl"] = "/etc/ssl" } do
      local dir = temp.dir "x"
      bind(source, dir)
      assert.matches("it is " .. name .. " by another name", refusal(dir))
    end
    local dir = temp.dir "y"
    bind("/usr", dir)
    assert.matches("it is /usr/lib by another name", refusal(dir .. "/lib"))
  end)

  it("or an overlay is judged by what it shows", function()
    local root = temp.dir "overlay"
    local function overlay(name, lower)
      local dir = root .. "/" .. name
      assert(uv.fs_mkdir(dir, 493))
      e2e.proc.must { "mount", "-t", "overlay", "overlay", "-o",
        ("lowerdir=%s:%s"):format(temp.dir "empty", lower), dir }
      table.insert(made, 1, dir)
      return dir
    end
    local dir = overlay("o", "/etc")
    assert.matches("shows what lies beneath it: it is /etc by another name", refusal(dir))
    assert.matches("it is /etc/ssl by another name", refusal(dir .. "/ssl"))
    assert.matches("/o shows what lies beneath it: it is /etc", refusal(root))
    local plain = temp.dir "plain"
    temp.write(plain .. "/f", "text")
    local sb = e2e.start { dir = overlay("p", plain) .. "" }
    assert.equal("text", assert(sb:exec { "cat", "f" }).stdout)
    assert(sb:stop())
  end)

  it("carries no system directory in", function()
    local dir = temp.dir "project"
    assert(uv.fs_mkdir(dir .. "/a b", 493))
    bind("/etc", dir .. "/a b")
    assert.matches("/a b is mounted in it, and it is /etc by another name", refusal(dir))
  end)

  it("carries in what is nobody's but the project's", function()
    local dir, data = temp.dir "project", temp.dir "data"
    temp.write(data .. "/f", "data")
    assert(uv.fs_mkdir(dir .. "/data", 493))
    bind(data, dir .. "/data")
    local sb = e2e.start { dir = dir }
    assert.equal("data", assert(sb:exec { "cat", "data/f" }).stdout)
    assert(sb:stop())
  end)

  it("that policy has not judged ends the start", function()
    local places = require "axosandbox.host.mounts.places"
    local of, dir = places.of, temp.dir "project"
    assert(uv.fs_mkdir(dir .. "/late", 493))
    local data = temp.dir "data"
    -- luacheck: ignore 122
    places.of = function(path)
      local found, mounts = of(path)
      if #made == 0 then bind(data, dir .. "/late") end
      return found, mounts
    end
    local done, err = pcall(e2e.refused, { dir = dir })
    places.of = of
    assert(done, err)
    assert.equal("CHANGED", err.code)
    assert.matches("late was mounted", err.message)
  end)
end)
