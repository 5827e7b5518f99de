-- @runs native-root native-user
-- Who asks for something gets it, an error, or is told what was decided instead.
local cjson = require "cjson"
local e2e = require "spec.support.e2e"
local policies = require "spec.support.policies"
local projects = require "spec.support.devcontainers"
local support = require "spec.support.cli"
local temp = require "spec.support.temp"

describe("what was asked for", function()
  e2e.housekeeping(_ENV)

  local function run(words, env)
    local list = { "run", "--id", e2e.new_id() }
    table.move(words, 1, #words, #list + 1, list)
    return support.run(list, { env = env })
  end

  it("and is an image that policy refuses, is an error on every way", function()
    local dir = temp.dir "project"
    local result = run { "--dir", dir, "--image", "ubuntu:22.04", "--network", "none", "--json",
      "--", "true" }
    assert.equal(125, result.code)
    assert.matches("docker.io/library/ubuntu:22.04 is not trusted", result.stderr)
    assert.matches("%-%-allow%-untrusted%-image", result.stderr)
    assert.equal("POLICY", cjson.decode(result.stdout).error.code)
    -- The default image by its name is what is asked for, and no other one stands in for it.
    local program = e2e.podman.recording [[
if [ "$1" = pull ]; then echo "Error: initializing source docker://x: pinging container registry \
x: dial tcp 1.2.3.4:443: connect: connection refused" >&2; exit 125; fi
case "$*" in run*docker.io/library/alpine:3.20*)
  echo "Error: docker.io/library/alpine:3.20: image not known" >&2; exit 125;; esac
]]
    e2e.podman.with(program, function()
      local err = e2e.refused { image = "alpine:3.20", policy = { network = "none" } }
      assert.equal("REGISTRY_UNREACHABLE", err.class)
    end)
  end)

  it("and is decided otherwise, is said on stderr, also with -q, and in JSON", function()
    local policy = policies.dir {
      sandbox = [[return function(request, default)
        local decision = default(request)
        decision.network, decision.limits.memory, decision.shm_size = "none", "512m", "8m"
        return decision
      end]],
      exec = [[return function(request, default)
        local decision = default(request)
        decision.timeout = 50
        return decision
      end]],
    }
    local result = run({ "--dir", temp.dir "project", "--image", e2e.images.base(),
      "--allow-untrusted-image", "--network", "bridge", "--memory", "4g", "--shm-size", "1g",
      "--timeout", "60", "-q", "--json", "--", "sh", "-c", "df -k /dev/shm | tail -1" },
      { AXOSANDBOX_POLICY_PATH = policy })
    assert.equal(0, result.code, result.stderr)
    local told = table.concat(cjson.decode(result.stdout).warnings, "\n")
    for _, text in ipairs { result.stderr, told } do
      assert.is_truthy(text:find(policy .. "/sandbox.lua", 1, true), text)
      assert.matches("network: none instead of bridge", text)
      assert.matches("memory limit: 512m instead of 4g", text)
      assert.matches("/dev/shm: 8m instead of 1g", text)
      assert.matches("a command may take 50 s instead of 60", text)
    end
    assert.matches("%f[%d]8192 ", cjson.decode(result.stdout).stdout)
  end)

  it("by a devcontainer.json, and not by who runs it, is a warning", function()
    local dir = projects.with(cjson.encode {
      image = "ubuntu:22.04", remoteUser = "nobody-here",
    })
    local result = run { "--dir", dir, "--network", "none", "--json", "--", "true" }
    assert.equal(0, result.code, result.stderr)
    assert.matches("ubuntu:22.04 is not trusted here, so .* runs instead", result.stderr)
    assert.matches("ubuntu:22.04 is not trusted",
      table.concat(cjson.decode(result.stdout).warnings, "\n"))
  end)
end)

describe("a devcontainer.json's words", function()
  e2e.housekeeping(_ENV)

  it("keep its user where --image names the same image, and say so where it does not", function()
    local base = e2e.images.base()
    local function run(image)
      local dir = projects.with(cjson.encode { image = base, remoteUser = "worker" })
      return support.run { "run", "--id", e2e.new_id(), "--dir", dir, "--network", "none",
        "--image", image, "--allow-untrusted-image", "--", "id", "-un" }
    end
    assert.equal("worker\n", run(base).stdout)
    local other = run "localhost/axosandbox/base"
    assert.equal("root\n", other.stdout, other.stderr)
    assert.matches("warning: remoteUser: not used: %-%-image names another image", other.stderr)
  end)

  it("have the container's variables in lifecycle commands", function()
    local sb <close>, result, dir = projects.start {
      containerEnv = { IN = "it's in" },
      onCreateCommand = 'echo "${containerEnv:IN}|${containerEnv:NO:https://x:1}" >> log',
      postStartCommand = { "sh", "-c", 'echo "$1" >> log', "sh", "${containerEnv:IN}" },
      postAttachCommand = { one = { "sh", "-c", "echo ${containerEnv:NO}: >> log" } },
    }
    assert.is_nil(result.failed)
    assert.equal("it's in|https://x:1\nit's in\n:\n", projects.log(dir))
    assert.is_true(sb:id() ~= nil)
  end)
end)
