-- @runs native-root native-user
local e2e = require "spec.support.e2e"
local projects = require "spec.support.devcontainers"
local axo = require "axosandbox"
local cjson = require "cjson"
local images, temp = e2e.images, e2e.temp

local SHOW = "echo $LANG/$LC_ALL"

local function shown(sb, opts)
  local r = assert(sb:exec({ "sh", "-c", SHOW }, opts))
  assert.equal(0, r.code, r.stderr)
  return r.stdout
end

describe("the locale of what runs in a session", function()
  e2e.housekeeping(_ENV)

  it("is UTF-8 for commands, tasks, terminals and other users", function()
    local sb <close> = e2e.start()
    assert.equal("C.UTF-8/\n", shown(sb))
    assert.equal("C.UTF-8/\n", shown(sb, { env = { X = "1" }, user = "1000" }))
    local task = assert(sb:spawn_background(SHOW))
    assert(task:wait(60))
    assert.equal("C.UTF-8/\n", task:log())
    local term = assert(sb:spawn_pty(SHOW))
    assert(term:wait(60))
    assert.equal("C.UTF-8/\r\n", term:snapshot())
    local again <close> = assert(axo.open(sb:id()))
    assert.equal("C.UTF-8/\n", shown(again))
  end)

  -- Without root the environment of the container's first process cannot be read from outside then.
  it("is UTF-8 where the image names a user", function()
    local sb <close> = e2e.start { image = images.user() }
    assert.equal("C.UTF-8/\n", shown(sb))
    assert.equal("C/\n", shown(sb, { env = { LANG = "C" } }))
  end)

  it("lets GNU ls show a name", function()
    local sb <close> = e2e.start { image = images.debian() }
    temp.write(sb:root() .. "/h\u{e9}llo", "")
    assert.equal("h\u{e9}llo\n", assert(sb:exec { "ls", "-q" }).stdout)
  end)

  it("is the image's own where it has one", function()
    for name, expected in pairs { LANG = "C/\n", LC_ALL = "/C\n", LC_CTYPE = "/\n" } do
      local sb <close> = e2e.start { image = images.localised(name, "C") }
      assert.equal(expected, shown(sb))
      assert.equal(expected, shown(sb, { user = "1000" }))
    end
  end)

  it("is the caller's where it names one", function()
    local sb <close> = e2e.start()
    assert.equal("C/\n", shown(sb, { env = { LANG = "C" } }))
    assert.equal("/C\n", shown(sb, { env = { LC_ALL = "C" } }))
    local other <close> = e2e.start { env = { LANG = "C" } }
    assert.equal("C/\n", shown(other))
    assert.equal("/POSIX\n", shown(other, { env = { LANG = "", LC_ALL = "POSIX" } }))
  end)

  it("is the project's where its devcontainer.json names one", function()
    local expectations = {
      remoteEnv = "C/\n", containerEnv = "C/\n", forwardPorts = "C.UTF-8/\n",
    }
    for property, expected in pairs(expectations) do
      local value = property ~= "forwardPorts" and { LANG = "C" } or cjson.empty_array
      local sb <close>, _, dir = projects.start {
        [property] = value, postCreateCommand = SHOW .. " >>log",
      }
      assert.equal(expected, shown(sb))
      assert.equal(expected, projects.log(dir))
    end
  end)
end)
