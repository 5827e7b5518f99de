local cjson = require "cjson"
local jsonc = require "axosandbox.base.jsonc"

-- As cjson has it.
local function plain(value)
  if value == jsonc.null then return cjson.null end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, item in pairs(value) do copy[key] = plain(item) end
  return copy
end

local function read(text)
  local value, problem, duplicates = jsonc.decode(text)
  assert(not problem, problem and problem.message)
  return value, duplicates
end

local function wrong(text, line, column, message)
  local value, problem = jsonc.decode(text)
  assert.is_nil(value)
  assert.same({ line, column }, { problem.line, problem.column }, problem.message)
  assert.matches(message, problem.message)
end

describe("JSON with comments", function()
  it("reads plain JSON as cjson does", function()
    local text = '{"a":[1,-2.5,3e2,true,false,null,""],"b":{"c":"\\n\\u00e9\\ud83d\\ude00\\/"}}'
    assert.same(cjson.decode(text), plain(read(text)))
  end)

  it("reads comments and trailing commas, a BOM and CRLF", function()
    local text = "\xEF\xBB\xBF// one\r\n{ /* 2\r\n * {\" */ \"a\": [1, 2, ], // 3\r\n}\r\n// end"
    assert.same({ a = { 1, 2 } }, plain(read(text)))
  end)

  it("takes what looks like a comment in a string for text", function()
    assert.same({ a = "// /* x */,}" }, plain(read '{"a": "// /* x */,}"}'))
  end)

  it("tells arrays from objects, and keeps the order of keys", function()
    local value = read '{"z":1,"a":[],"m":{}}'
    assert.same({ "z", "a", "m" }, jsonc.keys(value))
    assert.is_true(jsonc.is_array(value.a))
    assert.is_false(jsonc.is_object(value.a))
    assert.is_true(jsonc.is_object(value.m))
  end)

  it("keeps integers, and what is none", function()
    local value = read "[9007199254740993, 1.0, 1e2, 123456789012345678901234567890]"
    assert.equal("integer", math.type(value[1]))
    assert.equal(9007199254740993, value[1])
    assert.equal("float", math.type(value[2]))
    assert.equal("float", math.type(value[4]))
  end)

  it("reports keys that are there twice, with their place; the last one counts", function()
    local value, duplicates = read '{\n  "a": 1,\n  "b": null,\n  "a": 2, "b": 3\n}'
    assert.equal(2, value.a)
    assert.equal(3, value.b)
    assert.same({ "a", 4, 3 },
      { duplicates[1].key, duplicates[1].line, duplicates[1].column })
    assert.equal("b", duplicates[2].key)
    assert.same({ "a", "b" }, jsonc.keys(value))
  end)

  it("names line and column of what is wrong", function()
    wrong("", 1, 1, "ends where a value")
    wrong("{", 1, 2, "ends where a key")
    wrong('{\n  "a" 1\n}', 2, 7, "colon")
    wrong('{\r\n  "a": 1\r\n  "b": 2}', 3, 3, 'a comma or "}"')
    wrong('{\r"é": 01}', 2, 6, "leading zero")
    wrong("[1 2]", 1, 4, "comma")
    wrong("[1,,2]", 1, 4, "a value, found ,")
    wrong("[,]", 1, 2, "a value")
    wrong("{a: 1}", 1, 2, "key in quotes, found a")
    wrong("{'a': 1}", 1, 2, "key in quotes, found '")
    wrong("[1] x", 1, 5, "end of the text")
    wrong("// x\n/* y", 2, 1, "not closed")
    wrong('["abc', 1, 2, "not closed")
    wrong("/", 1, 1, "found /")
  end)

  it("is strict about values", function()
    for _, text in ipairs {
      "nul", "True", "NaN", "Infinity", "-", "+1", ".5", "1.", "1e", "0x10", "1_000", "--1",
      "1e999", "undefined", "truex",
    } do
      assert.is_nil((jsonc.decode("[" .. text .. "]")), text)
    end
  end)

  it("is strict about strings", function()
    wrong('["a\nb"]', 1, 4, "must be escaped")
    wrong('["\0"]', 1, 3, "must be escaped")
    wrong('["\\x"]', 1, 3, "escape")
    wrong('["\\u12g4"]', 1, 3, "hexadecimal")
    wrong('["\\ud800"]', 1, 3, "surrogate")
    wrong('["\\ud800\\u0041"]', 1, 3, "surrogate")
    wrong('["\\udc00"]', 1, 3, "surrogate")
    wrong('["a\xff"]', 1, 4, "UTF%-8")
    wrong('["\xed\xa0\x80"]', 1, 3, "UTF%-8")
    wrong("\xff\xfe{\0}\0", 1, 1, "UTF%-8")
    wrong("\0", 1, 1, "control character 0")
  end)

  it("bounds depth and size", function()
    local depth = jsonc.MAX_DEPTH
    assert.is_table(read(("["):rep(depth) .. ("]"):rep(depth)))
    wrong(("["):rep(depth + 1), 1, depth + 1, "deeper")
    wrong(('{"a":'):rep(100000), 1, depth * 5 + 1, "deeper")
    wrong((" "):rep(jsonc.MAX_BYTES + 1), 1, 1, "longer")
    assert.is_nil((jsonc.decode(("\n"):rep(jsonc.MAX_BYTES))))
  end)

  it("bounds what it says about duplicates", function()
    local _, duplicates = read("{" .. ('"a":1,'):rep(100000) .. "}")
    assert.equal(16, #duplicates)
  end)
end)

-- ---- mutations -------------------------------------------------------------------------

local SEED = 20260724
local SAMPLES = {
  '{"image":"alpine","containerEnv":{"A":"b","C":""},"forwardPorts":[3000,8080]}',
  '[1,-0.5,1e10,"x\\u00e9\\n",true,false,null,{},[]]',
  '{"a":{"b":{"c":[[["deep"]]]}},"é":"ü","n":12345678901}',
}
local PIECES = {
  "", "{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "0", "-", "e", ".", "true", "null", "\0",
  "\n", "\r", " ", "\xff", "\xc3", "{}", '"":', "[[", "9", "a",
}

local function mutate(text)
  for _ = 1, math.random(3) do
    local at, length = math.random(#text), math.random(0, 3)
    text = text:sub(1, at - 1) .. PIECES[math.random(#PIECES)] .. text:sub(at + length)
    if text == "" then text = " " end
  end
  return text
end

-- Whether it uses what cjson does not know, perhaps only in a string.
local function has_extensions(text)
  return text:find("/", 1, true) or text:find ",%s*[%]}]"
end

describe("JSON with comments, mutated (seed " .. SEED .. ")", function()
  it("never accepts what is not JSON, and reads the rest as cjson does", function()
    math.randomseed(SEED)
    local accepted, refused = 0, 0
    for i = 1, 20000 do
      local text = mutate(SAMPLES[i % #SAMPLES + 1])
      local value, problem = jsonc.decode(text)
      if problem then
        refused = refused + 1
        assert(problem.line >= 1 and problem.column >= 1 and problem.column <= #text + 1, text)
      elseif not has_extensions(text) then
        accepted = accepted + 1
        local ok, expected = pcall(cjson.decode, "[" .. text .. "]")
        assert(ok, text)
        assert.same(expected[1], plain(value), text)
      end
    end
    assert(accepted > 1000 and refused > 1000, accepted .. ", " .. refused)
  end)

  it("reads the same with comments and trailing commas put in", function()
    math.randomseed(SEED)
    local fillers = { "", " ", "\r\n", "/*,*/", "// ]\n" }
    for i = 1, 2000 do
      local sample, parts = SAMPLES[i % #SAMPLES + 1], {}
      for before, char in sample:gmatch "()([%[%]{},:])" do
        local follows = sample:sub(before - 1, before - 1):find "[^%[{,]" and char:find "[%]}]"
        parts[#parts + 1] = { before, follows and math.random(2) == 1 and "," or "" }
      end
      local text, from = "", 1
      for _, part in ipairs(parts) do
        text = text .. sample:sub(from, part[1] - 1) .. fillers[math.random(#fillers)] .. part[2]
          .. fillers[math.random(#fillers)]
        from = part[1]
      end
      text = text .. sample:sub(from)
      assert.same(cjson.decode(sample), plain(read(text)), text)
    end
  end)
end)
