-- @runs native-root native-user
-- What axolua says of a network by names, and of what it refused.
local e2e = require "spec.support.e2e"
local policies = require "spec.support.policies"
local sockets = require "spec.support.sockets"
local support = require "spec.support.cli"
local cjson = require "cjson"

-- Names lead to a server of the test's, where they are allowed.
local EGRESS = [[
return function(request, default)
  local verdict = default(request)
  if verdict.allow then verdict.dial = "127.0.0.1:%d" end
  return verdict
end
]]

describe("axolua with a network by names", function()
  e2e.housekeeping(_ENV)
  local server, env

  setup(function()
    local port
    server, port = sockets.serve(function(socket)
      socket:write("hello\n", function() socket:shutdown(function() socket:close() end) end)
    end)
    env = {
      AXOSANDBOX_AUDIT = e2e.temp.dir() .. "/audit.jsonl",
      AXOSANDBOX_POLICY_PATH = policies.dir { egress = EGRESS:format(port) },
    }
  end)
  teardown(function() server:close() end)

  local function run(id, options, script)
    local arguments = { "run", "-q", "--id", id, "--dir", e2e.temp.dir "project", "--image",
      e2e.images.base(), "--allow-untrusted-image" }
    table.move(options, 1, #options, #arguments + 1, arguments)
    table.move({ "--", "sh", "-c", script }, 1, 4, #arguments + 1, arguments)
    return support.run(arguments, { env = env })
  end

  local GET = "nc -w 5 %s %d </dev/null; "

  it("says what was refused, by which file, and what allows it", function()
    local id = e2e.new_id()
    local result = run(id, { "--allow", "ok.example", "--allow", "*.more.example:22" },
      GET:format("ok.example", 80) .. GET:format("a.more.example", 22)
      .. GET:format("ok.example", 8080) .. GET:format("evil.example", 443))
    assert.equal("hello\nhello\n", result.stdout, result.stderr)
    assert.matches("network policy refused evil%.example %(/%S*egress.lua:%d+%): it is not among.*"
      .. "%-%-allow evil%.example\n", result.stderr)
    assert.matches("refused ok%.example:8080 .*%-%-allow ok%.example:8080\n", result.stderr)
    local rows = cjson.decode(support.run({ "network", id, "--json" }, { env = env }).stdout)
    assert.equal("refused", rows[1].verdict)
    local seen = {}
    for _, row in ipairs(rows) do
      seen[#seen + 1] = ("%s %s %s %d"):format(row.verdict, row.name,
        row.port and math.tointeger(row.port) or "-", row.received)
    end
    assert.same({ "refused evil.example - 0", "refused ok.example 8080 0",
      "allowed a.more.example 22 6", "allowed ok.example 80 6" }, seen)
    local shown = support.run({ "network", id }, { env = env }).stdout
    assert.matches("VERDICT +NAME.*\nrefused +evil%.example +%- +1 .*\nallowed +a%.more", shown)
    local other = support.run({ "network", "axotest-other" }, { env = env })
    assert.matches("no connection of axotest%-other", other.stdout)
  end)

  it("learns which names are used", function()
    local result = run(e2e.new_id(), { "--learn" },
      GET:format("a.example", 443) .. GET:format("b.example", 2222)
        .. "nc -w 2 169.254.169.254 80 </dev/null; ")
    assert.equal("hello\nhello\n", result.stdout, result.stderr)
    local text = assert(result.stderr:match "as a policy file:\n(.*)$", result.stderr)
    assert.matches("^%s*%-%-allow a%.example %-%-allow b%.example:2222\n", text)
    local chunk = assert(load(text:match "\n%s*(%-%- sandbox.lua.*)$"))
    local decision = chunk()({}, function() return { network = "none" } end)
    assert.same({ allow = { "a.example", "b.example:2222" } }, decision.network)
  end)

  it("refuses what says two things, and what is no name", function()
    local result = run(e2e.new_id(), { "--allow", "ok.example", "--network", "bridge" }, "true")
    assert.equal(125, result.code)
    assert.matches("reaches every name, and %-%-allow some", result.stderr)
    result = run(e2e.new_id(), { "--allow", "https://ok.example/x" }, "true")
    assert.equal(2, result.code)
    assert.matches("is a URL: write the name alone, such as \"ok.example\"", result.stderr)
  end)
end)
