--- What reads the words of a container, of a repository or of podman takes a time that grows as the
--- text does. A parser that does not is ended by its first step that shows it, not by 16 MiB.
require("spec.support.cli").expose_libraries()
local audit_text = require "axolua.audit.text"
local base64 = require "axolua.mcp.tools.base64"
local cli_text = require "axolua.view.text"
local dialect = require "axosandbox.session.search.dialect"
local excerpt = require "axolua.mcp.tools.excerpt"
local glob = require "axosandbox.base.glob"
local helper = require "axosandbox.session.search.helper"
local jsonc = require "axosandbox.base.jsonc"
local last_line = require "axosandbox.base.text.last_line"
local cgroups = require "axosandbox.host.mounts.cgroups"
local lines = require "axolua.mcp.protocol.lines"
local mcp_text = require "axolua.mcp.text"
local patterns = require "spec.support.patterns"
local podman = require "axosandbox.podman"
local scripted = require "axosandbox.way.scripted"
local request_tools = require "axosandbox.session.search.tools"
local shapes = require "axosandbox.policy.shapes"
local unseen = require "axosandbox.base.text.unseen"
local uv = require "luv"

-- A sanitiser tells of what is read or written besides, and that at less; of time it tells nothing.
local LARGEST = (os.getenv "ASAN_OPTIONS" and 1 or 16) * 1024 * 1024

-- Processor time, so that a busy machine makes no difference; the first measure is one that is
-- long enough to be compared with.
local made = {}
local function text_of(byte, size)
  if made.byte ~= byte then made = { byte = byte } end
  made[size] = made[size] or byte:rep(size // #byte)
  return made[size]
end

local function time_of(parse, text)
  collectgarbage()
  local before = os.clock()
  parse(text)
  return os.clock() - before
end

-- What shares the processor's caches can make one measure long, but not three.
local function check(name, byte, parse, largest)
  local size, first = 64 * 1024, nil
  while size <= largest do
    local text = text_of(byte, size)
    local took = time_of(parse, text)
    for _ = 1, 2 do
      local most = first and 5 * first.took * size / first.size
      if most and took > most then took = math.min(took, time_of(parse, text)) end
    end
    if not first and took > 0.02 then first = { took = took, size = size } end
    local linear = first and first.took * size / first.size
    if linear and took > 5 * linear then
      error(("%s on %q: %d bytes took %.1f times what a linear one takes"):format(name, byte, size,
        took / linear))
    end
    -- Slow, and linear over many times the size: that will not change.
    if first and size >= 16 * first.size and took > 0.5 then return end
    size = size * 4
  end
end

local function answering(result)
  return {
    root = "/", exec = function(_, _, done)
      result.duration = 0
      uv.new_timer():start(0, 0, function() done(nil, result) end)
      return true
    end,
  }
end

local function run(start)
  local is_done
  start(function() is_done = true end)
  while not is_done do uv.run "once" end
end

local REQUEST = {
  op = "grep", path = ".", pattern = "a", max = 1000, max_line = 500, max_file = 1, timeout = 1,
}

local PARSERS = {
  ["records of the search helper"] = function(text) helper.read(text, 2) end,
  ["output of grep"] = function(text)
    run(function(done)
      return request_tools.run(answering { code = 0, stdout = text, stderr = text }, REQUEST, done)
    end)
  end,
  ["a list of files"] = function(text)
    local path = setmetatable(answering { code = 0, stdout = text, stderr = "" },
      { __index = scripted })
    run(function(done) return path:list_dir(".", 100, done) end)
  end,
  ["what a script says of a failure"] = function(text)
    local path = setmetatable(answering { code = 96, stdout = "", stderr = text },
      { __index = scripted })
    run(function(done) return path:stat("x", true, done) end)
  end,
  ["the last line"] = last_line,
  ["/proc/PID/cgroup"] = cgroups.parse_cgroup,
  ["a size"] = shapes.bytes,
  ["lines of MCP"] = function(text)
    local reader = lines.new(4 * 1024 * 1024)
    for at = 1, #text, 65536 do
      reader:feed(text:sub(at, at + 65535))
      while reader:next() do end -- luacheck: ignore
    end
    reader:finish()
  end,
  ["an excerpt"] = function(text)
    local it = excerpt.new(65536)
    for at = 1, #text, 4096 do it:add(text:sub(at, at + 4095)) end
    it:get()
  end,
  ["text for an agent"] = function(text)
    mcp_text.head(text, 1000)
    mcp_text.tail(text, 1000)
    mcp_text.is_text(text)
  end,
  ["text for a terminal"] = function(text) unseen.escape_lines(text) end,
  ["an event of the audit log"] = function(text)
    audit_text.line { event = "exec", time = text, session = text, argv = { text } }
  end,
  ["a command line"] = function(text) cli_text.command { text } end,
}

local BYTES = { "a", "7", " ", "\n" }

describe("in a time that grows as the text does", function()
  for _, byte in ipairs(BYTES) do
    it(("reads 16 MiB of %q"):format(byte), function()
      for name, parse in pairs(PARSERS) do check(name, byte, parse, LARGEST) end
    end)
  end

  it("reads 16 MiB of NUL", function()
    for _, name in ipairs { "records of the search helper", "output of grep", "a list of files",
      "what a script says of a failure" } do check(name, "\0", PARSERS[name], LARGEST) end
  end)

  it("reads base64", function()
    check("base64.encode", "a", base64.encode, LARGEST // 4)
    check("base64.decode", "A", base64.decode, LARGEST // 4)
    check("base64.decode", " ", base64.decode, LARGEST // 4)
  end)

  it("understands podman's complaints", function()
    for _, byte in ipairs { "a", "7", ":", '{"msg":"' } do
      check("classify", byte, function(text) podman.classify(text, 125) end, 1024 * 1024)
    end
  end)

  it("reads JSON with comments", function()
    for _, byte in ipairs { "[", '"', "\\", "/*", "//\n", "{\"a\":", "1", " ", ",", '"\\u0041' } do
      check("jsonc", byte, jsonc.decode, jsonc.MAX_BYTES)
      check("jsonc", byte, function(text) jsonc.decode('{"a": "' .. text) end, jsonc.MAX_BYTES // 2)
    end
  end)

  it("reads patterns, of which each has a bound", function()
    for _, byte in ipairs { "*", "[", "{", "(", "\\", "a", "a{2}", "[a]" } do
      check("glob", byte, function(text) glob.new(text) end, 1024 * 1024)
      check("dialect", byte, dialect.extended, 256 * 1024)
    end
  end)
end)

describe("no Lua pattern", function()
  local function sources()
    local found = io.popen "find bindings scripts/axolua policy -name '*.lua' | sort"
    local list = {}
    for path in found:lines() do list[#list + 1] = path end
    found:close()
    return list
  end

  it("that may take long stands in what is shipped", function()
    local paths, found = sources(), {}
    assert.is_true(#paths > 100)
    for _, path in ipairs(paths) do
      local file = assert(io.open(path))
      for _, it in ipairs(patterns.find(file:read "a")) do
        found[#found + 1] = ("%s:%d: %s: %s"):format(path, it.line, it.pattern, it.problem)
      end
      file:close()
    end
    assert.equal("", table.concat(found, "\n"))
  end)

  it("of these goes by unseen, and none of those is held up", function()
    for _, code in ipairs { 'x:gmatch "([^\\0]*)\\0"', 'x:match "(%d+):(%d+)$"',
      'x:gsub(" +$", "")',
      'x:match "[^/]*$"', 'x:find("a.-b")', "x:gmatch '(%S+)%s*$'", 'x:gmatch "^a*.-b"' } do
      assert.equal(1, #patterns.find(code), code)
    end
    for _, code in ipairs { 'x:gmatch "[^\\n]+"', 'x:match "^(%d+):"', 'x:gsub("%s", "")',
      'x:find("a*b", 1, true)', 'x:match "a(%d+)"', 'x:match "^.*/(.*)$"',
      'x:gmatch "([^\\n]*)\\n?"', 'x:match "(%d+):" -- linear: short' } do
      assert.same({}, patterns.find(code), code)
    end
  end)
end)
