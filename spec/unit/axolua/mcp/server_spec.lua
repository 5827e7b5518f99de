local cjson = require "cjson"
local cli = require "spec.support.cli"
local janitor = require "spec.support.janitor"
local mcp = require "spec.support.mcp"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"
local uv = require "luv"

-- A sanitiser holds on to what was freed.
local IS_SANITISED = os.getenv "ASAN_OPTIONS" ~= nil

-- What the process holds in memory at most, in KiB.
local function peak_memory(pid)
  local status = assert(temp.read(("/proc/%d/status"):format(pid)))
  return tonumber(status:match "VmHWM:%s+(%d+)")
end

describe("axolua mcp, whoever speaks", function()
  local mark, client, dir
  before_each(function()
    mark = janitor.mark()
    dir = temp.dir()
    client = mcp.without_podman(dir)
  end)
  after_each(function()
    client:kill()
    janitor.sweep(mark)
  end)

  it("answers initialize at once, in the revision that was asked for or its latest", function()
    for asked, got in pairs { ["2025-06-18"] = "2025-06-18", ["2024-11-05"] = "2024-11-05",
      ["1999-01-01"] = "2025-11-25", ["2026-07-28"] = "2025-11-25" } do
      local result = client:initialize(asked)
      assert.equal(got, result.protocolVersion)
      assert.equal("axosandbox", result.serverInfo.name)
      assert.is_nil(result.resultType)
    end
    local list = client:ask("tools/list").result
    assert.equal(21, #list.tools)
    assert.is_nil(list.ttlMs)
  end)

  it("answers the stateless revision request by request", function()
    local found = client:ask("server/discover", { _meta = mcp.meta() }).result
    assert.same({ "2026-07-28" }, found.supportedVersions)
    assert.equal("complete", found.resultType)
    local list = client:ask("tools/list", { _meta = mcp.meta() }).result
    assert.equal("complete", list.resultType)
    assert.equal("public", list.cacheScope)
    assert.is_true(list.ttlMs > 0)
    assert.equal("axosandbox", list._meta["io.modelcontextprotocol/serverInfo"].name)
  end)

  it("refuses another version by -32022, and a request without one by -32602", function()
    local err = client:ask("tools/list", { _meta = mcp.meta "2027-01-01" }).error
    assert.equal(-32022, err.code)
    assert.same({ supported = { "2026-07-28" }, requested = "2027-01-01" }, err.data)
    assert.equal(-32602, client:ask("tools/list", {}).error.code)
    assert.equal(-32602, client:ask("server/discover", {}).error.code)
    local meta = mcp.meta()
    meta["io.modelcontextprotocol/clientCapabilities"] = nil
    assert.equal(-32602, client:ask("tools/list", { _meta = meta }).error.code)
    for _, gone in ipairs { "initialize", "ping", "logging/setLevel", "prompts/list" } do
      assert.equal(-32601, client:ask(gone, { _meta = mcp.meta() }).error.code)
    end
  end)

  it("holds a subscription open, acknowledged, until the end", function()
    local id = client:request("subscriptions/listen",
      { _meta = mcp.meta(), notifications = { toolsListChanged = true } })
    local ack = client:expect(function(reply)
      return reply.method == "notifications/subscriptions/acknowledged"
    end, "the acknowledgement")
    assert.equal(id, ack.params._meta["io.modelcontextprotocol/subscriptionId"])
    client.process:close_stdin()
    assert.equal("complete", client:answer(id).result.resultType)
    assert.equal(0, client.process:wait().code)
  end)

  it("answers what cannot be read by an error, and goes on", function()
    for _, line in ipairs { "nonsense", "{", "\xff\xfe", '{"a":"\xc3"}', ("["):rep(100000),
      ('{"a":'):rep(200000), '"just text"', "17", "[]", "[1,2]", '[{"jsonrpc":"2.0"}]', "{}" } do
      client:write(line .. "\n")
      assert.is_true(client:stray_error().code <= -32600)
      assert.is_true(client:is_well())
    end
  end)

  it("answers what cannot be read by the id that stands in it, too long or not", function()
    local long = ("x"):rep(17 * 1024 * 1024)
    client:write '{"jsonrpc":"2.0","id":11,"method":"ping","params":{"x":"\xff"}}\n'
    client:write('{"jsonrpc":"2.0","id":"first","method":"ping","params":{"x":"' .. long .. '"}}\n')
    client:write('{"method":"ping","params":{"x":"' .. long .. '"},"jsonrpc":"2.0","id":"last"}\n')
    assert.equal(-32700, client:answer(11).error.code)
    assert.equal(-32600, client:answer("first").error.code)
    assert.equal(-32600, client:answer("last").error.code)
    client:write '{"jsonrpc":"2.0","id":12,"method":"ping","params":{"x":"\\ud83d"}}\n'
    assert.is_table(client:answer(12).result)
  end)

  it("answers half a message at the end of its input by an error, and ends", function()
    client:write '{"jsonrpc":"2.0","id":1,"method":"pi'
    client.process:close_stdin()
    assert.equal(-32700, client:answer(1).error.code)
    local result = client.process:wait()
    assert.same({ 0, "" }, { result.code, result.stderr })
  end)

  it("answers a last message without a line end", function()
    client:write '{"jsonrpc":"2.0","id":1,"method":"ping"}'
    client.process:close_stdin()
    assert.is_table(client:answer(1).result)
  end)

  it("refuses 50 MB in a line without holding them", function()
    assert.is_true(client:is_well())
    local before = peak_memory(client.process.pid)
    local piece = ("x"):rep(1024 * 1024)
    for _ = 1, 50 do client:write(piece) end
    client:write "\n"
    local err = client:stray_error()
    assert.matches("52428800 bytes is too long", err.message)
    assert.is_true(client:is_well())
    local grown = peak_memory(client.process.pid) - before
    assert.is_true(IS_SANITISED or grown < 48 * 1024, grown .. " KiB")
  end)

  it("knows unknown methods, and never answers a notification", function()
    client:initialize()
    assert.equal(-32601, client:ask("frobnicate").error.code)
    client:notify "frobnicate"
    client:notify("tools/call", { name = "bash", arguments = { command = "true" } })
    client:notify("notifications/cancelled", { requestId = "nobody" })
    client:notify("notifications/cancelled", { requestId = {} })
    client:notify "notifications/cancelled"
    client:send { jsonrpc = "2.0", id = 99, result = {} }
    assert.is_true(client:is_well())
    assert.same({}, client.replies)
  end)

  it("refuses wrong types where a tool is called", function()
    client:initialize()
    for _, params in ipairs { {}, { name = 1 }, { name = "no_such_tool" },
      { name = "bash", arguments = "x" }, { name = "bash", arguments = { "x" } } } do
      assert.equal(-32602, client:ask("tools/call", params).error.code)
    end
    local _, is_error = client:call("bash", {})
    assert.is_true(is_error)
    assert.equal(-32602, client:ask("tools/list", { cursor = "x" }).error.code)
    assert.equal(-32602, client:ask("ping", { _meta = "x" }).error.code)
  end)

  it("takes arguments that are null, or the text of an object", function()
    client:initialize()
    for _, arguments in ipairs { "null", '""', '"{}"', "{}", "[]" } do
      client:write(('{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":'
        .. '"session_info","arguments":%s,"_meta":null}}\n'):format(arguments))
      assert.is_true(client:answer("a").result.isError)
    end
    client:write '{"jsonrpc":"2.0","id":"b","method":"tools/list","params":{"cursor":null}}\n'
    assert.is_table(client:answer("b").result.tools)
  end)

  it("answers by its tools when its directory is not there, until it is", function()
    local other = mcp.start({ "--dir", dir .. "/nope" }, { env = { PATH = dir } })
    other:initialize()
    local words, is_error = other:call("session_info", {})
    assert.is_true(is_error)
    assert.matches("/nope cannot be used: no such file or directory", words)
    assert(uv.fs_mkdir(dir .. "/nope", tonumber("755", 8)))
    assert.matches("podman", (other:call("session_info", {})))
    other.process:close_stdin()
    local result = other.process:wait()
    assert.equal(0, result.code)
    local _, count = result.stderr:gsub("axolua: [^\n]*/nope cannot be used", "")
    assert.equal(1, count)
  end)

  it("says on a terminal what it waits for", function()
    local screen = cli.on_terminal('PATH="$2" "$AXOLUA" mcp --dir "$2"', { "", dir })
    screen.shows "waiting for an MCP client's messages"
    screen.type "\4"
    assert.equal(0, screen.wait().code)
  end)

  it("says why there is no sandbox, as a tool's failure", function()
    client:initialize()
    local text, is_error = client:call("bash", { command = "true" })
    assert.is_true(is_error)
    assert.matches("podman", text)
  end)

  it("refuses an id that is still in use, and frees it with the answer", function()
    local params = { _meta = mcp.meta(), notifications = {} }
    client:request("subscriptions/listen", params, "twice")
    assert.equal(-32600, client:ask("subscriptions/listen", params, "twice").error.code)
    client:notify("notifications/cancelled", { requestId = "twice" })
    client:request("subscriptions/listen", params, "twice")
    assert.is_true(client:is_well())
    for _, reply in ipairs(client.replies) do assert.is_nil(reply.error) end
  end)

  it("has no more than 64 requests under way", function()
    local params = { _meta = mcp.meta(), notifications = {} }
    for i = 1, 64 do client:request("subscriptions/listen", params, "s" .. i) end
    assert.equal(-32603, client:ask("subscriptions/listen", params, "s65").error.code)
    client:notify("notifications/cancelled", { requestId = "s1" })
    client:request("subscriptions/listen", params, "s65")
    client:notify("notifications/cancelled", { requestId = "s2" })
    assert.is_true(client:is_well())
  end)

  it("takes batches in the one revision that has them", function()
    client:initialize "2025-03-26"
    client:send {
      { jsonrpc = "2.0", id = "a", method = "ping" },
      { jsonrpc = "2.0", method = "notifications/x" },
      { jsonrpc = "2.0", id = "b", method = "frobnicate" },
    }
    local answers = client:expect(function(reply) return reply[1] ~= nil end, "a batch")
    assert.equal(2, #answers)
    client:initialize "2025-11-25"
    client:write '[{"jsonrpc":"2.0","id":"a","method":"ping"}]\n'
    assert.equal(-32600, client:stray_error().code)
  end)

  local function received(process)
    local size = 0
    for _, piece in ipairs(process.out) do size = size + #piece end
    return size
  end

  it("stops reading while nobody reads what it answers, and answers all in the end", function()
    local line = cjson.encode { jsonrpc = "2.0", id = 1, method = "tools/list",
      params = { _meta = mcp.meta() } } .. "\n"
    client:write(line)
    client:answer(1)
    local each = received(client.process)
    local before = peak_memory(client.process.pid)
    -- Nothing turns our loop meanwhile, so nothing reads: the answers would be some 10 MB.
    client:write(line:rep(1000))
    uv.sleep(1500)
    assert.is_true(received(client.process) == each)
    local grown = peak_memory(client.process.pid) - before
    proc.eventually(function() return received(client.process) == 1001 * each end, "all answers")
    assert.is_true(IS_SANITISED or grown < 8 * 1024, grown .. " KiB")
  end)
end)
