-- The administrator's files: whoever else decides, they are asked first and have the last word.
local cjson = require "cjson"
local uv = require "luv"
local policy = require "axosandbox.policy"
local policy_dirs = require "axosandbox.policy.dirs"
local policies = require "spec.support.policies"
local support = require "spec.support.cli"
local temp = require "spec.support.temp"

local NO_NETWORK = [[
return function(request, default)
  local decision = default(request)
  decision.network = "none"
  return decision
end]]

local REQUEST = {
  id = "demo", dir = "/home/me/project", dir_real = "/home/me/project", ports = {}, env = {},
  env_names = {}, secret_names = {}, host = { uid = 1000, home = "/home/me", rootless = true },
}

local function wishes(network)
  return ('return function(r, d) local x = d(r) x.network = %q return x end'):format(network)
end

describe("a binding policy", function()
  policies.housekeeping(_ENV)

  local function bound(overrides, dirs, binding)
    return policy.new(overrides, { dirs = dirs or {}, binding = binding })
  end

  it("has the last word over a call's function, file and fields, and every directory", function()
    local binding = policies.dir { sandbox = NO_NETWORK }
    local bridge = policies.dir { sandbox = wishes "bridge" }
    local given = {
      { sandbox = function(r, d) local x = d(r) x.network = "bridge" return x end },
      { sandbox = bridge .. "/sandbox.lua" }, { network = "bridge" },
    }
    for _, overrides in ipairs(given) do
      local set = assert(bound(overrides, { bridge }, binding))
      assert.equal("none", assert(set:decide("sandbox", REQUEST)).network)
      assert.equal(binding .. "/sandbox.lua", set:source "sandbox")
      assert.is_true(set:chain("sandbox")[1].binding)
      assert.is_false(set:chain("sandbox")[2].binding)
    end
  end)

  it("is asked for every decision", function()
    for _, name in ipairs(policies.names) do
      local binding = policies.dir { [name] = "return function() error 'asked' end" }
      local set = assert(bound({ [name] = function() return { allow = true } end }, {}, binding))
      local decision, err = set:decide(name, name == "sandbox" and REQUEST or { op = "classify" })
      assert.is_nil(decision)
      assert.equal(binding .. ("/%s.lua:1: asked"):format(name), err.message)
    end
  end)

  it("gets the errors of a function of the program beneath it, which mean no", function()
    local binding = policies.dir { sandbox = NO_NETWORK }
    local raising = { sandbox = function() error "mine" end }
    local decision, err = assert(bound(raising, {}, binding)):decide("sandbox", REQUEST)
    assert.is_nil(decision)
    assert.equal("POLICY", err.code)
    assert.matches("binding_spec%.lua:%d+: mine", err.message)
    local wrong = { sandbox = function() return { network = "host" } end }
    decision, err = assert(bound(wrong, {}, binding)):decide("sandbox", REQUEST)
    assert.is_nil(decision)
    assert.matches("binding_spec%.lua:%d+: sandbox decision", err.message)
  end)

  it("does not pay for what a function of the program takes", function()
    local binding = policies.dir { sandbox = NO_NETWORK }
    local set = assert(bound({ sandbox = function(request, default)
      for _ = 1, 2000000 do request.id = "x" end
      return default(request)
    end }, {}, binding))
    assert.equal("none", assert(set:decide("sandbox", REQUEST)).network)
  end)

  it("that cannot be read, listed or is none, lets nothing start", function()
    local strange = policies.dir { sandbox = NO_NETWORK, ["sandbx"] = NO_NETWORK }
    local broken = policies.dir { exec = "return function(" }
    local writable = policies.dir { exec = "return function() return { allow = true } end" }
    assert(uv.fs_chmod(writable .. "/exec.lua", tonumber("666", 8)))
    local file = temp.write(temp.dir() .. "/binding", "", "600")
    local link = temp.dir() .. "/binding"
    assert(uv.fs_symlink("/axo/nowhere", link))
    local closed = policies.dir { sandbox = NO_NETWORK }
    assert(uv.fs_chmod(closed, uv.getuid() == 0 and 448 or 0))
    for _, dir in ipairs { strange, broken, writable, file, link,
      uv.getuid() ~= 0 and closed or nil } do
      local set, err = bound(nil, {}, dir)
      assert.is_nil(set, dir)
      assert.equal("POLICY", err.code)
      assert.is_truthy(err.message:find(dir, 1, true), err.message)
    end
    assert(uv.fs_chmod(closed, 448))
    assert.is_truthy(bound(nil, {}, temp.dir() .. "/missing"))
  end)

  it("in a closed directory says which ones to open", function()
    local dir = policies.dir { sandbox = NO_NETWORK }
    local scandir, lstat = uv.fs_scandir, uv.fs_lstat
    local function deny() return nil, "EACCES: permission denied", "EACCES" end
    finally(function() uv.fs_scandir, uv.fs_lstat = scandir, lstat end)
    uv.fs_scandir = deny -- luacheck: ignore 122
    local function hint() return policy_dirs.check(dir, true).hint end
    assert.is_truthy(hint():find("chmod go+rx " .. dir, 1, true))
    uv.fs_lstat = deny -- luacheck: ignore 122
    local both = ("chmod go+rx %s %s"):format(dir:match "^(.+)/", dir)
    assert.is_truthy(hint():find(both, 1, true))
  end)

  it("is what a refusal's hint names, and that nothing gets round it", function()
    local binding = policies.dir { sandbox = NO_NETWORK }
    local set = assert(bound(nil, {}, binding))
    assert.matches("^see " .. binding:gsub("%p", "%%%0") .. "/sandbox.lua: it binds everybody",
      set:hint "sandbox")
    assert.equal("see " .. set:source "exec", set:hint "exec")
  end)

  describe("of this machine", function()
    local etc, before
    before_each(function()
      before, etc = policy_dirs.ETC, temp.dir()
      assert(uv.fs_mkdir(etc .. "/binding", 448))
      temp.write(etc .. "/binding/sandbox.lua", NO_NETWORK, "600")
      policy_dirs.ETC = etc
    end)
    after_each(function() policy_dirs.ETC = before end)

    it("is the same whatever the environment says", function()
      local bridge = policies.dir { sandbox = wishes "bridge" }
      local env = {
        AXOSANDBOX_POLICY_PATH = bridge, XDG_CONFIG_HOME = temp.dir(), HOME = temp.dir(),
        AXOSANDBOX_ETC = temp.dir(),
      }
      policies.with_env(env, function()
        local set = assert(policy.new { network = "bridge" })
        assert.equal("none", assert(set:decide("sandbox", REQUEST)).network)
      end)
    end)

    local function axolua(...)
      local code = ([[require("axosandbox.policy.dirs").ETC = %q
        package.path = %q .. "/?.lua;" .. package.path
        os.exit(require("axolua.policy").main { %s }, true)]]):format(
          etc, support.scripts(), ("%q,"):rep(select("#", ...)):format(...))
      return support.run({ "-e", code }, { env = { AXOSANDBOX_POLICY_PATH = false } })
    end

    it("is shown, checked and begun as such", function()
      local shown = axolua("show", "sandbox")
      assert.matches("^sandbox +" .. etc:gsub("%p", "%%%0") .. "/binding/sandbox.lua %(binding%)\n",
        shown.stdout)
      local json = cjson.decode(axolua("show", "sandbox", "--json").stdout)
      assert.is_true(json.sandbox.files[1].binding)
      assert.matches("has the last word", axolua("check", etc .. "/binding/sandbox.lua").stderr)
      local mine = policies.dir { sandbox = wishes "bridge" }
      assert.matches("is asked first, and has the last word",
        axolua("check", mine .. "/sandbox.lua").stderr)
      local begun = axolua("init", "--binding")
      assert.equal(0, begun.code, begun.stderr)
      assert.matches("/binding/sandbox.lua is there already", begun.stdout)
      local stat = assert(uv.fs_stat(etc .. "/binding/exec.lua"))
      assert.equal("0644", ("%04o"):format(stat.mode & 511))
    end)

    it("is begun so that everybody can read it, whatever the umask", function()
      local made = etc .. "/new"
      local code = ([[require("axosandbox.policy.dirs").ETC = %q
        package.path = %q .. "/?.lua;" .. package.path
        os.exit(require("axolua.policy").main { "init", "--binding", "exec" }, true)]]):format(
          made, support.scripts())
      local begun = support.shell('umask 077; exec "$AXOLUA" -e "$1"', code)
      assert.equal(0, begun.code, begun.stderr)
      local function mode(path) return ("%04o"):format(assert(uv.fs_stat(path)).mode & 511) end
      assert.equal("0755", mode(made))
      assert.equal("0755", mode(made .. "/binding"))
      assert.equal("0644", mode(made .. "/binding/exec.lua"))
    end)
  end)
end)
