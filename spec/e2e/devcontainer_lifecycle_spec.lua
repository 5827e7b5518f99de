-- @runs native-user
local e2e = require "spec.support.e2e"
local projects = require "spec.support.devcontainers"
local axo = require "axosandbox"
local uv = require "luv"
local podman = e2e.podman

local describe_project, started, log_of = projects.describe, projects.start, projects.log

-- What was said about the commands; a host may have its own warnings about limits.
local function warnings_of(sb)
  local found = {}
  for _, text in ipairs(sb:warnings()) do
    if text:find "devcontainer" then found[#found + 1] = text end
  end
  return found
end

describe("the lifecycle commands", function()
  e2e.housekeeping(_ENV)

  it("run in order, in the container, and once where they should", function()
    local sb <close>, result, dir, description = started(projects.all())
    assert.equal("create\nupdate\npost-create\nstart\nattach\n", log_of(dir))
    assert.equal(5, #result.ran)
    assert.is_nil(result.failed)

    -- In this handle, in another one, and in another process.
    assert(axo.devcontainer.enter(sb, description))
    local again <close> = assert(axo.open(sb:id(), { policy = { allow_post_create = true } }))
    result = assert(axo.devcontainer.enter(again, description))
    assert.same({ "postAttachCommand" }, result.ran)
    assert.equal("done", result.skipped[1].reason)
    local other = e2e.host.run([[
      local sb = assert(axo.open(options.id, { policy = { allow_post_create = true } }))
      local description = assert(axo.devcontainer.load(options.dir, { id = options.id }))
      local result = assert(axo.devcontainer.enter(sb, description))
      say(table.concat(result.ran, " "))
    ]], { options = { id = sb:id(), dir = dir } })
    assert.equal("postAttachCommand\n", other.stdout, other.stderr)
    assert.equal("create\nupdate\npost-create\nstart\n" .. ("attach\n"):rep(4), log_of(dir))
  end)

  it("run again in a new container", function()
    local sb, _, dir, description = started { onCreateCommand = "echo create >> log" }
    assert(sb:stop())
    local second <close> = assert(axo.devcontainer.start(description))
    assert.equal("create\ncreate\n", log_of(dir))
    assert.equal(description.options.id, second:id())
  end)

  it("do not run unless policy says so, and may run later", function()
    local sb <close>, result, dir, description = started(projects.all(),
      { allow_post_create = false })
    assert.equal("", log_of(dir))
    assert.same({}, result.ran)
    assert.equal("policy", result.skipped[5].reason)
    local warnings = warnings_of(sb)
    assert.equal(1, #warnings)
    assert.matches("devcontainer.json's commands were skipped", warnings[1])
    assert.matches("allow_post_create = true", warnings[1])
    local again <close> = assert(axo.open(sb:id(), { policy = { allow_post_create = true } }))
    assert.equal(5, #assert(axo.devcontainer.enter(again, description)).ran)
  end)

  it("are what policy makes of them", function()
    local events = {}
    local sb <close>, result, dir = started({
      onCreateCommand = { a = "echo a >> log", b = { "touch", "b c" } },
      postStartCommand = "echo start >> log", postAttachCommand = "echo attach >> log",
    }, {
      post_create = function(request)
        events[#events + 1] = request.event .. ": " .. table.concat(request.commands, " | ")
        local commands = request.commands
        if request.event == "onCreateCommand" then
          commands = { "echo 1 >> log", "echo 2 >> log" }
        end
        return {
          run = request.event ~= "postStartCommand", commands = commands, timeout = 60,
          on_failure = "warn",
        }
      end,
    })
    assert.equal(3, #events)
    assert.matches("^onCreateCommand: .*touch 'b c'", events[1])
    assert.equal("1\n2\nattach\n", log_of(dir))
    assert.same({ "onCreateCommand", "postAttachCommand" }, result.ran)
    assert.same({ { event = "postStartCommand", reason = "policy" } }, result.skipped)
    local warnings = warnings_of(sb)
    assert.equal(1, #warnings)
    assert.matches("does not run the project's commands", warnings[1])
  end)

  it("of an object run at the same time, and all are waited for", function()
    local sb <close>, result, dir = started {
      -- Each waits for the other.
      postCreateCommand = {
        one = "mkfifo p 2>/dev/null; echo x > p; echo one >> log",
        two = { "sh", "-c", "until [ -p p ]; do sleep 0.1; done; cat p; echo two >> log" },
        three = "exit 3",
      },
      postStartCommand = "echo start >> log",
    }
    assert.same({}, sb:ports())
    assert.equal("postCreateCommand", result.failed.event)
    assert.equal("three", result.failed.command)
    local log = log_of(dir)
    assert(log:find "one\n" and log:find "two\n", log)
    assert.is_nil(log:find "start")
  end)

  it("after one that failed do not run, now or later", function()
    local sb <close>, result, dir, description = started(projects.all {
      updateContentCommand = "echo 'no luck' >&2; exit 7",
    })
    assert.equal("create\n", log_of(dir))
    assert.same({ event = "updateContentCommand", command = "echo 'no luck' >&2; exit 7",
      message = "exit code 7: no luck" }, result.failed)
    assert.same({ "onCreateCommand", "updateContentCommand" }, result.ran)
    assert.equal(3, #result.skipped)
    assert.matches("exit code 7: no luck; the later ones do not run", warnings_of(sb)[1])
    for _, entry in ipairs(e2e.messages()) do
      if entry.message:find "the later ones" then assert.is_true(entry.fields.unmet) end
    end
    result = assert(axo.devcontainer.enter(sb, description))
    assert.equal("updateContentCommand", result.failed.event)
    assert.equal("create\n", log_of(dir))
  end)

  it("end the start when policy says that a failure counts", function()
    local description = describe_project({ onCreateCommand = { "no-such-program" } }, {
      post_create = function(request, default)
        local decision = default(request)
        decision.on_failure = "fail"
        return decision
      end,
    })
    local sb, err = axo.devcontainer.start(description)
    assert.is_nil(sb)
    assert.equal("POST_CREATE", err.code)
    assert.matches("onCreateCommand .*no%-such%-program", err.message)
    assert.is_false(podman.exists("axo-ses-" .. description.options.id))
  end)

  it("pass the exec policy too, and have policy's time", function()
    local sb <close>, result = started({ onCreateCommand = "sleep 1000" }, {
      post_create = function(request)
        return { run = true, commands = request.commands, timeout = 0.2, on_failure = "warn" }
      end,
    })
    assert.equal("it took too long", result.failed.message)
    local denied <close>, other = started({ onCreateCommand = { "rm", "-rf", "x" } }, {
      exec = function(request, default)
        if request.argv[1] == "rm" then return { allow = false, reason = "no rm" } end
        return default(request)
      end,
    })
    assert.matches("does not allow rm: no rm", other.failed.message)
    assert.not_equal(sb:id(), denied:id())
  end)

  it("are ended by a cancel, with all that they started", function()
    local description = describe_project {
      onCreateCommand = "echo up > up; sleep 1000 & sleep 1000",
    }
    local err, handle
    handle = axo.devcontainer.start(description, function(problem) err = problem or "started" end)
    e2e.eventually(function()
      return uv.fs_stat(description.options.dir .. "/up") ~= nil
    end)
    handle:cancel()
    while not err do uv.run "once" end
    assert.equal("CANCELLED", err.code)
    e2e.eventually(function()
      return not podman.exists("axo-ses-" .. description.options.id)
    end)
  end)

  it("that were interrupted do not run again in that container", function()
    local description, dir = describe_project {
      onCreateCommand = "echo create >> log; sleep 1000", postStartCommand = "echo start >> log",
    }
    local host = e2e.host.start([[
      local description = assert(axo.devcontainer.load(options.dir, options.opts))
      axo.devcontainer.start(description)
    ]], { options = { dir = dir, opts = {
      id = description.options.id, policy = description.options.policy,
    } } })
    e2e.eventually(function() return log_of(dir) == "create\n" end)
    host:kill()
    host:wait(true)
    local sb = assert(axo.open(description.options.id, { policy = { allow_post_create = true } }))
    local result = assert(axo.devcontainer.enter(sb, description))
    assert.matches("interrupted", result.failed.message)
    assert.equal("create\n", log_of(dir))
    assert(sb:stop())
  end)

  it("show what they print to whoever wants it", function()
    local description = describe_project { onCreateCommand = "echo out; echo err >&2" }
    local seen = ""
    local sb <close> = assert(axo.devcontainer.start(description, {
      on_output = function(event, bytes) seen = seen .. event .. ":" .. bytes end,
    }))
    assert.matches("onCreateCommand:.*out\n", seen)
    assert.matches("err\n", seen)
    assert.equal(description.options.id, sb:id())
  end)
end)
