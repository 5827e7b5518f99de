-- @runs native-user
local uv = require "luv"
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local podman, temp = e2e.podman, e2e.temp

-- Starts with a policy file of this text and mode; returns the error and the file's path.
local function refused_by(name, text, mode)
  local file = temp.write(temp.dir() .. "/" .. name .. ".lua", text, mode or "600")
  local program, calls = podman.recording()
  local err = podman.with(program, function()
    return e2e.refused { policy = { [name] = file }, post_create = { "true" } }
  end)
  for _, call in ipairs(calls()) do
    assert(not call:find "^run " or name == "post_create" or name == "provision",
      "podman was asked: " .. call)
  end
  return err, file
end

describe("an error in a policy file starts no container, and names file and line:", function()
  e2e.housekeeping(_ENV)

  local BAD = {
    { "a syntax error", "return function()\n  return {\nend\n", 3 },
    { "a runtime error", "return function(request)\n  local x = nil\n  return x.field\nend\n", 3 },
    { "an error object", "return function()\n  error { anything = true }\nend\n" },
    { "an endless loop", "return function()\n  while true do end\nend\n", 2 },
    { "an endless loop at load", "local i = 0\nwhile true do i = i + 1 end\n", 2 },
    { "a string without end", "return function()\n  local s = 'x'\n"
      .. "  while true do s = s .. s end\nend\n", 3 },
    { "a wrong type", "return function(request, default)\n  local d = default(request)\n"
      .. "  d.network = 7\n  return d\nend\n" },
    { "an unknown key", "return function(request, default)\n  local d = default(request)\n"
      .. "  d.netwrok = 'none'\n  return d\nend\n" },
    { "a missing key", "return function()\n  return {}\nend\n" },
    { "nothing returned", "return function()\nend\n" },
    { "no function", "return 5\n" },
    { "a reach for the host", "return function()\n  os.execute 'true'\nend\n", 2 },
    { "a require", "local uv = require 'luv'\nreturn function() end\n", 1 },
    { "a failure hidden by pcall", "return function()\n  pcall(error, 'x')\n  return {}\nend\n" },
  }
  for _, case in ipairs(BAD) do
    it(case[1], function()
      local err, file = refused_by("sandbox", case[2])
      assert.equal("POLICY", err.code)
      local line = tostring(err):match(file:gsub("%p", "%%%0") .. ":(%d+)")
      assert(line, "no file and line in: " .. tostring(err))
      if case[3] then assert.equal(case[3], tonumber(line)) end
    end)
  end

  it("bytecode", function()
    local err, file = refused_by("sandbox", string.dump(load "return function() end"))
    assert.equal("POLICY", err.code)
    assert.truthy(tostring(err):find(file, 1, true))
  end)

  it("a file that others can write", function()
    for _, mode in ipairs { "666", "622", "620" } do
      local err, file = refused_by("sandbox",
        "return function(request, default) return default(request) end", mode)
      assert.equal("POLICY", err.code)
      assert.truthy(tostring(err):find(file, 1, true))
    end
  end)

  it("a file in a directory that others can write", function()
    local dir = temp.dir "policy"
    local file = temp.write(dir .. "/sandbox.lua",
      "return function(request, default) return default(request) end", "600")
    assert(uv.fs_chmod(dir, tonumber("777", 8)))
    local err = e2e.refused { policy = { sandbox = file } }
    assert.equal("POLICY", err.code)
    assert.truthy(tostring(err):find(dir, 1, true))
  end)

  it("a file in the session's own directory", function()
    local dir = temp.dir "project"
    local file = temp.write(dir .. "/sandbox.lua",
      "return function(request, default) return default(request) end", "600")
    local err = e2e.refused { dir = dir, policy = { sandbox = file } }
    assert.equal("POLICY", err.code)
  end)

  for _, name in ipairs { "image_trust", "provision", "post_create" } do
    it("in " .. name .. " too", function()
      local err, file = refused_by(name, "return function()\n  error 'no'\nend\n")
      assert.equal("POLICY", err.code)
      assert.truthy(tostring(err):find(file .. ":2", 1, true))
    end)
  end

  it("in retry, when it is asked", function()
    local file = temp.write(temp.dir() .. "/retry.lua",
      "return function()\n  error 'no'\nend\n", "600")
    local program = podman.recording(
      '[ "$1" = run ] && { echo "Error: something odd" >&2; exit 125; }')
    podman.with(program, function()
      local err = e2e.refused { policy = { retry = file } }
      assert.equal("POLICY", err.code)
      assert.truthy(tostring(err):find(file .. ":2", 1, true))
    end)
  end)
end)

describe("policy", function()
  e2e.housekeeping(_ENV)

  it("wraps the shipped decision, for one session, from a file", function()
    local file = temp.write(temp.dir() .. "/sandbox.lua", [[
      return function(request, default)
        local decision = default(request)
        decision.limits.pids = 77
        return decision
      end
    ]], "600")
    local sb = e2e.start { policy = { sandbox = file } }
    if podman.is_root() then
      assert.equal(77, sb:limits().pids.applied)
      assert.equal(77, e2e.probe.limits(e2e.probe.init_pid(sb:container())).pids)
    end
    assert(sb:stop())
  end)

  it("is found on AXOSANDBOX_POLICY_PATH, and a reason to deny reaches the caller", function()
    local dir = temp.dir()
    temp.write(dir .. "/sandbox.lua",
      "return function() return { deny = 'closed for today' } end", "600")
    uv.os_setenv("AXOSANDBOX_POLICY_PATH", dir)
    local ok, err = pcall(e2e.refused)
    uv.os_unsetenv "AXOSANDBOX_POLICY_PATH"
    assert(ok, err)
    assert.equal("POLICY", err.code)
    assert.matches("closed for today", tostring(err))
  end)

  it("is found in the user's configuration", function()
    local config = temp.dir()
    e2e.proc.must { "mkdir", "-p", "-m", "700", config .. "/axosandbox/policy" }
    temp.write(config .. "/axosandbox/policy/sandbox.lua",
      "return function() return { deny = 'the user says no' } end", "600")
    local result = e2e.host.run([[
      local sb, err = axo.start(options)
      say(sb and "started" or tostring(err))
      if sb then sb:stop() end
    ]], { options = e2e.options(), env = { XDG_CONFIG_HOME = config } })
    assert.matches("the user says no", result.stdout, 1, false, result.stderr)
  end)

  it("decides about each command: deny, and change the limits", function()
    local sb = e2e.start { policy = { exec = function(request, default)
      if request.argv[1] == "rm" then return { allow = false, reason = "no rm today" } end
      local decision = default(request)
      decision.max_output = 10
      return decision
    end } }
    local r, err = sb:exec { "rm", "-rf", "x" }
    assert.is_nil(r)
    assert.equal("DENIED", err.code)
    assert.matches("no rm today", tostring(err))
    local task
    task, err = sb:spawn_background { "rm", "x" }
    assert.is_nil(task)
    assert.matches("no rm today", tostring(err))
    local term
    term, err = sb:spawn_pty { "rm", "x" }
    assert.is_nil(term)
    assert.matches("no rm today", tostring(err))
    r = assert(sb:exec { "seq", "100" })
    assert.equal(10, #r.stdout)
    assert.is_true(r.stdout_truncated)
    assert(sb:stop())
  end)

  it("that fails about a command runs no command", function()
    local file = temp.write(temp.dir() .. "/exec.lua", "return function()\n  error 'no'\nend\n",
      "600")
    local sb = e2e.start { policy = { exec = file } }
    local r, err = sb:exec { "touch", "ran" }
    assert.is_nil(r)
    assert.equal("POLICY", err.code)
    assert.truthy(tostring(err):find(file .. ":2", 1, true))
    assert.is_nil(temp.read(sb:root() .. "/ran"))
    assert(sb:stop())
  end)

  it("with an unknown field is the programmer's mistake and raises", function()
    local ok, err = pcall(axo.start, e2e.options { policy = { netwrok = "none" } })
    assert.is_false(ok)
    assert.matches("netwrok", tostring(err))
  end)

  it("cannot lower the floor: no field gives a capability back", function()
    for _, key in ipairs { "privileged", "cap_add", "security_opt", "pid", "userns", "devices" } do
      local ok = pcall(axo.start, e2e.options { policy = { [key] = true } })
      assert.is_false(ok)
      local err = refused_by("sandbox", ([[
        return function(request, default)
          local decision = default(request)
          decision.%s = true
          return decision
        end]]):format(key))
      assert.equal("POLICY", err.code)
    end
  end)
end)
