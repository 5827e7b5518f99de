require("spec.support.cli").expose_libraries()
local cjson = require "cjson"
local jsonrpc = require "axolua.lib.mcp.jsonrpc"

local function classified(line)
  local value, problem = jsonrpc.decode(line)
  assert.is_nil(problem)
  return jsonrpc.classify(value)
end

describe("JSON-RPC", function()
  it("tells requests, notifications and responses apart", function()
    local message = classified '{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert.same({ kind = "request", id = 1, method = "ping", params = {} }, message)
    message = classified '{"jsonrpc":"2.0","method":"m","params":{"a":null}}'
    assert.same({ kind = "notification", method = "m", params = { a = cjson.null } }, message)
    assert.equal("response", classified('{"jsonrpc":"2.0","id":1,"result":{}}').kind)
  end)

  it("writes an id back as it was written", function()
    for _, id in ipairs { "0", "1", "-7", "9007199254740991", '""', '"1"', '"a\\u0000b"', '"é"' } do
      local message = classified('{"jsonrpc":"2.0","id":' .. id .. ',"method":"m"}')
      local text = jsonrpc.encode(jsonrpc.result(message.id, {}))
      assert.equal('{"id":' .. id .. ',"jsonrpc":"2.0","result":{}}', text)
    end
  end)

  local WRONG = {
    { "[]", -32600 }, { "1", -32600 }, { '"x"', -32600 }, { "null", -32600 }, { "true", -32600 },
    { "{}", -32600 }, { '{"jsonrpc":"1.0","id":1,"method":"m"}', -32600, 1 },
    { '{"jsonrpc":"2.0","id":1}', -32600, 1 },
    { '{"jsonrpc":"2.0","id":2,"method":7}', -32600, 2 },
    { '{"jsonrpc":"2.0","id":"x","method":{}}', -32600, "x" },
    { '{"jsonrpc":"2.0","id":null,"method":"m"}', -32600 },
    { '{"jsonrpc":"2.0","id":1.5,"method":"m"}', -32600 },
    { '{"jsonrpc":"2.0","id":1e300,"method":"m"}', -32600 },
    { '{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}', -32600 },
    { '{"jsonrpc":"2.0","id":{},"method":"m"}', -32600 },
    { '{"jsonrpc":"2.0","id":true,"method":"m"}', -32600 },
    { '{"jsonrpc":"2.0","id":"' .. ("x"):rep(2000) .. '","method":"m"}', -32600 },
    { '{"jsonrpc":"2.0","id":3,"method":"m","params":"x"}', -32602, 3 },
    { '{"jsonrpc":"2.0","id":3,"method":"m","params":[1]}', -32602, 3 },
    { '{"jsonrpc":"2.0","id":3,"method":"m","params":null}', -32602, 3 },
  }
  for _, case in ipairs(WRONG) do
    it("refuses " .. case[1]:sub(1, 60), function()
      local message, err = classified(case[1])
      assert.is_nil(message)
      assert.equal(case[2], err.code)
      assert.equal(case[3], err.id)
      assert.is_true(#err.message > 10)
    end)
  end

  local UNREADABLE = {
    "", "{", '{"jsonrpc":"2.0","id":1,"meth', "[1,]", "{'a':1}", "nul", "\xff", '"\xc3"',
    '{"a":"\xed\xa0\x80"}', '["\\ud800"]', "[01]", "[NaN]", "[Infinity]", "[0x10]", "[1] []",
    ("["):rep(65) .. ("]"):rep(65), ("["):rep(100000),
    ('{"a":'):rep(100000) .. "1" .. ("}"):rep(100000),
  }
  for _, line in ipairs(UNREADABLE) do
    it(("cannot read %q"):format(line:sub(1, 40)), function()
      local value, problem = jsonrpc.decode(line)
      assert.is_nil(value)
      assert.is_string(problem)
    end)
  end

  it("reads what is nested, up to a depth", function()
    assert.is_table((jsonrpc.decode(("["):rep(64) .. ("]"):rep(64))))
  end)

  it("writes text that is no UTF-8 as UTF-8, and one line", function()
    local text = jsonrpc.encode(jsonrpc.result(1, { text = "a\xffb\nc\0\u{2028}" }))
    assert.is_number(utf8.len(text))
    assert.is_nil(text:find "[\n%z]")
    assert.equal("a\u{FFFD}b\nc\0\u{2028}", cjson.decode(text).result.text)
  end)

  it("leaves the id out of an error where none could be read", function()
    assert.equal('{"error":{"code":-1,"message":"m"},"jsonrpc":"2.0"}',
      jsonrpc.encode(jsonrpc.error(nil, -1, "m")))
  end)
end)
