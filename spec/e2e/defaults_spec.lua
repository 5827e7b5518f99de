-- @runs native-root native-user
-- The defaults of the user and of the project, as sessions have them.
local cjson = require "cjson"
local uv = require "luv"
local e2e = require "spec.support.e2e"
local support = require "spec.support.cli"
local mcp = require "spec.support.mcp"
local axo = require "axosandbox"
local temp = e2e.temp

describe("defaults", function()
  e2e.housekeeping(_ENV)

  local config, project
  before_each(function()
    config, project = temp.dir(), temp.dir "project"
    assert(uv.fs_mkdir(config .. "/axosandbox", 448))
    assert(uv.fs_mkdir(project .. "/.axosandbox", 493))
  end)

  local function user(text) temp.write(config .. "/axosandbox/config.lua", text, "600") end

  local function of_project(text) temp.write(project .. "/.axosandbox/config.json", text) end

  local function run(options, ...)
    local arguments = { "run", "--dir", project }
    table.move(options, 1, #options, #arguments + 1, arguments)
    table.move({ "--", ... }, 1, 1 + select("#", ...), #arguments + 1, arguments)
    return support.run(arguments, { env = { XDG_CONFIG_HOME = config } })
  end

  local function of_user(more)
    user(('return { image = %q, allow_untrusted_image = true, network = "none", %s }'):format(
      e2e.images.base(), more or ""))
  end

  it("of the user are in a session where the command line says nothing", function()
    of_user 'env = { COLOUR = "blue", SIZE = "7" }, timeout = 300'
    local result = run({ "--env", "SIZE=8" }, "sh", "-c", "echo $COLOUR $SIZE; ls /sys/class/net")
    assert.equal(0, result.code, result.stderr)
    assert.equal("blue 8\nlo\n", result.stdout)
    assert.equal(125, run({ "--no-defaults", "--image", e2e.images.base() }, "true").code)
  end)

  it("of the project take away what the user and policy give, until it is typed", function()
    of_user()
    of_project '{ "timeout": 1, "image": "evil" }'
    local result = run({}, "sleep", "60")
    assert.equal(124, result.code, result.stderr)
    assert.matches("config.json: image is not taken", result.stderr)
    assert.equal(0, run({ "--timeout", "300" }, "sleep", "1.5").code)
  end)

  it("that cannot be used start nothing, and say what to correct", function()
    of_user()
    of_project '{ "memry": "1g" }'
    local result = run({}, "true")
    assert.equal(125, result.code)
    assert.matches('no default "memry": did you mean memory%?\n        .*%-%-no%-defaults',
      result.stderr)
    local client = mcp.start({ "--dir", project }, { env = { XDG_CONFIG_HOME = config } })
    client:initialize()
    local answer, is_error = client:call("bash", { command = "true" })
    assert.is_true(is_error)
    assert.matches("did you mean memory", answer)
    client:finish()
  end)

  it("narrow a session whatever policy decides", function()
    local sb <close> = e2e.start {
      policy = { limits = { pids = 100 } }, narrow = { pids = 50, network = "none" },
    }
    assert.equal(50, sb:limits().pids.asked)
    local options = e2e.options {
      ports = { 3000 }, publish = "podman", narrow = { network = "none" },
    }
    options.policy.network = nil
    local started, err = axo.start(options)
    assert.is_nil(started)
    assert.matches("the project's defaults give its sessions no network", err.message)
  end)

  it("are told by policy show, each with its file", function()
    of_user 'memory = "1g"'
    of_project '{ "memory": "512m" }'
    local result = support.run({ "policy", "show", "--json", "--dir", project },
      { env = { XDG_CONFIG_HOME = config } })
    local from = {}
    for _, it in ipairs(cjson.decode(result.stdout).defaults) do from[it.name] = it end
    assert.equal("512m", from.memory.value)
    assert.equal(project .. "/.axosandbox/config.json", from.memory.file)
    assert.equal(config .. "/axosandbox/config.lua", from.network.file)

    of_project '{ "image": "evil" }'
    result = support.run({ "policy", "show", "--dir", project },
      { env = { XDG_CONFIG_HOME = temp.dir "config" } })
    assert.matches("config.json: image is not taken", result.stdout)
  end)
end)
