-- @runs native-root native-user
-- A network by names, and the hosts that serve it: one at a time, and the next one when it ends.
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"
local net = require "spec.support.net"
local policies = require "spec.support.policies"

local STARTER = [[
  local sb = check(axo.start(options.session))
  local answer = check(sb:exec { "nslookup", "-type=a", "ok.example" }).stdout
  say("ready", answer:match "198%.18%.%d+%.[2-9]%d*")
  check(sb:spawn_background(options.command))
  hold()
]]

-- Answers each line by what it gets from ok.example.
local OPENER = [[
  local sb = check(axo.open(options.id, { policy = options.policy }))
  say("open", sb:network())
  local count = 0
  local stdin = uv.new_pipe()
  stdin:open(0)
  stdin:read_start(function(_, line)
    if not line then os.exit(0) end
    check(sb:exec({ "sh", "-c", line }, { timeout = 30 }, function(err, r)
      check(r, err)
      count = count + 1
      say("said", count, (r.stdout:gsub("%s+", " ")), "code", r.code)
    end))
  end)
  while true do uv.run "once" end
]]

local HOLDING = [[
  i=0; while [ $i -lt 50 ]; do (echo hold; sleep 600) | nc ok.example 80 & i=$((i+1)); done; wait]]
local GET = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc ok.example 80"

describe("a network by names, and its hosts:", function()
  e2e.housekeeping(_ENV)
  policies.housekeeping(_ENV)

  local server, options, policy, sb, address, events

  setup(function()
    server, events = net.serve(), {}
    local dir = policies.dir { egress = ([[return function(request, default)
      local verdict = default(request)
      if verdict.allow then verdict.dial = "127.0.0.1:%d" end
      return verdict
    end]]):format(server.port) }
    policy = { egress = dir .. "/egress.lua" }
    options = e2e.options { policy = {
      egress = policy.egress, network = { allow = { "ok.example" } },
    } }
  end)

  teardown(function()
    if sb then assert(sb:stop()) end
    axo.set_audit(nil)
    server.close()
  end)

  local function get()
    return assert(sb:exec({ "sh", "-c", GET }, { timeout = 30 })).stdout
  end

  it("one that is killed leaves connections that end, and nothing that hangs", function()
    local host = native.host(STARTER, { session = options, command = HOLDING })
    address = host:wait_for "ready (%S+)"
    assert.matches("^198%.18%.", address)
    e2e.eventually(function() return server.count == 50 end)
    native.kill(host)
    e2e.eventually(function() return next(server.open) == nil end)
    -- Nobody serves: a connection is refused, and a name cannot be resolved.
    local direct = e2e.podman.run( "exec", "axo-ses-" .. options.id, "nc", address, "80")
    assert.not_equal(0, direct.code)
    assert.matches("refused", direct.stderr)
  end)

  it("who opens the session again serves it, with the same addresses", function()
    axo.set_audit(function(event) events[#events + 1] = event end)
    sb = assert(axo.open(options.id, { policy = policy }))
    assert.equal("names", sb:network())
    assert.same({ "ok.example" }, sb:allowed())
    assert.matches("hello", get())
    local r = assert(sb:exec { "nslookup", "-type=a", "ok.example" })
    assert.matches(address:gsub("%.", "%%."), r.stdout)
    assert.equal("evil.example", assert(sb:exec { "nc", "evil.example", "80" }).denied[1].name)
    local served = 0
    for _, it in ipairs(events) do
      if it.event == "network" and it.verdict == "served" then served = served + 1 end
    end
    assert.equal(1, served)
  end)

  it("a second one waits, and goes on when the first lets go", function()
    local other = native.host(OPENER, { id = options.id, policy = policy })
    other:wait_for "open (names)"
    assert(sb:allow "more.example:80")
    sb:__close()
    sb = nil
    local count = 0
    local function ask(line)
      count = count + 1
      other:write(line .. "\n")
      return other:wait_for(("said %d (.-)\n"):format(count))
    end
    -- Sockets change hands: it may take the second a moment to be there.
    e2e.eventually(function() return ask(GET):find "hello" ~= nil end)
    -- What the first was given counts there, too.
    assert.matches("198%.18%.", ask "nslookup -type=a more.example | tail -n 2")
    sb = assert(axo.open(options.id, { policy = policy }))
    assert.matches("hello", get())
    -- What the one that serves refuses is told to the one whose command it was.
    local r = assert(sb:exec { "nc", "evil.example", "80" })
    assert.same({ "evil.example" }, { r.denied[1].name, r.denied[2] })
    assert.matches("egress.lua:%d+$", r.denied[1].by)
    r = assert(sb:exec { "nc", "198.51.100.7", "80" })
    assert.same({ "198.51.100.7", 80 }, { r.denied[1].name, r.denied[1].port })
    local task = assert(sb:spawn_background { "nc", "task.example", "80" })
    assert(task:wait(30))
    assert.equal("task.example", task:denied()[1].name)
    native.kill(other)
    e2e.eventually(function() return get():find "hello" ~= nil end)
  end)
end)
