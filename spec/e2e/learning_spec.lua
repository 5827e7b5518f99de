-- @runs native-user
local uv = require "luv"
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local host = require "axosandbox.host"
local podman, temp = e2e.podman, e2e.temp

--- Runs `fn` where nothing is known about this host.
local function unlearnt(fn)
  local before = os.getenv "XDG_STATE_HOME"
  uv.os_setenv("XDG_STATE_HOME", temp.dir())
  local ok, err = pcall(fn)
  if before then uv.os_setenv("XDG_STATE_HOME", before) else uv.os_unsetenv "XDG_STATE_HOME" end
  if not ok then error(err, 0) end
end

describe("what was learnt about a host", function()
  e2e.housekeeping(_ENV)

  it("is forgotten when it makes a start fail, and learnt anew", function()
    unlearnt(function()
      host.remember("adaptations", { runtime = "axotest-no-such-runtime" }, 600, podman.program())
      assert(e2e.start():stop())
      local known = host.recall("adaptations", podman.program()) or {}
      assert.are_not.equal("axotest-no-such-runtime", known.runtime)
    end)
  end)

  it("goes for every podman that follows, also when it is about its environment", function()
    unlearnt(function()
      local program, calls = podman.recording [[
echo "with $NETAVARK_FW" >> "$0.firewall"
if [ "$1" = run ] && [ -z "$NETAVARK_FW" ]; then
  echo "Error: netavark: nftables error: unable to execute nft: No such file or directory" >&2
  exit 126
fi]]
      podman.with(program, function()
        assert(e2e.start { policy = {
          network = "none", retry = function(request, default)
            if request.class ~= "NETWORK_BACKEND" then return default(request) end
            request.plan.network, request.host.firewalls = "bridge", { "iptables" }
            return default(request)
          end,
        } }:stop())
        assert.equal("iptables", host.recall("adaptations", program).firewall)
        temp.write(program .. ".firewall", "")
        local sb = e2e.start()
        for _, warning in ipairs(sb:warnings()) do -- rootless, limits may not be in force
          assert.matches("^limits not in force", warning)
        end
        assert(sb:stop())
      end)
      assert.is_true(#calls() > 3)
      for line in temp.read(program .. ".firewall"):gmatch "[^\n]+" do
        assert.equal("with iptables", line)
      end
    end)
  end)

  it("does not drop limits that are required", function()
    unlearnt(function()
      host.remember("concessions", { drop_limits = true }, 600, podman.program())
      local options = e2e.options { policy = { require_resource_limits = true } }
      local sb, err = axo.start(options)
      if sb then
        assert.is_true(sb:limits().memory.enforced)
        assert(sb:stop())
      else
        assert.equal("LIMITS", err.code)
      end
    end)
  end)

  it("is not the same for another podman", function()
    unlearnt(function()
      host.remember("key", "value", 600, podman.program())
      assert.is_nil(host.recall("key", podman.recording()))
    end)
  end)
end)

describe("a pull that hangs", function()
  e2e.housekeeping(_ENV)

  it("ends at its own deadline, and the fallback runs; the next start does not pull", function()
    local program, calls = podman.recording '[ "$1" = pull ] && exec sleep 1000'
    local function sandbox(request, default)
      local decision = default(request)
      decision.timeouts.pull = 0.2
      return decision
    end
    -- Never there, and of a registry that nobody has.
    local image = "registry.invalid/axotest/nothing:1"
    local function image_trust()
      return { image = image, pull = "missing", fallback = e2e.images.base() }
    end
    local function pulls()
      local count = 0
      for _, call in ipairs(calls()) do
        if call:find "^pull " then count = count + 1 end
      end
      return count
    end
    unlearnt(function()
      podman.with(program, function()
        local policy = { sandbox = sandbox, image_trust = image_trust }
        local sb = assert(axo.start(e2e.options { policy = policy, optional = { image = true } }))
        assert.equal(e2e.images.base(), sb:image())
        assert.matches("registry.invalid", table.concat(sb:warnings(), "\n"), 1, true)
        assert(sb:stop())
        assert.equal(1, pulls())
        sb = assert(axo.start(e2e.options { policy = policy, optional = { image = true } }))
        assert.matches("registry.invalid", table.concat(sb:warnings(), "\n"), 1, true)
        assert(sb:stop())
        assert.equal(1, pulls())
      end)
    end)
  end)
end)

describe("provisioning that failed", function()
  e2e.housekeeping(_ENV)

  it("is not waited for again at the next start", function()
    local ran = 0
    local function provision()
      return { run = true, commands = { "exit 7" }, timeout = 60, cache = true,
        key = "axotest-" .. temp.run_name() }
    end
    unlearnt(function()
      local program, calls = podman.recording()
      podman.with(program, function()
        for _ = 1, 2 do
          local sb = assert(axo.start(e2e.options { policy = { provision = provision } }))
          assert.matches("provision", table.concat(sb:warnings(), "\n"))
          assert(sb:stop())
        end
      end)
      for _, call in ipairs(calls()) do
        if call:find "exit 7" then ran = ran + 1 end
      end
    end)
    assert.equal(1, ran)
    assert.is_nil(podman.must("ps", "-a", "--format", "{{.Names}}"):find("axo-prov-", 1, true))
  end)
end)

describe("a start that is cancelled", function()
  e2e.housekeeping(_ENV)

  local function cancel_when(ripe, changes)
    local options = e2e.options(changes)
    local outcome
    local handle = assert(axo.start(options, function(err, sb)
      outcome = { err = err, sb = sb }
    end))
    e2e.eventually(function() return outcome or ripe(options) end, "the moment to cancel")
    handle:cancel()
    e2e.eventually(function() return outcome end, "the outcome")
    if outcome.sb then
      assert(outcome.sb:stop())
      return nil, options
    end
    return outcome.err, options
  end

  local function assert_nothing_left(options)
    assert.is_false(podman.exists("axo-ses-" .. options.id))
    assert.is_nil(uv.fs_lstat(assert(host.runtime_dir()) .. "/" .. options.id))
    assert.is_nil(uv.fs_lstat(assert(host.lock_path(options.id))))
  end

  it("leaves nothing behind, at whatever moment", function()
    local moments = {
      function() return true end,
      function(options) return #e2e.probe.children(" run ", options.id) > 0 end,
      function(options) return podman.exists("axo-ses-" .. options.id) end,
    }
    for _, ripe in ipairs(moments) do
      local err, options = cancel_when(ripe)
      if err then assert.equal("CANCELLED", err.code) end
      assert_nothing_left(options)
    end
  end)

  it("while the repository's commands run, ends them", function()
    local err, options = cancel_when(function()
      return e2e.logged "info":find("post%-create") ~= nil
    end, { post_create = { "sleep 1000" }, policy = { allow_post_create = true } })
    assert.equal("CANCELLED", err.code)
    assert_nothing_left(options)
  end)
end)
