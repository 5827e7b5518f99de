-- @runs native-root native-user
local e2e = require "spec.support.e2e"
local projects = require "spec.support.devcontainers"
local support = require "spec.support.cli"
local axo = require "axosandbox"
local cjson = require "cjson"
local uv = require "luv"
local podman = e2e.podman

local describe_project, started, log_of = projects.describe, projects.start, projects.log

local function output(sb, command, opts)
  local r = assert(sb:exec({ "sh", "-c", command }, opts))
  assert.equal(0, r.code, r.stderr)
  return r.stdout
end

describe("a session of a devcontainer.json", function()
  e2e.housekeeping(_ENV)

  it("has its variables, its user and its directory", function()
    local description, dir = describe_project {
      containerEnv = { IN = "${localWorkspaceFolderBasename}", BOTH = "container" },
      remoteEnv = { OUT = "<${containerEnv:IN}>", BOTH = "remote", NO = "${containerEnv:NO:none}" },
      remoteUser = "worker", workspaceFolder = "${localWorkspaceFolder}/sub",
      forwardPorts = { 3000 }, portsAttributes = { ["3000"] = { label = "App" } },
      privileged = true,
    }
    assert.is_nil(description.remote.cwd)
    assert(uv.fs_mkdir(dir .. "/sub", tonumber("755", 8)))
    description = assert(axo.devcontainer.load(dir,
      { id = description.options.id, policy = description.options.policy }))
    local sb <close>, result = axo.devcontainer.start(description)
    assert(sb, tostring(result))
    local show = "id -un; pwd; echo $IN $OUT $BOTH $NO"
    local expected = ("worker\n%s/sub\nproject <project> remote none\n"):format(dir)
    assert.equal(expected, output(sb, show))
    assert.equal("root\n/\nmine\n",
      output(sb, "id -un; pwd; echo $BOTH", { user = "root", cwd = "/", env = { BOTH = "mine" } }))
    -- What one host set up, the next one has, tasks included.
    local again <close> = assert(axo.open(sb:id()))
    assert.equal(expected, output(again, show))
    local task = assert(again:spawn_background(show))
    task:wait()
    assert.equal(expected, task:log())
    assert.same({ [3000] = "App" }, again:port_labels())
    local unmet = again:unmet_properties()
    assert.same({ 1, "privileged", "denied" }, { #unmet, unmet[1].property, unmet[1].status })
    assert.same(unmet, sb:unmet_properties())
    -- The container itself has only what is the container's.
    local env = table.concat(podman.inspect(sb:container()).Config.Env, "\n")
    assert.matches("BOTH=container", env)
    assert.is_nil(env:find("OUT=", 1, true))
  end)

  it("puts nothing in a secret's place", function()
    local description = describe_project {
      containerEnv = { KEY = "the container's" },
      remoteEnv = { TOKEN = "the project's", KEY = "the project's", OTHER = "the project's" },
      onCreateCommand = 'echo "$TOKEN" > seen',
    }
    local dir = e2e.temp.dir()
    description.options.env_from = {
      TOKEN = { file = e2e.temp.write(dir .. "/token", "the secret", "600") },
      KEY = { file = e2e.temp.write(dir .. "/key", "the other secret", "600") },
    }
    local sb <close>, result = axo.devcontainer.start(description)
    assert(sb, tostring(result))
    local show = 'echo "$TOKEN, $KEY, $OTHER"'
    local expected = "the secret, the other secret, the project's\n"
    assert.equal(expected, output(sb, show))
    assert.equal("the secret\n", e2e.temp.read(sb:root() .. "/seen"))
    local again <close> = assert(axo.open(sb:id()))
    assert.equal(expected, output(again, show))
    local task = assert(again:spawn_background(show))
    task:wait()
    assert.equal(expected, task:log())
    -- Whoever gives a command its own variable means it.
    assert.equal("mine\n", output(sb, 'echo "$TOKEN"', { env = { TOKEN = "mine" } }))
  end)

  it("runs as the container's user", function()
    local sb <close> = started { containerUser = "worker" }
    assert.equal("worker\n", output(sb, "id -un"))
    assert.equal("worker", podman.inspect(sb:container()).Config.User)
  end)

  it("uses no user that policy did not agree to", function()
    local sb <close> = started({ containerUser = "worker", remoteUser = "root" }, {
      sandbox = function(request, default)
        local decision = default(request)
        if request.user == "worker" then decision.user = "1234" end
        return decision
      end,
    })
    assert.equal("1234\n", output(sb, "id -u"))
    local warnings = table.concat(sb:warnings(), "\n")
    assert.matches("the user worker was asked for, and the session runs as 1234: policy", warnings)
    assert.matches("remoteUser root is not used: policy", warnings)
  end)

  it("uses no user of an image that does not run", function()
    local sb <close> = started({
      image = "quay.example/other:1", containerUser = "nobody-here", remoteUser = "nobody-here",
    }, { image_trust = function()
      return { image = e2e.images.base(), pull = "never", warning = "another image runs" }
    end })
    assert.equal("0\n", output(sb, "id -u"))
    assert.matches("remoteUser nobody%-here is not used: another image runs",
      table.concat(sb:warnings(), "\n"))
  end)

  it("has an image only if policy trusts it", function()
    local asked
    local sb <close> = started({ image = "quay.example/other:1" }, {
      image_trust = function(request)
        asked = request.image
        return { image = e2e.images.base(), pull = "never" }
      end,
    })
    assert.equal("quay.example/other:1", asked)
    assert.equal(e2e.images.base(), sb:image())
  end)

  it("asks policy about nothing that `axolua policy check` does not try", function()
    support.expose_libraries()
    local samples = require "axolua.policy.samples"
    local asked, policy = {}, {}
    for _, name in ipairs { "sandbox", "image_trust", "post_create", "provision", "exec" } do
      policy[name] = function(request, default)
        asked[#asked + 1] = { name = name, request = request }
        return default(request)
      end
    end
    local sb <close> = started({
      containerUser = "worker", remoteUser = "worker", containerEnv = { A = "b" },
      onCreateCommand = "true",
    }, policy)
    assert(sb:exec({ "true" }, { timeout = 60 }))
    local seen = {}
    for _, it in ipairs(asked) do
      local known = { fields = true }
      for _, sample in ipairs(samples.list(it.name)) do
        for key in pairs(sample[2]) do known[key] = true end
      end
      for key in pairs(it.request) do
        seen[it.name .. "." .. key] = true
        assert(known[key], ("no sample of %s has %s"):format(it.name, key))
      end
    end
    assert.is_true(seen["sandbox.remote_user"] and seen["post_create.event"])
  end)

  if podman.has_bridge() then
    it("publishes its ports on this machine only", function()
      local net = require "spec.support.net"
      local port = net.free_port()
      local sb <close> = started({ forwardPorts = { port, "db:1" } },
        { network = "bridge", provision = e2e.no_provisioning })
      assert.same({ port }, sb:ports())
      local bound = podman.inspect(sb:container()).HostConfig.PortBindings[port .. "/tcp"]
      assert.equal("127.0.0.1", bound[1].HostIp)
    end)
  end
end)

describe("axolua run on a devcontainer.json", function()
  e2e.housekeeping(_ENV)

  local function run(dir, command, extra)
    local list = { "run", "--dir", dir, "--id", e2e.new_id(), "--network", "none" }
    table.move(extra or {}, 1, #(extra or {}), #list + 1, list)
    list[#list + 1] = "--"
    table.move(command, 1, #command, #list + 1, list)
    return support.run(list)
  end

  it("honours it, and says on stderr what it did and what not", function()
    local dir = projects.with(cjson.encode(projects.all {
      image = e2e.images.base(), privileged = true, runArgs = { "--privileged" },
      remoteEnv = { A = "${localEnv:AXO_TEST_A}" }, containerEnv = { B = "b" },
      forwardPorts = { 3000, 22, 3001 },
    }))
    uv.os_setenv("AXO_TEST_A", "from here")
    local result = run(dir, { "sh", "-c", "echo $A-$B; cat log" }, {
      "--allow-untrusted-image", "--allow-post-create", "--local-env", "AXO_TEST_A",
    })
    uv.os_unsetenv "AXO_TEST_A"
    assert.equal(0, result.code, result.stderr)
    assert.equal("from here-b\ncreate\nupdate\npost-create\nstart\nattach\n", result.stdout)
    assert.matches("honoured: .*remoteEnv", result.stderr)
    assert.matches("honoured: .*forwardPorts %(published: 3000, 3001%)", result.stderr)
    assert.matches("denied: forwardPorts 22: ports below 1024", result.stderr)
    assert.matches("denied: privileged: the hardening", result.stderr)
    assert.matches("denied: runArgs: ", result.stderr)
    assert.matches("denied: initializeCommand: ", result.stderr)
  end)

  it("puts what the command line says before it, and leaves commands to policy", function()
    local dir = projects.with(cjson.encode {
      image = "quay.example/other:1", remoteUser = "nobody-here",
      containerEnv = { APP_A = "file", APP_B = "file", CC = "file" },
      remoteEnv = { APP_C = "file" },
      onCreateCommand = "echo create >> log",
    })
    local result = run(dir, { "sh", "-c", "echo $APP_A $APP_B $APP_C $CC; id -u" }, {
      "--image", e2e.images.base(), "--allow-untrusted-image", "--env", "APP_A=mine",
      "--env", "APP_C=mine",
    })
    assert.equal("mine file mine\n0\n", result.stdout, result.stderr)
    assert.matches("denied: containerEnv.CC: .*%-%-project%-env NAME", result.stderr)
    assert.equal("", log_of(dir))
    assert.matches("allow%-post%-create", result.stderr)
  end)

  it("can do without, and can choose", function()
    local dir = projects.dir {
      [".devcontainer/a/devcontainer.json"] = '{"containerEnv":{"WHICH":"a"}}',
      [".devcontainer/b/devcontainer.json"] = '{"containerEnv":{"WHICH":"b"}}',
    }
    local image = { "--image", e2e.images.base(), "--allow-untrusted-image" }
    local function which(...)
      local result = run(dir, { "sh", "-c", "echo $WHICH" },
        { "--project-env", "WHI*", image[1], image[2], image[3], ... })
      return result.stdout, result.code, result.stderr
    end
    assert.equal("b\n", (which("--devcontainer", "b")))
    assert.equal("\n", (which "--no-devcontainer"))
    local out, code, stderr = which()
    assert.same({ "", 125 }, { out, code })
    assert.matches("several dev containers: a, b", stderr)
    assert.matches("%-%-devcontainer NAME", stderr)
    assert.equal(125, select(2, which("--devcontainer", "../x")))
  end)

  it("says what was denied in --json too, also with -q", function()
    local dir = projects.with(cjson.encode { privileged = true, runArgs = { "--x" }, name = "n" })
    for _, option in ipairs { "--json", "-q" } do
      local result = run(dir, { "true" }, { "--image", e2e.images.base(),
        "--allow-untrusted-image", "--json", option ~= "--json" and option or nil })
      local warnings = table.concat(cjson.decode(result.stdout).warnings, "\n")
      assert.matches("devcontainer.json: denied: privileged: the hardening", warnings)
      assert.matches("devcontainer.json: denied: runArgs: ", warnings)
      if option == "--json" then
        assert.matches("devcontainer.json: nothing in it is honoured here\n", result.stderr)
      end
    end
  end)

  it("does not start on one that is wrong", function()
    local result = run(projects.with '{ "image": }', { "true" })
    assert.equal(125, result.code)
    assert.matches("devcontainer.json:1:12: expected a value", result.stderr)
    assert.matches("%-%-no%-devcontainer", result.stderr)
  end)
end)
