local cjson = require "cjson"
local policies = require "spec.support.policies"
local temp = require "spec.support.temp"

local set = policies.new()

local function present(value)
  if value ~= cjson.null then return value end
end

local function samples(name)
  local text = assert(temp.read("spec/fixtures/" .. name))
  return cjson.decode(text)
end

local function classify(stderr, exit_code)
  return assert(set:decide("retry", {
    op = "classify", stderr = stderr, exit_code = exit_code,
  }))
end

--- What a sample was taken for when that is wrong, with the sample; nil when it is right.
local function mistake(sample, answer)
  local port = present(sample.expect_port)
  local expected = ("%s %s"):format(sample.class, port and math.tointeger(port))
  local actual = ("%s %s"):format(answer.class, answer.port)
  if expected ~= actual then
    return ("%s, taken for %s: %s"):format(expected, actual, sample.stderr)
  end
end

local NOISE = [[
Trying to pull quay.io/x/y:1...
time="2026-01-01T00:00:00Z" level=warning msg="Failed, retrying in 1s ... (1/3). Error: ]]
  .. [[initializing source docker://x: Get \"https://x/v2/\": dial tcp 10.0.0.1:443: refused"
]]

describe("podman's complaint", function()
  it("names no port that a line's end has cut", function()
    for _, form in ipairs { "failed to bind any port for '-t 1808\r5:80', exiting",
      "failed to bind any port for '-t 18\n085:80', exiting" } do
      local answer = classify(form, 125)
      assert.equal("PORT_CONFLICT", answer.class)
      assert.is_nil(answer.port)
    end
    local whole = classify("failed to bind any port for '-t 127.0.0.1/18085:80', exiting", 125)
    assert.equal(18085, whole.port)
  end)

  it("is understood in all real samples", function()
    local mistakes, ambiguous = {}, {}
    for _, sample in ipairs(samples "podman_failures.json") do
      local answer = classify(sample.stderr, present(sample.rc))
      local wrong = mistake(sample, answer)
      local is_other = wrong and (answer.alternatives or {})[1] == sample.class
      if is_other then ambiguous[#ambiguous + 1] = sample.subclass or "" else
        mistakes[#mistakes + 1] = wrong
      end
    end
    assert.equal("", table.concat(mistakes, "\n"))
    -- runc says the same, byte for byte and with the same exit code, when the container may
    -- start no process and when its disk is full; so do podman's store and its settings when they
    -- do not agree; and CNI is looked for when the store has lost which network there was. One
    -- class is named, with the other one as an alternative.
    table.sort(ambiguous)
    assert.same({ "", "DB_MISMATCH", "EXEC_ON_FULL_DISK" }, ambiguous)
  end)

  -- Collected after the rules had been written, in parts; before the rules were generalised to
  -- each they were right in 87 of 94, 99 of 108, 39 of 54, 28 of 33, 26 of 35, 18 of 20 and 12 of 14.
  it("is understood in samples that the rules were not made from", function()
    local mistakes = {}
    local unseen = samples "failures_unseen.json"
    assert.is_true(#unseen > 200)
    for _, sample in ipairs(unseen) do
      mistakes[#mistakes + 1] = mistake(sample, classify(sample.stderr, present(sample.rc)))
    end
    assert.equal("", table.concat(mistakes, "\n"))
  end)

  it("keeps its meaning when names, ids, addresses and line ends change", function()
    local function disguise(text)
      return (text:gsub("%x%x%x%x%x%x%x%x%x%x%x%x+", function(id) return ("7"):rep(#id) end)
        :gsub("libpod", "libpod"):gsub("\n", "\r\n"))
    end
    for _, file in ipairs { "podman_failures.json", "failures_unseen.json" } do
      for _, sample in ipairs(samples(file)) do
        local rc = present(sample.rc)
        local before = classify(sample.stderr, rc)
        assert.same(before, classify(disguise(sample.stderr), rc))
        assert.same(before, classify(sample.stderr .. "\n\n", rc))
        assert.same(before.class, classify(NOISE .. sample.stderr, rc).class, sample.stderr)
      end
    end
  end)

  it("is UNKNOWN when it says nothing known", function()
    assert.same({ class = "UNKNOWN" }, classify("", 1))
    assert.same({ class = "UNKNOWN" }, classify("all went well", 0))
    assert.same({ class = "UNKNOWN" }, classify("Error: the moon is full", 126))
    assert.equal("USAGE", classify("Error: the moon is full", 125).class)
    assert.equal("UNKNOWN", classify("Error: ", 125).class)
  end)

  it("gives no port where none stands", function()
    for _, text in ipairs {
      "Error: cannot listen on the TCP port: listen tcp4 10.1.2.3:80: bind: "
        .. "cannot assign requested address",
      "Error: initializing source docker://x: pinging container registry r:5000: dial tcp "
        .. "1.2.3.4:5000: connect: connection refused",
      'Error: OCI runtime error: level=error msg="container_linux.go:380: starting container"',
      "Error: rootlessport conflict with ID 1",
      "Error: lsetxattr(label=system_u:object_r:t:s0:c27,c424) /x: operation not permitted",
      "Error: netavark: failed to bind udp listener on 10.89.0.1:53: Address already in use",
      "Error: listen unix /run/x.sock: bind: address already in use",
      "Error: cannot listen on the TCP port: listen tcp4 :99999: bind: address already in use",
    } do
      assert.is_nil(classify(text, 126).port, text)
    end
  end)

  it("is read without choking on what it holds", function()
    for _, text in ipairs {
      ("x"):rep(100000), ("Error: "):rep(5000), ("\n"):rep(20000), ("a\n"):rep(8000),
      ("\0\255%[("):rep(3000), ("`"):rep(16000), ('time="" level=x msg="'):rep(700),
      (": "):rep(8000), ("listen tcp4 :"):rep(1200), ("lock "):rep(3000),
      ("mounting \"/"):rep(1400),
      ("stat /"):rep(2500), ("removing container "):rep(800), ("[/`]memory."):rep(1400),
      ("opening file `a"):rep(1000), ("/.config/"):rep(1800), ("stat /a/.config/b"):rep(900),
    } do
      assert.is_string(classify(text, 125).class)
      assert.is_string(classify("Error: " .. text, 126).class)
    end
  end)
end)

-- ---- what to change ----------------------------------------------------------------------

local function plan(changes)
  local result = {
    image = "docker.io/library/alpine:3.20", fallback = "localhost/axosandbox/base",
    pull = "missing", network = "bridge", ports = { 3000, 8080 },
    limits = { memory = 2147483648, cpus = 2, pids = 512 }, drop_limits = false, init = true,
  }
  for key, value in pairs(changes or {}) do result[key] = value end
  return result
end

local function ask(class, changes, decider)
  local request = {
    op = "retry", class = class, stderr = "", attempt = 1, plan = plan(), fields = {},
    host = { nofile = 20000, nproc = 32768, runtimes = { "crun", "runc" } }, stage = "run",
  }
  for key, value in pairs(changes or {}) do request[key] = value end
  return assert((decider or set):decide("retry", request))
end

local function changes_of(...)
  local decision = ask(...)
  assert.equal("retry", decision.action, decision.hint)
  return decision.changes, decision.warning
end

local function hint_of(...)
  local decision = ask(...)
  assert.equal("give_up", decision.action)
  assert.is_string(decision.hint)
  return decision.hint
end

describe("after a failed start", function()
  it("limits that are unavailable are dropped, once, with a warning", function()
    local changes, warning = changes_of("CGROUP", { subclass = "PIDS" })
    assert.same({ drop_limits = true }, changes)
    assert.matches("without them", warning)
    assert.same({ runtime = "crun" }, (changes_of("CGROUP", {
      subclass = "PIDS", plan = plan { drop_limits = true } })))
    hint_of("CGROUP", { plan = plan { drop_limits = true }, host = { runtimes = {} } })
    hint_of("CGROUP", { plan = plan { limits = {} }, host = {} })
  end)

  it("limits that are required are not dropped", function()
    assert.matches("do not require them",
      hint_of("CGROUP", { plan = plan { require_resource_limits = true } }))
    assert.matches("do not require them",
      hint_of("CGROUP", { fields = { require_resource_limits = true } }))
  end)

  it("cgroups in hybrid mode take another runtime, whatever is required", function()
    assert.same({ runtime = "runc" }, (changes_of("CGROUP", {
      subclass = "HYBRID", plan = plan { require_resource_limits = true },
      stderr = "Error: OCI runtime error: /usr/bin/crun: cgroups in hybrid mode not supported",
    })))
    assert.matches("install runc", hint_of("CGROUP", {
      subclass = "HYBRID", host = { runtimes = { "crun" } },
      stderr = "Error: OCI runtime error: crun: cgroups in hybrid mode not supported",
    }))
    hint_of("CGROUP", { subclass = "HYBRID", plan = plan { runtime = "runc" },
      stderr = "Error: crun: cgroups in hybrid mode" })
  end)

  it("netavark writes its rules with something else, where that is installed", function()
    local host = { firewalls = { "iptables", "nftables" } }
    local nft = "Error: netavark: nftables error: unable to execute nft: No such file or directory"
    assert.same({ firewall = "iptables" },
      (changes_of("NETWORK_BACKEND", { stderr = nft, host = host })))
    assert.same({ firewall = "nftables" }, (changes_of("NETWORK_BACKEND", { host = host,
      stderr = "Error: netavark: code: 4, msg: iptables v1.8.8 (nf_tables): no such table" })))
    for _, change in ipairs {
      { stderr = nft, host = { firewalls = { "nftables" } } },
      { stderr = nft, host = host, plan = plan { firewall = "iptables" } },
      { stderr = "Error: netavark: ipam error", host = host },
    } do
      assert.same({ network = "none" }, (changes_of("NETWORK_BACKEND", change)))
    end
    assert.matches("nftables", hint_of("NETWORK_BACKEND", { stderr = nft, host = host,
      fields = { network = "bridge" }, tried = { { firewall = "iptables" } } }))
  end)

  it("a held port is given up, and only that one", function()
    local changes, warning = changes_of("PORT_CONFLICT", { port = 3000 })
    assert.same({ drop_ports = { 3000 } }, changes)
    assert.matches("port 3000 is not published: another program holds it", warning)
    assert.matches("may not publish", select(2, changes_of("PORT_CONFLICT",
      { port = 8080, subclass = "PRIVILEGED" })))
  end)

  it("a user that the image lacks, and an image that no registry has, are told as such", function()
    assert.matches("/etc/passwd", hint_of("OCI_RUNTIME", { subclass = "NO_SUCH_USER" }))
    assert.matches("podman build %-t localhost/mine:1", hint_of("IMAGE_NOT_FOUND",
      { plan = plan { image = "localhost/mine:1", fallback = "localhost/mine:1" } }))
  end)

  it("a port that a session holds is told with its name", function()
    local holders = { { port = 3000, session = "web" } }
    assert.matches("port 3000 is not published: the session web holds it %(axolua stop web",
      select(2, changes_of("PORT_CONFLICT", { port = 3000, holders = holders })))
    assert.matches("another program holds it",
      select(2, changes_of("PORT_CONFLICT", { port = 8080, holders = holders })))
    assert.matches("the session web holds 3000",
      select(2, changes_of("PORT_CONFLICT", { holders = holders })))
  end)

  it("all ports are given up only when none can be told", function()
    assert.same({ drop_ports = "all" }, (changes_of "PORT_CONFLICT"))
    assert.same({ drop_ports = "all" }, (changes_of("PORT_CONFLICT", { port = 53 })))
    hint_of("PORT_CONFLICT", { port = 3000, plan = plan { ports = {} } })
  end)

  it("a port that is required is not given up, for whatever reason", function()
    local needs = plan { required_ports = { 3000 } }
    assert.matches("port 3000 was asked for, and another program holds it.*%-%-optional%-port",
      hint_of("PORT_CONFLICT", { port = 3000, plan = needs }))
    assert.same({ drop_ports = { 8080 } },
      (changes_of("PORT_CONFLICT", { port = 8080, plan = needs })))
    assert.same({ drop_ports = { 8080 } }, (changes_of("PORT_CONFLICT", { plan = needs })))
    assert.matches("3000, 8080", hint_of("PORT_CONFLICT",
      { plan = plan { required_ports = { 3000, 8080 } } }))
    assert.matches("a port was asked for", hint_of("NETWORK_BACKEND", { plan = needs }))
  end)

  it("a stale container is removed once", function()
    assert.same({ remove_stale = true }, (changes_of "NAME_IN_USE"))
    assert.matches("%-%-external", hint_of("NAME_IN_USE", { tried = { { remove_stale = true } } }))
  end)

  it("an image that is not here is pulled, when that is allowed", function()
    assert.same({ pull = true }, (changes_of("IMAGE_NOT_FOUND", { subclass = "NOT_LOCAL" })))
    for _, change in ipairs { { pull = "never" }, { pulled = true } } do
      assert.same({ image = "localhost/axosandbox/base" }, (changes_of("IMAGE_NOT_FOUND",
        { subclass = "NOT_LOCAL", plan = plan(change) })))
    end
    assert.matches("podman pull docker.io/library/x:1", hint_of("IMAGE_NOT_FOUND", {
      subclass = "NOT_LOCAL",
      plan = { image = "docker.io/library/x:1", pull = "never" } }))
  end)

  for _, class in ipairs {
    "IMAGE_NOT_FOUND", "IMAGE_DENIED", "RATE_LIMIT", "REGISTRY_UNREACHABLE",
  } do
    it(class .. " falls back to the local image, when there is one, with a warning", function()
      local changes, warning = changes_of(class)
      assert.same({ image = "localhost/axosandbox/base" }, changes)
      assert.matches("docker.io/library/alpine:3.20 cannot be downloaded", warning)
      hint_of(class, { plan = { image = "docker.io/library/alpine:3.20" } })
      hint_of(class, { plan = plan { image = "localhost/axosandbox/base" } })
      hint_of(class, { tried = { { image = "localhost/axosandbox/base" } } })
    end)
  end

  it("a registry that is slow is asked twice, when there is no fallback", function()
    local request = { subclass = "TIMEOUT", plan = { image = "quay.io/x/y:1" } }
    assert.same({ wait = 2, pull = true }, (changes_of("REGISTRY_UNREACHABLE", request)))
    request.tried = { { wait = 2, pull = true } }
    assert.matches("podman pull quay.io/x/y:1", hint_of("REGISTRY_UNREACHABLE", request))
    assert.matches("podman login quay.io`", hint_of("IMAGE_DENIED", request))
  end)

  it("refused rlimits are stated at the host's own, then another runtime is tried", function()
    assert.same({ ulimits = "host" }, (changes_of("OCI_RUNTIME", { subclass = "RLIMIT" })))
    assert.same({ runtime = "crun" }, (changes_of("OCI_RUNTIME", {
      subclass = "RLIMIT", plan = plan { ulimits = "host" }, stderr = "Error: runc: rlimit" })))
    hint_of("OCI_RUNTIME", { subclass = "RLIMIT", plan = plan { ulimits = "host" }, host = {} })
  end)

  it("another runtime is tried when one is missing or fails for no known reason", function()
    assert.same({ runtime = "crun" }, (changes_of("RUNTIME_MISSING", {
      stderr = 'Error: default OCI runtime "kata" not found' })))
    assert.same({ runtime = "runc" }, (changes_of("OCI_RUNTIME", {
      stderr = "Error: OCI runtime error: crun: unknown version specified" })))
    hint_of("RUNTIME_MISSING", { host = { runtimes = { "crun" } },
      plan = plan { runtime = "crun" } })
    hint_of("OCI_RUNTIME", { subclass = "COMMAND_NOT_FOUND" })
    assert.matches("processor", hint_of("OCI_RUNTIME", { subclass = "EXEC_FORMAT" }))
  end)

  it("a missing init is done without", function()
    local changes, warning = changes_of("RUNTIME_MISSING", { subclass = "INIT_MISSING" })
    assert.same({ init = false }, changes)
    assert.matches("zombies", warning)
    assert.matches("catatonit", hint_of("RUNTIME_MISSING", {
      subclass = "INIT_MISSING", plan = plan { init = false } }))
  end)

  it("a network that cannot be set up is done without, unless it was asked for", function()
    local changes, warning = changes_of "NETWORK_BACKEND"
    assert.same({ network = "none" }, changes)
    assert.matches("has none", warning)
    assert.matches("install netavark", hint_of("NETWORK_BACKEND", {
      fields = { network = "bridge" } }))
    hint_of("NETWORK_BACKEND", { plan = plan { network = "none" } })
  end)

  it("a locked database is waited for, ever longer, three times", function()
    local fresh = policies.new()
    local waits = {}
    for attempt = 1, 4 do
      local decision = ask("STORAGE_LOCKED", { attempt = attempt }, fresh)
      waits[#waits + 1] = decision.action == "retry" and decision.changes.wait or decision.action
    end
    assert.same({ 1.0, 2.0, 4.0, "give_up" }, waits)
    assert.same({ wait = 1, pull = true }, (changes_of("STORAGE_LOCKED", { stage = "pull" })))
  end)

  it("every class ends: no change is made twice, and all is bounded", function()
    local seen = { UNKNOWN = true }
    for _, file in ipairs { "podman_failures.json", "failures_unseen.json" } do
      for _, sample in ipairs(samples(file)) do
        local answer = classify(sample.stderr, present(sample.rc))
        seen[answer.class] = true
        local fresh, made, attempt = policies.new(), {}, 0
        local current = plan()
        repeat
          attempt = attempt + 1
          local decision = ask(answer.class, {
            subclass = answer.subclass, port = answer.port, stderr = sample.stderr,
            attempt = attempt, plan = current,
          }, fresh)
          if decision.action == "retry" then
            local text = cjson.encode(decision.changes)
            assert.is_nil(made[text], text)
            made[text] = true
            if decision.changes.drop_ports then current.ports = {} end
          end
        until decision.action == "give_up" or attempt > 20
        assert.is_true(attempt <= 5, answer.class)
      end
    end
    for class in pairs(seen) do
      local decision = ask(class, { attempt = 99 })
      assert.equal("give_up", decision.action)
      assert.matches("8 other ways were tried", decision.hint)
    end
  end)

  it("remembers the changes of one start only", function()
    local fresh = policies.new()
    assert.equal("retry", ask("NAME_IN_USE", { attempt = 1 }, fresh).action)
    assert.equal("give_up", ask("NAME_IN_USE", { attempt = 2 }, fresh).action)
    assert.equal("retry", ask("NAME_IN_USE", { attempt = 1 }, fresh).action)
  end)

  it("every class that is given up on has a hint with a step to take", function()
    for _, class in ipairs {
      "CONFIG", "CONTAINER_NOT_RUNNING", "CONTAINER_RUNNING", "HOST_RESOURCES", "INTERNAL",
      "KEYRING_QUOTA", "MACHINE_NOT_RUNNING", "MOUNT_SOURCE_MISSING", "NO_SPACE",
      "NO_SUCH_CONTAINER", "NUM_LOCKS", "OOM", "PAUSE_PROCESS", "PIDS_EXHAUSTED",
      "REMOVE_FAILED", "SELINUX_MOUNT", "STORAGE_CORRUPT", "SUBUID", "USAGE",
      "USERNS_BLOCKED", "UNKNOWN",
    } do
      assert.is_true(#hint_of(class) > 10)
    end
  end)
end)
