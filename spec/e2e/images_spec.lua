-- @runs native-root
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local await = require "axosandbox.base.await"
local podman = e2e.podman

describe("an image", function()
  e2e.housekeeping(_ENV)

  it("with an ENTRYPOINT stays up and runs commands", function()
    local sb = e2e.start { image = e2e.images.entrypoint() }
    assert.equal("fine\n", assert(sb:exec { "echo", "fine" }).stdout)
    assert.is_true(podman.inspect(sb:container()).State.Running)
    assert(sb:stop())
  end)

  it("with a CMD that ends at once stays up", function()
    local sb = e2e.start { image = e2e.images.cmd() }
    assert.equal("fine\n", assert(sb:exec { "echo", "fine" }).stdout)
    assert(sb:stop())
  end)

  it("with a USER runs commands as that user, and policy may choose another", function()
    local sb = e2e.start { image = e2e.images.user() }
    assert.equal("worker\n", assert(sb:exec { "id", "-un" }).stdout)
    assert.equal("root\n", assert(sb:exec({ "id", "-un" }, { user = "root" })).stdout)
    assert(sb:stop())
    sb = e2e.start { image = e2e.images.user(), policy = { user = "root" } }
    assert.equal("root\n", assert(sb:exec { "id", "-un" }).stdout)
    assert(sb:stop())
  end)

  it("with a USER is killed inside all the same", function()
    local sb = e2e.start { image = e2e.images.user() }
    local view, mark = e2e.probe.container(sb:container()), e2e.probe.unique_sleep()
    local r = assert(sb:exec({ "sleep", mark }, { timeout = 0.5 }))
    assert.is_true(r.timed_out)
    assert.equal(0, #view.find(mark))
    assert(sb:stop())
  end)

  it("with a VOLUME leaves none behind", function()
    local sb = e2e.start { image = e2e.images.volume() }
    assert.equal(0, assert(sb:exec { "touch", "/data/file" }).code)
    local volumes = {}
    for _, mount in ipairs(podman.inspect(sb:container()).Mounts) do
      if mount.Type == "volume" then volumes[#volumes + 1] = mount.Name end
    end
    for _, name in ipairs(volumes) do e2e.janitor.made("volume", name) end
    assert(sb:stop())
    local left = podman.must("volume", "ls", "-q")
    for _, name in ipairs(volumes) do assert.is_nil(left:find(name, 1, true)) end
  end)

  it("that is not there is a clear error, and nothing is left behind", function()
    local err = e2e.refused { image = "localhost/axotest-no-such-image:1" }
    assert.matches("axotest%-no%-such%-image", tostring(err))
    assert.equal("IMAGE_NOT_FOUND", err.class)
  end)

  it("that is not trusted is refused: who asks for one does not get another", function()
    local program, calls = podman.recording()
    local options = e2e.options { policy = { allow_untrusted_image = false } }
    podman.with(program, function()
      local sb, err = axo.start(options)
      assert.is_nil(sb)
      assert.equal("POLICY", err.code)
      assert.matches(options.image, err.message, 1, true)
      assert.matches("allow_untrusted_image", err.message, 1, true)
    end)
    for _, call in ipairs(calls()) do assert.is_nil(call:find "^run ") end
  end)

  it("that policy or the retry policy would exchange is refused, too", function()
    local other = { "image_trust", function()
      return { image = "localhost/o:1", pull = "never" }
    end }
    local retry = { "retry", function(request, default)
      if request.op == "classify" then return default(request) end
      return { action = "retry", changes = { image = "localhost/axosandbox/base" } }
    end }
    for _, it in ipairs { other, retry } do
      local err = e2e.refused {
        image = "localhost/axotest-no-such-image:1",
        policy = { allow_untrusted_image = true, [it[1]] = it[2] },
      }
      assert.equal("POLICY", err.code)
      assert.matches("axotest%-no%-such%-image:1 was asked for", err.message)
    end
  end)

  it("that is not trusted and only wished for is replaced, with a warning", function()
    local program, calls = podman.recording()
    local options = e2e.options { policy = { allow_untrusted_image = false, network = "none" } }
    options.optional = { image = true }
    podman.with(program, function()
      local sb = assert(axo.start(options))
      assert.are_not.equal(options.image, sb:image())
      local warnings = table.concat(sb:warnings(), "\n")
      assert.matches(options.image, warnings, 1, true)
      assert.matches("allow_untrusted_image", warnings, 1, true)
      assert(sb:stop())
    end)
    for _, call in ipairs(calls()) do
      if call:find "^run " then
        -- The label of what was asked for names it too.
        assert.is_nil(call:find(" " .. options.image .. " ", 1, true))
      end
    end
  end)

  it("is made from the host's busybox where no registry answers", function()
    local options = e2e.options()
    options.image, options.policy = nil, { network = "none" }
    local sb = assert(axo.start(options))
    assert.equal("hello\n", assert(sb:exec { "sh", "-c", "echo hello" }).stdout)
    assert.is_string(sb:image())
    assert(sb:stop())
  end)
end)

describe("what is installed into a fresh container", function()
  e2e.housekeeping(_ENV)

  local function execs_during(options)
    local program, calls = podman.recording()
    local asked = {}
    podman.with(program, function()
      options.policy.provision = options.policy.provision or function(request, default)
        local decision = default(request)
        asked[#asked + 1] = { request = request, decision = decision }
        return decision
      end
      assert(assert(axo.start(options)):stop())
    end)
    local execs = {}
    for _, call in ipairs(calls()) do
      if call:find "^exec " then execs[#execs + 1] = call end
    end
    return execs, asked
  end

  it("is nothing when the network is off: nothing runs and nothing waits", function()
    local options = e2e.options()
    options.image = nil
    local execs, asked = execs_during(options)
    assert.same({}, execs)
    for _, each in ipairs(asked) do
      assert.equal("none", each.request.network)
      assert.is_false(each.decision.run)
    end
  end)

  it("is what policy says, as root, once: the result is kept as an image", function()
    local options = e2e.options()
    local key = "axotest-" .. e2e.temp.token()
    local function provision()
      return { run = true, commands = { "echo installed > /installed", "id -un >> /installed" },
        timeout = 60, cache = true, key = key }
    end
    options.policy.provision = provision
    local sb = assert(axo.start(options))
    assert.equal("installed\nroot\n", assert(sb:exec { "cat", "/installed" }).stdout)
    assert(sb:stop())
    for name in podman.must("images", "--format", "{{.Repository}}:{{.Tag}}"):gmatch "[^\n]+" do
      if name:find(key, 1, true) then e2e.janitor.made("image", name) end
    end
    local again = e2e.options { image = options.image, policy = { provision = provision } }
    local program, calls = podman.recording()
    podman.with(program, function()
      local second = assert(axo.start(again))
      assert.equal("installed\nroot\n", assert(second:exec { "cat", "/installed" }).stdout)
      assert(second:stop())
    end)
    for _, call in ipairs(calls()) do
      if call:find "^exec " then assert.is_nil(call:find("echo installed", 1, true)) end
    end
  end)

  it("that fails only warns", function()
    local options = e2e.options { policy = { provision = function()
      return { run = true, commands = { "echo no luck >&2; exit 9" }, timeout = 60, cache = false }
    end } }
    local sb = assert(axo.start(options))
    assert.matches("no luck", table.concat(sb:warnings(), "\n"))
    assert.equal(0, assert(sb:exec { "true" }).code)
    assert(sb:stop())
  end)
end)

describe("commands that a repository brings", function()
  e2e.housekeeping(_ENV)

  it("do not run unless allowed, and the warning says how", function()
    local sb = e2e.start { post_create = { "touch ran" } }
    assert.is_nil(e2e.temp.read(sb:root() .. "/ran"))
    assert.matches("allow_post_create", table.concat(sb:warnings(), "\n"))
    assert(sb:stop())
  end)

  it("run in order, in the directory, when allowed", function()
    local sb = e2e.start {
      post_create = { "pwd > ran", "echo two >> ran" }, policy = { allow_post_create = true },
    }
    assert.equal(sb:root() .. "\ntwo\n", e2e.temp.read(sb:root() .. "/ran"))
    assert(sb:stop())
  end)

  it("that fail warn, and the session is usable", function()
    local sb = e2e.start {
      post_create = { "echo bad >&2; exit 3" }, policy = { allow_post_create = true },
    }
    assert.matches("bad", table.concat(sb:warnings(), "\n"))
    assert.equal(0, assert(sb:exec { "true" }).code)
    assert(sb:stop())
  end)

  it("that fail end the start when policy says so", function()
    local err = e2e.refused {
      post_create = { "exit 3" },
      policy = { post_create = function(request)
        return { run = true, commands = request.commands, timeout = 60, on_failure = "fail" }
      end },
    }
    assert.truthy(err.code)
  end)

  local function asks(request, default)
    request.fields.allow_post_create = true
    local decision = default(request)
    decision.ask, decision.run = decision.run, false
    return decision
  end

  it("run once whoever started the session agrees, when policy asks", function()
    local asked
    local sb <close> = e2e.start {
      post_create = { "echo ran > ran" }, policy = { post_create = asks },
      confirm = function(question, answer)
        asked = question
        await.after(0.01, function() answer(true) end)
      end,
    }
    assert.same({ "echo ran > ran" }, asked.commands)
    assert.equal(sb:root(), asked.dir)
    assert.equal("ran\n", e2e.temp.read(sb:root() .. "/ran"))
  end)

  it("do not run when the answer is no, there is nobody to ask, or asking fails", function()
    for why, confirm in pairs {
      ["the answer was no"] = function(_, answer) answer "yes" end,
      ["nobody can be asked"] = false,
      ["asking failed"] = function() error "cannot ask" end,
    } do
      local sb = e2e.start {
        post_create = { "echo ran > ran" }, policy = { post_create = asks },
        confirm = confirm or nil,
      }
      assert.is_nil(e2e.temp.read(sb:root() .. "/ran"))
      assert.matches("echo ran > ran did not run, because policy asks first and " .. why,
        table.concat(sb:warnings(), "\n"))
      assert(sb:stop())
      e2e.forget_messages()
    end
  end)

  it("leave nothing when the start is cancelled while somebody is asked", function()
    local options = e2e.options { post_create = { "true" }, policy = { post_create = asks } }
    local handle, taken_back, failure
    options.confirm = function()
      handle:cancel()
      return function() taken_back = true end
    end
    handle = axo.start(options, function(err) failure = err end)
    e2e.eventually(function() return failure end)
    assert.equal("CANCELLED", failure.code)
    assert.is_true(taken_back)
    assert.is_false(e2e.podman.exists("axo-ses-" .. options.id))
  end)
end)
