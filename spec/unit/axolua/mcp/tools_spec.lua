require("spec.support.cli").expose_libraries()
local cjson = require "cjson"
local json = require("axosandbox").json
local reply = require "axolua.mcp.reply"
local schema = require "axolua.mcp.protocol.schema"
local tools = require "axolua.mcp.tools"

local TYPES = { string = true, integer = true, number = true, boolean = true }

describe("the tools", function()
  local all = tools.new { timeout = 120 }

  it("are told in one order, as JSON that says the same", function()
    local first = json.encode(all:list())
    assert.equal(first, json.encode(tools.new({ timeout = 120 }):list()))
    local list = cjson.decode(first)
    assert.equal(21, #list)
    assert.equal("read_file", list[1].name)
    assert.equal("session_info", list[21].name)
    assert.is_truthy(first:find('"properties":{}', 1, true)) -- an object, not an array
  end)

  it("are as many as README says", function()
    local file <close> = assert(io.open "README.md")
    assert.equal(#all:list(), tonumber(file:read("a"):match "(%d+) tools:"))
  end)

  it("have schemas that the checks understand whole", function()
    for _, tool in ipairs(all:list()) do
      assert.matches("^[a-z_]+$", tool.name)
      assert.is_true(#tool.description > 40)
      for name, rule in pairs(tool.inputSchema.properties) do
        assert.is_true(TYPES[rule.type], tool.name .. "." .. name)
        assert.is_string(rule.description)
      end
      assert.equal("object", tool.inputSchema.type)
      assert.is_false(tool.inputSchema.additionalProperties)
      assert.is_boolean(tool.annotations.readOnlyHint)
    end
  end)

  local function check(name, arguments)
    return schema.check(all:get(name).input, cjson.decode(arguments))
  end

  it("take what clients write for what it means", function()
    for arguments, timeout in pairs {
      ['{"command":"x","timeout":"30"}'] = 30, ['{"command":"x","timeout":"0.5"}'] = 0.5,
      ['{"command":"x","timeout":null,"other":null}'] = 120,
      ['{"command":"x","timeout":"","cwd":""}'] = 120,
    } do
      assert.same({ command = "x", timeout = timeout }, check("bash", arguments))
    end
    assert.same({ id = "a", text = "", enter = true },
      check("write_terminal", '{"id":"a","text":"","enter":"true"}'))
    assert.is_false(check("write_terminal", '{"id":"a","text":"","enter":"False"}').enter)
    assert.equal(math.type(check("wait_for_port", '{"port":"3000"}').port), "integer")
    for _, wrong in ipairs { '{"command":"x","timeout":"0x10"}', '{"command":"x","timeout":"3 s"}',
      '{"command":"x","timeout":" 3"}', '{"command":"x","timeout":"1e3"}', '{"command":""}',
      '{"command":"x","timeout":true}', '{"command":5}', '{"command":null}',
      '{"command":"x","timeout":"inf"}', '{"command":"x","timeout":"99999999999999999999999"}' } do
      assert.is_nil((check("bash", wrong)), wrong)
    end
    for _, wrong in ipairs { '"yes"', '"1"', "1", "0" } do
      local text = '{"id":"a","text":"","enter":' .. wrong .. "}"
      assert.is_nil((check("write_terminal", text)), wrong)
    end
    assert.is_nil((check("wait_for_port", '{"port":"3000.5"}')))
  end)

  it("find an address in what the container says only where one begins", function()
    local call = {
      await = function(_, begin)
        local found
        begin(function(_, result) found = result end)
        return found
      end,
      sandbox = {
        exec = function(_, _, _, done)
          done(nil, { code = 0, stdout = ("a"):rep(1000000), stderr = "" })
          return {}
        end,
        ports = function() return {} end,
      },
    }
    local result = all:get("wait_for_port").call({ port = 3000, timeout = 1 }, call)
    assert.matches("listens on port 3000", result.content[1].text)
  end)

  -- What a tool says of a failure: over a sandbox whose every operation is `operations`.
  local function advice(name, arguments, operations)
    local call = {
      await = function(_, begin)
        local _, err = begin(function() end)
        return nil, err
      end,
      sandbox = setmetatable({ list_dir = function() return nil, { code = "NOT_FOUND" } end },
        { __index = operations }),
    }
    local values = assert(check(name, cjson.encode(arguments)))
    local result, err = all:get(name).call(values, call)
    result = result or reply.of_error(err)
    assert.is_true(result.isError)
    return result.content[2].text, result.content[1].text
  end

  local MISSING = {
    get_task = function() return nil, { code = "NOT_FOUND", op = "get_task", message = "no" } end,
    get_terminal = function()
      return nil, { code = "NOT_FOUND", op = "get_terminal", message = "no" }
    end,
  }

  it("say which list has the task or the terminal that is not there", function()
    for name, arguments in pairs {
      read_background = { id = "t9" }, stop_background = { id = "t9" },
      wait_for_port = { port = 80, task = "t9" },
    } do assert.matches("list_background", advice(name, arguments, MISSING), 1, true, name) end
    for name, arguments in pairs {
      read_terminal = { id = "p9" }, write_terminal = { id = "p9", text = "x" },
      resize_terminal = { id = "p9", rows = 2, cols = 2 }, kill_terminal = { id = "p9" },
    } do assert.matches("list_terminals", advice(name, arguments, MISSING), 1, true, name) end
    assert.matches("list_dir", advice("list_dir", {}, MISSING), 1, true)
  end)

  it("tell an agent what the network policy refused, so that it stops trying", function()
    local denied = {}
    for i = 1, 10 do
      denied[i] = { name = i == 1 and "evil.example" or "n" .. i .. ".example", port = 443,
        by = "egress.lua:12", reason = "not among\27[31m them" }
    end
    local call = {
      sandbox = {
        exec = function() return {} end,
      },
      report = function() end,
      await = function() return { code = 1, duration = 0.1, denied = denied,
        ok = function() return false end } end,
    }
    local result = all:get("bash").call({ command = "curl", timeout = 1 }, call)
    local words = result.content[#result.content].text
    assert.matches("refused: evil.example:443 (by egress.lua:12: not among\\x1b[31m them); n2",
      words, 1, true)
    assert.matches("do not try again", words, 1, true)
    assert.matches("and 2 more", words, 1, true)
    assert.matches("tell the user, who can start `axolua mcp` with --allow evil.example:443 "
      .. "--allow n2.example:443", words, 1, true)
  end)

  it("say what base64 is to one that sends something else", function()
    for content, what in pairs { ["Zm9"] = "multiple of 4", ["%%%%"] = "characters" } do
      local hint, message = advice("write_file",
        { path = "x", content = content, encoding = "base64" }, {})
      assert.matches(what, message)
      assert.matches("A-Z a-z 0-9 + /", hint, 1, true)
      assert.matches("utf-8", hint, 1, true)
    end
    assert.matches("in parts", (advice("write_file",
      { path = "x", content = ("A"):rep(4 * 1024 * 1024 + 4), encoding = "base64" }, {})))
  end)

  it("send an agent to its user about a start, which no other call mends", function()
    for hint, words in pairs { ["leave out :rw"] = "Tell the user: leave out :rw",
      [false] = "Tell the user." } do
      for _, code in ipairs { "INVALID", "NOT_FOUND" } do
        assert.equal(words, reply.advice { code = code, op = "start", hint = hint or nil })
      end
    end
    assert.matches("policy", reply.advice { code = "POLICY", op = "start", hint = "see x" })
    assert.matches("call it again", reply.advice { code = "INVALID", op = "write_file" })
  end)

  it("say how to mend a pattern", function()
    local hint = advice("grep", { pattern = "((" },
      { grep = function() return nil, { code = "PATTERN", message = "no" } end })
    assert.matches("backslash", hint)
    assert.matches("fixed", hint)
    local function raise() error("sandbox:grep: a glob has no '..' in it", 0) end
    local words
    hint, words = advice("grep", { pattern = "x", glob = "../*" }, { grep = raise })
    assert.matches("glob", words)
    assert.matches("src/**/*.c", hint, 1, true)
  end)

  it("get their defaults, and whole numbers as such", function()
    local values = check("read_file", '{"path":"x","offset":3.0}')
    assert.same({
      path = "x", offset = 3, limit = 65536, numbered = false, escaped = false,
    }, values)
    assert.equal("integer", math.type(values.offset))
    assert.equal(120, check("bash", '{"command":"x"}').timeout)
    assert.equal(0.5, check("bash", '{"command":"x","timeout":0.5}').timeout)
  end)

  it("take null for what is not given", function()
    assert.equal(120, check("bash", '{"command":"x","timeout":null,"cwd":null}').timeout)
    local values, problem = check("bash", '{"command":null}')
    assert.is_nil(values)
    assert.matches('"command" is required', problem)
  end)

  local WRONG = {
    { "bash", "{}", '"command" is required' },
    { "bash", '{"command":""}', "must not be empty" },
    { "bash", '{"command":1}', "must be a string, got a number" },
    { "bash", '{"command":["ls"]}', "must be a string, got an array" },
    { "bash", '{"command":{}}', "must be a string, got an object" },
    { "bash", '{"command":"x","timeout":"5 s"}', "must be a number, got a string" },
    { "bash", '{"command":"x","timeout":0}', "must be more than 0" },
    { "bash", '{"command":"x","timeout":1e9}', "must be at most 3600" },
    { "bash", '{"command":"x","env":{}}', "it takes: command, cwd, stdin, timeout" },
    { "list_background", '{"all":true}', "takes none" },
    { "read_file", '{"path":"x","offset":-1}', "must be at least 0, got %-1" },
    { "read_file", '{"path":"x","offset":0.5}', "must be a whole number" },
    { "read_file", '{"path":"x","limit":1e300}', "whole number" },
    { "write_file", '{"path":"x","content":"","encoding":"latin1"}', "one of utf%-8, base64" },
    { "edit_file", '{"path":"x","old_string":"a","new_string":"b","replace_all":"yes"}',
      "true or false" },
    { "wait_for_port", '{"port":0}', "at least 1" },
    { "resize_terminal", '{"id":"x","rows":10}', '"cols" is required' },
  }
  for _, case in ipairs(WRONG) do
    it("refuses " .. case[1] .. " " .. case[2], function()
      local values, problem = check(case[1], case[2])
      assert.is_nil(values)
      assert.matches(case[3], problem)
    end)
  end
end)
