-- @runs native-user
-- The lifecycle commands of a devcontainer.json where policy wants somebody asked first.
local e2e = require "spec.support.e2e"
local projects = require "spec.support.devcontainers"
local axo = require "axosandbox"
local uv = require "luv"
local podman = e2e.podman

local ASKS = {
  post_create = function(request)
    return {
      run = false, ask = #request.commands > 0, commands = request.commands, timeout = 60,
      on_failure = "warn",
    }
  end,
}

local TWO = { onCreateCommand = "echo create >> log", postStartCommand = "echo start >> log" }

local function warnings_of(sb)
  return table.concat(sb:warnings(), "\n")
end

describe("the lifecycle commands, where policy asks first,", function()
  e2e.housekeeping(_ENV)

  it("run after a yes, each event by itself", function()
    local description, dir = projects.describe(projects.all(), ASKS)
    local questions = {}
    local sb <close>, result = axo.devcontainer.start(description, {
      confirm = function(question, answer)
        questions[#questions + 1] = question
        local timer = uv.new_timer()
        timer:start(1, 0, function()
          timer:close()
          answer(true)
        end)
      end,
    })
    assert(sb, tostring(result))
    assert.equal(5, #result.ran)
    assert.same({}, result.skipped)
    assert.equal("create\nupdate\npost-create\nstart\nattach\n", projects.log(dir))
    assert.equal(5, #questions)
    assert.same({
      op = "onCreateCommand", commands = { "echo create >> log" }, id = description.options.id,
      dir = dir,
    }, questions[1])
    assert.equal("postAttachCommand", questions[5].op)
    assert.is_nil(warnings_of(sb):find("did not run", 1, true))
  end)

  it("do not run after a no, which says nothing of the others", function()
    local description, dir = projects.describe(TWO, ASKS)
    local sb <close>, result = axo.devcontainer.start(description, {
      confirm = function(question, answer) answer(question.op == "postStartCommand") end,
    })
    assert(sb, tostring(result))
    assert.same({ "postStartCommand" }, result.ran)
    assert.same({ { event = "onCreateCommand", reason = "policy" } }, result.skipped)
    assert.is_nil(result.failed)
    assert.equal("start\n", projects.log(dir))
    assert.matches("echo create >> log did not run, because policy asks first and the answer "
      .. "was no", warnings_of(sb), 1, true)
    -- It was put off, not done: who opens the session later is asked again.
    local again <close> = assert(axo.open(sb:id(), { policy = ASKS }))
    result = assert(axo.devcontainer.enter(again, description, {
      confirm = function(_, answer) answer(true) end,
    }))
    assert.same({ "onCreateCommand" }, result.ran)
    assert.equal("start\ncreate\n", projects.log(dir))
  end)

  it("do not run where nobody can be asked", function()
    local sb <close>, result, dir = projects.start(TWO, ASKS)
    assert.same({}, result.ran)
    assert.same({
      { event = "onCreateCommand", reason = "policy" },
      { event = "postStartCommand", reason = "policy" },
    }, result.skipped)
    assert.equal("", projects.log(dir))
    assert.matches("echo start >> log did not run, because policy asks first and nobody can "
      .. "be asked", warnings_of(sb), 1, true)
  end)

  -- An asker that never answers, and whether its question was taken back.
  local function silent()
    local state = {}
    function state.confirm()
      state.asked = true
      return function() state.taken_back = true end
    end
    return state
  end

  it("leave no session when the start is cancelled while the question waits", function()
    local description, dir = projects.describe(TWO, ASKS)
    local asker, err = silent(), nil
    local handle = axo.devcontainer.start(description, { confirm = asker.confirm },
      function(problem) err = problem or "started" end)
    e2e.eventually(function() return asker.asked end, "the question")
    assert.is_true(podman.exists("axo-ses-" .. description.options.id))
    handle:cancel()
    e2e.eventually(function() return err end, "the end of the start")
    assert.equal("CANCELLED", err.code)
    assert.is_true(asker.taken_back)
    assert.equal("", projects.log(dir))
    e2e.eventually(function()
      return not podman.exists("axo-ses-" .. description.options.id)
    end, "the end of the container")
  end)

  it("leave a session alone that ran before, when the start that joined it is cancelled", function()
    local description = projects.describe(TWO, ASKS)
    local sb <close> = assert(axo.start(description.options))
    description.options.reuse = true
    local asker, err = silent(), nil
    local handle = axo.devcontainer.start(description, { confirm = asker.confirm },
      function(problem) err = problem or "started" end)
    e2e.eventually(function() return asker.asked end, "the question")
    handle:cancel()
    e2e.eventually(function() return err end, "the end of the start")
    assert.equal("CANCELLED", err.code)
    assert.equal("here\n", assert(sb:exec { "echo", "here" }).stdout)
  end)

  it("leave a session alone that was entered, when that is cancelled", function()
    local description, dir = projects.describe(TWO, ASKS)
    local sb <close> = assert(axo.start(description.options))
    local asker, err = silent(), nil
    local handle = axo.devcontainer.enter(sb, description, { confirm = asker.confirm },
      function(problem) err = problem or "entered" end)
    e2e.eventually(function() return asker.asked end, "the question")
    handle:cancel()
    e2e.eventually(function() return err end, "the end of entering")
    assert.equal("CANCELLED", err.code)
    assert.is_true(asker.taken_back)
    assert.equal("here\n", assert(sb:exec { "echo", "here" }).stdout)
    -- Nothing is left over that keeps it from being entered again.
    local result = assert(axo.devcontainer.enter(sb, description, {
      confirm = function(_, answer) answer(true) end,
    }))
    assert.same({ "onCreateCommand", "postStartCommand" }, result.ran)
    assert.equal("create\nstart\n", projects.log(dir))
  end)
end)
