local uv = require "luv"
local policy = require "axosandbox.policy"
local policies = require "spec.support.policies"
local temp = require "spec.support.temp"

local ECHO = "return function() return { allow = false, reason = %q } end"
local REQUEST = { argv = { "make" }, kind = "exec", id = "demo", dir = "/home/me/project" }

local function reason(set)
  return assert(set:decide("exec", REQUEST)).reason
end

local function saying(text)
  return policies.dir { exec = ECHO:format(text) }
end

describe("the chain of a decision", function()
  policies.housekeeping(_ENV)

  it("ends with the shipped file, which decides when there is no other", function()
    local set = policies.new()
    assert.is_true(assert(set:decide("exec", REQUEST)).allow)
    assert.matches("/policy/exec%.lua$", set:source "exec")
  end)

  it("asks the call's own first, then the directories in their order", function()
    local first, second = saying "first", saying "second"
    assert.equal("first", reason(policies.new(nil, { first, second })))
    assert.equal("second", reason(policies.new(nil, { temp.dir(), second })))
    local file = saying "file" .. "/exec.lua"
    local set = policies.new({ exec = file }, { first, second })
    assert.equal("file", reason(set))
    assert.equal(file, set:source "exec")
    set = policies.new({ exec = function() return { allow = false, reason = "fn" } end }, { first })
    assert.equal("fn", reason(set))
    assert.matches("chain_spec%.lua:%d+$", set:source "exec")
  end)

  it("looks into $AXOSANDBOX_POLICY_PATH, then into the user's configuration", function()
    local config = temp.dir()
    assert(uv.fs_mkdir(config .. "/axosandbox", 448))
    assert(uv.fs_mkdir(config .. "/axosandbox/policy", 448))
    temp.write(config .. "/axosandbox/policy/exec.lua", ECHO:format "configured", "600")
    local path = ("%s::%s"):format(temp.dir(), saying "path")
    policies.with_env({ XDG_CONFIG_HOME = config, AXOSANDBOX_POLICY_PATH = path }, function()
      assert.equal("path", reason(assert(policy.new())))
    end)
    policies.with_env({ XDG_CONFIG_HOME = config, AXOSANDBOX_POLICY_PATH = false }, function()
      assert.equal("configured", reason(assert(policy.new())))
    end)
  end)

  it("looks into ~/.config when XDG_CONFIG_HOME is not set, or is relative", function()
    local home = temp.dir()
    local dir = home
    for _, name in ipairs { "/.config", "/axosandbox", "/policy" } do
      dir = dir .. name
      assert(uv.fs_mkdir(dir, 448))
    end
    temp.write(dir .. "/exec.lua", ECHO:format "home", "600")
    for _, value in ipairs { false, "relative" } do
      policies.with_env({
        XDG_CONFIG_HOME = value, HOME = home, AXOSANDBOX_POLICY_PATH = false,
      }, function() assert.equal("home", reason(assert(policy.new()))) end)
    end
  end)

  it("refuses a relative directory in $AXOSANDBOX_POLICY_PATH", function()
    policies.with_env({ AXOSANDBOX_POLICY_PATH = "/etc:policy" }, function()
      local set, err = policy.new()
      assert.is_nil(set)
      assert.equal("POLICY", err.code)
      assert.matches('"policy"', tostring(err))
    end)
  end)

  it("refuses what $AXOSANDBOX_POLICY_PATH names and is no directory", function()
    local file = temp.write(temp.dir() .. "/file", "", "600")
    for path, why in pairs { ["/axo/nowhere"] = "no such", [file] = "not a directory" } do
      policies.with_env({ AXOSANDBOX_POLICY_PATH = temp.dir() .. ":" .. path }, function()
        local set, err = policy.new()
        assert.is_nil(set)
        assert.equal("POLICY", err.code)
        assert.matches(path, err.message, 1, true)
        assert.matches(why, err.message)
        assert.matches("AXOSANDBOX_POLICY_PATH", err.message)
        assert.truthy(err.hint)
      end)
    end
  end)

  it("refuses a file that no decision would ever read", function()
    for _, name in ipairs { "sandbx", "Exec", "execs", "exec copy" } do
      local dir = policies.dir { [name] = ECHO:format "never read" }
      local set, err = policies.new(nil, { temp.dir(), dir })
      assert.is_nil(set)
      assert.equal("POLICY", err.code)
      assert.matches(("%s/%s.lua"):format(dir, name), err.message, 1, true)
      assert.matches("sandbox.lua, image_trust.lua", err.hint, 1, true)
    end
    local dir = temp.dir()
    assert(uv.fs_symlink("/axo/nowhere", dir .. "/EXEC.LUA"))
    assert.is_nil((policies.new(nil, { dir })))
  end)

  it("passes over what is no policy file in a directory of them", function()
    local dir = saying "mine"
    for _, name in ipairs { "README.md", "exec.lua~", ".#exec.lua", "#exec.lua#", ".sandbx.lua",
      "exec.lua.orig", "sandbx" } do temp.write(dir .. "/" .. name, "return 1", "600") end
    for _, name in ipairs { "lib", "exec", "odd.lua" } do
      assert(uv.fs_mkdir(dir .. "/" .. name, 448))
    end
    temp.write(dir .. "/lib/helper.lua", "return 1", "600")
    assert.equal("mine", reason(assert(policies.new(nil, { dir }))))
  end)

  it("hands each the next one", function()
    local wrap = [[return function(request, default)
      local decision = default(request)
      decision.reason = (decision.reason or "") .. %q
      return decision
    end]]
    local set = policies.new(nil, {
      policies.dir { exec = wrap:format "a" }, policies.dir { exec = wrap:format "b" },
      saying "c", policies.dir { exec = wrap:format "never" },
    })
    assert.equal("cba", reason(set))
  end)

  it("hands a function of the host the next one, too", function()
    local set = policies.new({ exec = function(request, default)
      local decision = default(request)
      decision.reason = decision.reason .. " of " .. request.id
      return decision
    end }, { saying "asked" })
    assert.equal("asked of demo", reason(set))
  end)

  it("asks the next with the same request when it is given none, or with a changed one", function()
    local tell = "return function(request) return { allow = false, reason = request.argv[1] } end"
    local below = policies.dir { exec = tell }
    local same = policies.dir { exec = "return function(request, default) return default() end" }
    assert.equal("make", reason(policies.new(nil, { same, below })))
    local changed = policies.dir { exec = [[return function(request, default)
      request.argv[1] = "ninja"
      return default(request)
    end]] }
    assert.equal("ninja", reason(policies.new(nil, { changed, below })))
  end)

  it("is read again for each set, and not in between", function()
    local dir = saying "before"
    local set = policies.new(nil, { dir })
    assert.equal("before", reason(set))
    temp.write(dir .. "/exec.lua", ECHO:format "after", "600")
    assert.equal("before", reason(set))
    assert.equal("after", reason(policies.new(nil, { dir })))
  end)

  it("never skips a file that is there and bad", function()
    local bad = policies.dir { retry = "return {" }
    local set, err = policies.new(nil, { bad })
    assert.is_nil(set)
    assert.equal("POLICY", err.code)
    assert.matches("/retry%.lua:1:", tostring(err))
  end)

  it("says when a file that the call names is not there", function()
    local set, err = policies.new { exec = "/nonexistent/exec.lua" }
    assert.is_nil(set)
    assert.equal("POLICY", err.code)
    assert.matches("/nonexistent/exec.lua:1: there is no such file", tostring(err))
  end)

  it("has no default below the shipped file", function()
    local shipped = {}
    for _, name in ipairs(policies.names) do
      shipped[name] = "return function(request, default) return default(request) end"
    end
    local set = assert(policy.new(nil, { dirs = {}, shipped = policies.dir(shipped) }))
    local decision, err = set:decide("exec", REQUEST)
    assert.is_nil(decision)
    assert.matches("exec.lua:1: there is no further default", tostring(err))
  end)

  it("loads a shipped file when it is first asked, and then refuses what it cannot load", function()
    local shipped = {}
    for _, name in ipairs(policies.names) do
      shipped[name] = "return function() return { allow = true } end"
    end
    shipped.retry = "return {"
    local set = assert(policy.new(nil, { dirs = {}, shipped = policies.dir(shipped) }))
    assert.is_true(assert(set:decide("exec", { argv = { "true" }, kind = "exec" })).allow)
    for _ = 1, 2 do
      local decision, err = set:decide("retry", { op = "classify", stderr = "" })
      assert.is_nil(decision)
      assert.equal("POLICY", err.code)
      assert.matches("retry.lua:1: ", err.message)
    end
  end)

  it("loads one in the middle of another decision, whose budget that does not touch", function()
    local set
    set = assert(policy.new({ exec = function(request, default)
      local seen = assert(set:decide("retry", { op = "classify", stderr = "x" }))
      local decision = default(request)
      decision.reason = seen.class
      return decision
    end }, { dirs = {}, binding = policies.dir {
      exec = "return function(request, default) return default(request) end",
    } }))
    local decision = assert(set:decide("exec", { argv = { "true" }, kind = "exec" }))
    assert.is_true(decision.allow)
    assert.equal("UNKNOWN", decision.reason)
  end)

  it("does not do without a shipped file", function()
    local set, err = policy.new(nil, { dirs = {}, shipped = temp.dir() })
    assert.is_nil(set)
    assert.matches("sandbox.lua:1: the shipped policy is missing", tostring(err))
  end)
end)

describe("policy.new", function()
  policies.housekeeping(_ENV)

  it("keeps the plain fields, as copies", function()
    local limits = { memory = "1g" }
    local set = policies.new { network = "none", limits = limits, exec = function() end }
    limits.memory = "9g"
    assert.same({ network = "none", limits = { memory = "1g" } }, set:fields())
    set:fields().network = "bridge"
    assert.equal("none", set:fields().network)
  end)

  local BAD = {
    { { netwrok = "none" }, 'unknown key "netwrok"' },
    { { network = "host" }, "policy.network: expected one of bridge, none" },
    { { network = true }, "policy.network: expected string" },
    { { limits = { memory = "lots" } }, "policy.limits.memory: expected a size" },
    { { limits = { memory = true } }, "policy.limits.memory" },
    { { limits = { cpus = 0 } }, "policy.limits.cpus" },
    { { limits = { pids = 1.5 } }, "policy.limits.pids: expected integer" },
    { { limits = { pids = true } }, "policy.limits.pids" },
    { { limits = { disk = 1 } }, 'unknown key "disk"' },
    { { publish_address = "localhost" }, "expected an IPv4 or IPv6 address" },
    { { publish_address = "1.2.3.256" }, "expected an IPv4 or IPv6 address" },
    { { user = "" }, "policy.user: must not be empty" },
    { { user = "--privileged" }, 'policy.user: must not begin with "-"' },
    { { exec = { timeout = -1 } }, "policy.exec" },
    { { exec = 5 }, "policy.exec" },
    { { allow_images = { {} } }, "would allow every image" },
    { { allow_images = { { repository = "library/alpine" } } }, "repository without a registry" },
    { { allow_images = { { registry = "ghcr.io/me" } } }, "is not a registry" },
    { { allow_images = { { registry = "GHCR" } } }, "is not a registry" },
    { { allow_images = { { registry = "*" } } }, "is not a registry" },
    { { allow_images = { { registry = "x.io", repository = "Me" } } }, "is not a repository" },
    { { allow_images = { { registry = "x.io", repository = "a:1" } } }, "is not a repository" },
    { { allow_images = { { registry = "x.io", repository = "me*" } } }, "is not a repository" },
    { { allow_images = { { registry = "x.io", repository = "*/a" } } }, "is not a repository" },
    { { allow_images = { { digest = "sha256:abc" } } }, "is not a digest" },
    { { allow_images = { { registery = "x.io" } } }, 'unknown key "registery"' },
    { { allow_images = { "alpine" } }, "policy.allow_images%[1%]: expected table" },
    { { retry = 5 }, "policy.retry: expected function or string" },
    { { retry = "retry.lua" }, "the path of a policy file must be absolute" },
    { { privileged = true }, 'unknown key "privileged"' },
  }
  for i, case in ipairs(BAD) do
    it(("raises on a mistake of the programmer (%d: %s)"):format(i, case[2]), function()
      local ok, err = pcall(function()
        local set = policy.new(case[1])
        return set
      end)
      assert.is_false(ok)
      assert.matches(case[2], err)
      assert.matches("chain_spec.lua:%d+:", err)
    end)
  end

  it("accepts addresses and users", function()
    local good = { "127.0.0.1", "0.0.0.0", "::", "::1", "fe80::1:2", "1:2:3:4:5:6:7:8" }
    for _, address in ipairs(good) do
      assert.truthy(policies.new { publish_address = address })
    end
    for _, user in ipairs { "root", "1000:1000", "nobody:users" } do
      assert.truthy(policies.new { user = user })
    end
  end)

  it("takes `exec` as limits, as a function and as a file", function()
    assert.same({ timeout = 5 }, policies.new({ exec = { timeout = 5 } }):fields().exec)
    assert.equal(5, policies.new({ exec = { timeout = 5 } })
      :decide("exec", { argv = { "true" }, kind = "exec" }).timeout)
    local set = policies.new { exec = saying "a file" .. "/exec.lua" }
    assert.equal("a file", reason(set))
    assert.is_nil(set:fields().exec)
  end)

  it("raises on a decision that there is none of", function()
    local set = policies.new()
    assert.error_matches(function() set:decide("exeq", {}) end, 'unknown decision "exeq"')
    assert.error_matches(function() set:source "exeq" end, 'unknown decision "exeq"')
    assert.error_matches(function() set:decide("exec", "x") end, "must be a table")
    assert.error_matches(function() set:decide("exec", { f = print }) end, "plain data")
  end)
end)
