-- @runs native-user
-- axolua mcp over a project that says what its container should be.
local cjson = require "cjson"
local e2e = require "spec.support.e2e"
local mcp = require "spec.support.mcp"
local projects = require "spec.support.devcontainers"
local podman, temp = e2e.podman, e2e.temp

describe("axolua mcp over a project with a devcontainer.json", function()
  e2e.housekeeping { setup = setup, before_each = before_each, after_each = after_each,
    teardown = teardown }

  local client, id, dir
  after_each(function()
    if client then client:kill() end
    client = nil
  end)

  local function container() return "axo-ses-" .. id end

  local function serve_dir(extra, env)
    id = e2e.new_id()
    local list = { "--dir", dir, "--id", id, "--network", "none", "--allow-untrusted-image" }
    table.move(extra or {}, 1, #(extra or {}), #list + 1, list)
    client = mcp.start(list, { env = env })
    return client
  end

  local function serve(config, extra, env)
    config.image = config.image or e2e.images.base()
    dir = projects.with(cjson.encode(config))
    serve_dir(extra, env):initialize()
  end

  local SHOW = { command = 'cat log; echo "$A-$B"' }

  it("has its image and its variables, and is ready once its commands have run", function()
    serve({
      containerEnv = { A = "a" }, remoteEnv = { B = "<${localEnv:AXO_TEST_B}>" },
      privileged = true,
      onCreateCommand = "sleep 0.3; echo said; echo complained >&2; echo create >> log",
      postAttachCommand = "echo attach >> log",
    }, { "--allow-post-create", "--local-env", "AXO_TEST_B", "--verbose" },
      { AXO_TEST_B = "from here" })
    assert.matches("^create\nattach\na%-<from here>\n", (client:call("bash", SHOW)))
    assert.equal(e2e.images.base(), podman.inspect(container()).ImageName)
    assert.matches("\ndevcontainer.json: denied: privileged: ", (client:call("session_info", {})))
    local result = client:finish()
    assert.equal(0, result.code)
    -- stdout is the client's alone.
    for line in result.stdout:gmatch "[^\n]+" do assert.is_table(cjson.decode(line)) end
    assert.matches("honoured: .*remoteEnv", result.stderr)
    assert.matches("denied: privileged: ", result.stderr)
    assert.matches("said\n", result.stderr)
    assert.matches("complained\n", result.stderr)
    assert.is_false(podman.exists(container()))
  end)

  it("runs none of its commands unless policy says so, and says that to the agent", function()
    serve({ containerEnv = { A = "a" }, onCreateCommand = "echo create >> log" },
      { "--project-env", "A" })
    assert.matches("a%-\n", (client:call("bash", SHOW)))
    assert.equal("", projects.log(dir))
    assert.matches("warning: .*allow%-post%-create", (client:call "session_info"))
  end)

  it("goes on after one that failed", function()
    serve({ onCreateCommand = "echo 'no luck' >&2; exit 7", postAttachCommand = "echo x >> log" },
      { "--allow-post-create" })
    assert.matches("warning: .*exit code 7: no luck; the later ones do not run",
      (client:call "session_info"))
    assert.equal("", projects.log(dir))
  end)

  it("does without it, or with another one, when told to", function()
    serve({ containerEnv = { A = "file" } },
      { "--no-devcontainer", "--image", e2e.images.base() })
    assert.matches("^%-\n", (client:call("bash", { command = 'echo "$A-$B"' })))
    client:finish()
    dir = projects.dir {
      [".devcontainer/a/devcontainer.json"] = '{"containerEnv":{"A":"a"}}',
      [".devcontainer/b/devcontainer.json"] = '{"containerEnv":{"A":"b"}}',
    }
    serve_dir({
      "--devcontainer", "b", "--image", e2e.images.base(), "--project-env", "A",
    }):initialize()
    assert.matches("^b%-\n", (client:call("bash", { command = 'echo "$A-$B"' })))
  end)

  it("answers with what is wrong with one that cannot be read, and starts nothing", function()
    dir = projects.with '{ "image": }'
    serve_dir():initialize()
    local result = client:answer(client:request("tools/call", { name = "session_info" })).result
    assert.is_true(result.isError)
    assert.matches("devcontainer.json:1:12: expected a value", (mcp.text(result)))
    assert.matches("%-%-no%-devcontainer", (mcp.text(result)))
    assert.equal(0, client:finish().code)
    assert.matches("devcontainer.json:1:12: expected a value", client.process:stderr())
    assert.is_false(podman.exists(container()))
  end)

  it("leaves nothing when its input ends while its commands run", function()
    serve({ onCreateCommand = "echo up > up; sleep 1000" }, { "--allow-post-create" })
    e2e.eventually(function() return temp.read(dir .. "/up") end, "the command")
    assert.equal(0, client:finish().code)
    assert.is_false(podman.exists(container()))
  end)

  it("has it again after its container was lost, as it was read at the beginning", function()
    serve({ remoteEnv = { A = "a" }, onCreateCommand = "echo create >> log" },
      { "--allow-post-create" })
    assert.matches("^create\na%-\n", (client:call("bash", SHOW)))
    local file = { path = ".devcontainer.json", content = '{"remoteEnv":{"A":"the agent\'s"}}' }
    local text, failed = client:call("write_file", file)
    assert(not failed, text)
    podman.must("rm", "-f", "-t", "0", container())
    e2e.eventually(function()
      return (client:call("bash", SHOW)):find "^create\ncreate\na%-\n"
    end, "another container")
  end)
end)
