require("spec.support.cli").expose_libraries()
local cjson = require "cjson"
local jsonrpc = require "axolua.mcp.protocol.jsonrpc"

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
    assert.same({ kind = "notification", method = "m", params = {} }, message)
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
    '{"a":"\xed\xa0\x80"}', "[01]", "[NaN]", "[Infinity]", "[0x10]", "[1] []",
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

  it("takes null for absent, wherever something may be", function()
    for _, text in ipairs {
      '{"jsonrpc":"2.0","id":1,"method":"m","params":null}',
      '{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":null,"cursor":null},"result":null}',
    } do
      assert.same({ kind = "request", id = 1, method = "m", params = {} }, classified(text))
    end
    assert.same({ a = 1, _meta = { b = 2 } }, classified('{"jsonrpc":"2.0","id":1,"method":"m",'
      .. '"params":{"a":1,"b":null,"_meta":{"b":2,"progressToken":null}}}').params)
    assert.equal("notification", classified('{"jsonrpc":"2.0","id":null,'
      .. '"method":"notifications/initialized","params":null}').kind)
    assert.equal("response",
      classified('{"jsonrpc":"2.0","id":1,"method":null,"result":{},"error":null}').kind)
  end)

  it("reads half a character as U+FFFD, and whole ones as they are", function()
    for text, value in pairs {
      ["\\ud83d"] = "\u{FFFD}", ["\\uDC00"] = "\u{FFFD}", ["\\ud83d\\ude00"] = "\u{1F600}",
      ["\\ud83dx\\ude00"] = "\u{FFFD}x\u{FFFD}", ["\\ud83d\\ud83d\\ude00"] = "\u{FFFD}\u{1F600}",
      ["\\\\ud83d \\ud83d"] = "\\ud83d \u{FFFD}", ["\\ud83d\\\\ude00"] = "\u{FFFD}\\ude00",
      ["\\ude00\\ud83d"] = "\u{FFFD}\u{FFFD}", ["\\ud83d\\ude00\\ude00"] = "\u{1F600}\u{FFFD}",
      ["\\nabcd\\ud800"] = "\nabcd\u{FFFD}",
    } do
      assert.same({ value }, (jsonrpc.decode('["' .. text .. '"]')))
    end
    assert.same({}, (jsonrpc.decode "\xEF\xBB\xBF{}"))
  end)

  local BIG = ("x"):rep(200000)
  -- What cannot be read, and the id that stands in it.
  local WITH_ID = {
    { '{"jsonrpc":"2.0","id":1,"meth', 1 }, { '{"id" : "a\\ud800" ,"x":\xff}', "a\u{FFFD}" },
    { '{"jsonrpc":"2.0","method":"m","params":{"id":7,"t":"\xff"},"id":5}', 5 },
    { '{"jsonrpc":"2.0","method":"m","params":{"id":7,"t":"\xff"}}' },
    { '{"jsonrpc":"2.0","method":"m","params":{"id":7,"t":"\xff","id":8}' },
    { '{"params":{"a":["}","\\"",{"id":7}],"t":"\xff"},"id":"x\\"y"}', 'x"y' },
    { '{"jsonrpc":"2.0","id":12' }, { '{"jsonrpc":"2.0","id":"12' }, { '{"id":1.5,"x":\xff}' },
    { '{"id":null,"x":\xff}' }, { '{"id":{"id":3},"x":\xff}' }, { '{"id":-7,"x":nul}', -7 },
    { '[{"id":1,"x":\xff}]' }, { '{"a":{"id":1,"x":\xff' }, { '"id":1,\xff' },
    { '{"id":3,"x":"' .. BIG .. '\xff"}', 3 }, { '{"x":"' .. BIG .. '\xff","id":4}', 4 },
    { '{"x":"' .. BIG .. '\xff","id":4 , "jsonrpc" : "2.0"}\r', 4 },
    { '{"x":"' .. BIG .. '\xff","id":"\\\\","jsonrpc":"2.0"}', "\\" },
    { '{"x":{"y":"' .. BIG .. '\xff","id":4}}' }, { '{"x":["' .. BIG .. '\xff","id",4]}' },
    { '{"x":"' .. BIG .. '\xff,\\"id\\":4"}' },
    { '{"x":"' .. BIG .. '\\\\\\",\\"id\\":4\xff"}' },
  }
  for _, case in ipairs(WITH_ID) do
    it(("finds the id in what it cannot read: %q"):format(case[1]:gsub(BIG, "...")), function()
      local value, problem, id = jsonrpc.decode(case[1])
      assert.is_nil(value)
      assert.is_string(problem)
      assert.equal(case[2], id)
    end)
  end

  it("looks for halves and ids in a time that is linear", function()
    for _, piece in ipairs { "\\", '"', "{", "}", '{"', '"}', "\\ud83d", '{"id":', " ",
      '","id":', "\xff" } do
      jsonrpc.decode('{"a":"' .. piece:rep(2 * 1024 * 1024 // #piece))
      jsonrpc.decode(piece:rep(2 * 1024 * 1024 // #piece) .. "}")
    end
  end)

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
