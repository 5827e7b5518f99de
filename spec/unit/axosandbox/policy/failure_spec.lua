-- Whatever goes wrong in policy means no, and names the file and the line.
local errors = require "axosandbox.base.errors"
local policy_box = require "axosandbox.policy.box"
local policies = require "spec.support.policies"

local REQUEST = { argv = { "true" }, kind = "exec" }

--- Asserts that this text of exec.lua fails at `line` with a message like `pattern`.
local function fails(text, line, pattern)
  local err, file = policies.error_of("exec", text, REQUEST)
  assert.is_true(errors.is_error(err))
  assert.equal("POLICY", err.code)
  local found = err.message:match("^" .. file:gsub("%p", "%%%0") .. ":(%d+): ")
  assert(found, "the message does not begin with file and line: " .. err.message)
  assert.equal(line, tonumber(found), err.message)
  assert.matches(pattern, err.message)
  return err
end

describe("policy fails closed on", function()
  policies.housekeeping(_ENV)

  it("a syntax error", function()
    fails("return function()\n  return {\nend\n", 3, "unexpected symbol near 'end'")
  end)

  it("bytecode", function()
    fails(string.dump(load "return function() end"), 1, "binary chunk")
  end)

  it("an error while it is loaded", function()
    fails("local x\n\nlocal y = x.z\nreturn function() end", 3, "attempt to index a nil value")
  end)

  it("an error while it decides, with a traceback", function()
    local err = fails("return function(request)\n  local x\n  return x.field\nend", 3,
      "attempt to index a nil value %(local 'x'%)")
    assert.matches("stack traceback", err.stderr)
  end)

  it("an error in a function that it calls", function()
    fails("local function check(v)\n  assert(v, 'no value')\nend\n"
      .. "return function()\n  check(nil)\n  return {}\nend", 2, "no value")
  end)

  it("an error that is not a string", function()
    fails("return function()\n  error {}\nend", 2, "raised a table")
    fails("return function()\n  error()\nend", 2, "raised a nil")
    fails("return function()\n\n  error(42)\nend", 3, "42")
  end)

  it("an error without a position", function()
    fails("return function()\n\n  error('plain', 0)\nend", 3, "plain")
  end)

  it("something else than a function", function()
    fails("return { allow = true }", 1, "must return one function, but returned a table")
    fails("local x = 1", 1, "must return one function, but returned a nil")
    fails("", 1, "must return one function")
  end)

  it("a decision of a wrong type, at the line that returned it", function()
    fails("return function()\n  return 5\nend", 2, "exec decision: expected a table, got number")
    fails("return function()\n  return nil\nend", 2, "expected a table, got nil")
    fails("return function(r)\n  if r.argv[1] == 'x' then return {} end\n  local d = {}\n"
      .. "  return d\nend", 4, 'the key "allow" is required')
    fails("return function()\nend", 2, "expected a table, got nil")
  end)

  it("a value of a wrong type", function()
    fails("return function()\n  return { allow = 'yes' }\nend", 2,
      "exec decision.allow: expected boolean, got string")
    fails("return function()\n  return { allow = true, timeout = -1 }\nend", 2, "below the minimum")
    fails("return function()\n  return { allow = true, timeout = 0/0 }\nend", 2, "not a number")
  end)

  it("an unknown key", function()
    fails("return function()\n  return { allow = true, alow = 1 }\nend", 2,
      'exec decision: unknown key "alow": did you mean "allow"%? '
        .. "%(known: allow, max_output, reason, timeout%)")
  end)

  it("an unknown key of the fields that the next one is asked with", function()
    fails("return function(r, default)\n  r.fields.allow_imags = {}\n  return default(r)\nend", 3,
      'request.fields: unknown key "allow_imags": did you mean "allow_images"%?')
    local set = policies.new { network = "none", exec = function(request, default)
      request.fields.netwrok = "none"
      return default(request)
    end }
    local decision, err = set:decide("exec", REQUEST)
    assert.is_nil(decision)
    assert.matches('failure_spec.lua:%d+: .*did you mean "network"', err.message)
  end)

  it("a decision that is not plain data", function()
    fails("return function()\n  return { allow = function() end }\nend", 2,
      'a function at the key "allow", which is not plain data')
    fails("return function()\n  local d = {}\n  d.allow = d\n  return d\nend", 4, "in a cycle")
    fails("return function()\n  return { [{}] = 1 }\nend", 2, "a key of type table")
  end)

  it("a wrong decision, also when the next answer would be right", function()
    local set, path = policies.with("exec", "local was_asked\nreturn function()\n"
      .. "  if was_asked then return { allow = true } end\n  was_asked = true\n"
      .. "  return { alow = true }\nend")
    local decision, err = set:decide("exec", REQUEST)
    assert.is_nil(decision)
    assert.equal(1, (err.message:find(path .. ':5: exec decision: unknown key "alow"', 1, true)))
  end)

  it("a decision that was wrong further down, at the file that made it", function()
    local below = policies.dir { exec = "return function()\n  return { allow = 1 }\nend" }
    local above = policies.dir { exec = "return function(r, default)\n"
      .. "  local d = default(r)\n  d.allow = true\n  return d\nend" }
    local set = assert(policies.new(nil, { above, below }))
    local decision, err = set:decide("exec", REQUEST)
    assert.is_nil(decision)
    assert.equal(1, (err.message:find(below .. "/exec.lua:2: exec decision.allow", 1, true)))
  end)

  it("a request for the next that is no request", function()
    fails("return function(r, default)\n  local d = default(5)\n  return d\nend", 2,
      "must be a table of plain data")
    fails("return function(r, default)\n  r.f = default\n  local d = default(r)\nend", 3,
      'a function at the key "f"')
  end)

  it("a path that Lua would shorten, whole", function()
    local name = ("d"):rep(90)
    local dir = policies.dir {}
    assert(require("luv").fs_mkdir(dir .. "/" .. name, 448))
    local path = ("%s/%s/exec.lua"):format(dir, name)
    local temp = require "spec.support.temp"
    for _, text in ipairs { "return {", "return function()\n  error 'x'\nend" } do
      temp.write(path, text, "600")
      local set, err = policies.new { exec = path }
      if set then err = select(2, set:decide("exec", REQUEST)) end
      assert.equal(1, (err.message:find(path .. ":%d+: ") or err.message:find(path, 1, true)))
      assert.is_nil(err.message:find("...", 1, true))
    end
  end)

  it("a host's function that raises, or answers wrongly, and names where it is", function()
    local set = policies.new { exec = function() error "out of order" end }
    local decision, err = set:decide("exec", REQUEST)
    assert.is_nil(decision)
    assert.equal("POLICY", err.code)
    assert.matches("failure_spec.lua:%d+: .*out of order", err.message)
    set = policies.new { exec = function() return { allow = "maybe" } end }
    decision, err = set:decide("exec", REQUEST)
    assert.is_nil(decision)
    assert.matches("failure_spec.lua:%d+: exec decision.allow", err.message)
    set = policies.new { exec = function() error({ code = 5 }) end }
    assert.matches("raised a table", select(2, set:decide("exec", REQUEST)).message)
  end)

  it("an error below a host's function, which keeps its file and line", function()
    local dir = policies.dir { exec = "return function()\n  error 'below'\nend" }
    local wrap = function(r, default) return default(r) end
    local set = assert(policies.new({ exec = wrap }, { dir }))
    local _, err = set:decide("exec", REQUEST)
    assert.equal(1, (err.message:find(dir .. "/exec.lua:2: below", 1, true)))
  end)
end)

describe("the budget stops", function()
  policies.housekeeping(_ENV)

  local LOOPS = {
    { "an endless loop", "return function()\n  while true do end\nend", 2 },
    { "an endless loop at load", "while true do end", 1 },
    { "an empty loop of repeat", "return function()\n  repeat until false\nend", 2 },
    { "a loop in gsub's callback",
      "return function()\n  ('x'):gsub('x', function()\n    while true do end\n  end)\nend", 3 },
    { "a loop in sort's comparison",
      "return function()\n  table.sort({ 2, 1 }, function()\n"
        .. "    while true do end\n  end)\nend", 3 },
    { "a loop of calls of the next",
      "return function(r, default)\n  while true do default(r) end\nend", nil },
    { "endless recursion that is a tail call",
      "local function f() return f() end\nreturn function()\n  return f()\nend", 1 },
    { "a loop over goto", "return function()\n  ::a::\n  goto a\nend" },
  }
  for _, case in ipairs(LOOPS) do
    it(case[1], function()
      local err, file = policies.error_of("exec", case[2], REQUEST)
      assert.equal("POLICY", err.code)
      assert.matches("used up its budget of %d+ %a+", err.message)
      local where = case[3] and file .. ":" .. case[3] or file
      assert.truthy(err.message:find(where, 1, true), err.message)
    end)
  end

  it("nothing that is loaded on a slow machine, where a decision's time would not do", function()
    local _ <close> = setmetatable({ policy_box.TIME }, {
      __close = function(kept) policy_box.TIME = kept[1] end,
    })
    policy_box.TIME = 0.001
    local set = policies.with("exec", "local n = 0\nfor i = 1, 300000 do n = n + i end\n"
      .. "return function(_, default) return default(_) end")
    local decision, err = set:decide("exec", REQUEST)
    assert(decision, tostring(err))
    assert.is_true(decision.allow)
  end)

  it("a loop below one that wraps it", function()
    local below = policies.dir { exec = "return function()\n  while true do end\nend" }
    local above = policies.dir { exec = "return function(r, default)\n"
      .. "  local d = default(r)\n  return d\nend" }
    local _, err = assert(policies.new(nil, { above, below })):decide("exec", REQUEST)
    assert.equal(1, (err.message:find(below .. "/exec.lua:2: used up its budget", 1, true)))
  end)

  it("a loop after a default that was kept from another decision", function()
    local dir = policies.dir { exec = "local kept\nreturn function(r, default)\n"
      .. "  if kept then kept(r) while true do end end\n  kept = default\n"
      .. "  return default(r)\nend" }
    local set = assert(policies.new(nil, { dir }))
    assert(set:decide("exec", REQUEST))
    local decision, err = set:decide("exec", REQUEST)
    assert.is_nil(decision)
    assert.matches("exec.lua:3: used up its budget", err.message)
  end)

  it("no default that was kept, whatever else has failed meanwhile", function()
    local set = policies.with("exec", "local kept\nreturn function(r, default)\n"
      .. "  kept = kept or default\n  return kept(r)\nend")
    assert(set:decide("exec", REQUEST))
    policies.error_of("exec", "return function() error 'x' end")
    local decision, err = set:decide("exec", REQUEST)
    assert(decision, tostring(err))
    assert.is_true(decision.allow)
  end)

  it("recursion without end", function()
    local err = policies.error_of("exec",
      "local function f(n) return 1 + f(n) end\nreturn function() return f(1) end", REQUEST)
    assert.equal("POLICY", err.code)
    assert.matches("exec.lua:1: ", err.message)
  end)

  local HOGS = {
    "local s = 'x' while true do s = s .. s end",
    "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end",
    "local r = ('x'):rep(1e10) return r",
    "local r = string.rep('x', 1 << 40) return r",
    "local r = ('x'):rep(3, ('y'):rep(1000000)) return r",
    "local s = ('x'):rep(100000) local r = s:gsub('x', s) return r",
    "local s = ('x'):rep(1000000) local r = ('aaaaaaaa'):gsub('a', '%0' .. s) return r",
    "local t = {} for i = 1, 99 do t[i] = BIG end local r = table.concat(t) return r",
    "local t = {} for i = 1, 9 do t[i] = '' end local r = table.concat(t, BIG) return r",
    "local r = ('%s%s%s'):format(BIG, BIG, BIG) return r",
    "local r = table.move({}, 1, 1e15, 2) return r",
    "local r = table.unpack({}, 1, 1e8) return r",
    "local r = ('a'):rep(9999):gsub('a', { a = BIG }) return r",
    "local r = ('a'):rep(9999):gsub('a', function() return BIG end) return r",
  }
  for i, body in ipairs(HOGS) do
    it("a hog of memory or time (" .. i .. ")", function()
      local before = collectgarbage "count"
      local err = policies.error_of("exec",
        "return function()\n" .. body:gsub("BIG", "('x'):rep(1000000)") .. "\nend", REQUEST)
      assert.equal("POLICY", err.code)
      assert.matches("exec.lua:2: ", err.message)
      assert.is_true(collectgarbage "count" - before < 8 * policy_box.MEMORY / 1024)
      collectgarbage()
    end)
  end

  -- Each would go on for minutes or for ever within a few instructions.
  local SLOW = {
    "return ('a'):rep(34):find(('a?'):rep(34) .. ('a'):rep(35))",
    "return ('x'):rep(100000):find '.-.-.-.-.-.-y'",
    "return ('('):rep(100000):find '%b()'",
    "return ('x'):rep(100000):match '(x+)+%1y'",
    "return ('x'):rep(100000):gsub('x*y', '')",
    "for _ in ('x'):rep(100000):gmatch 'x*y' do end",
    "return ('x'):rep(100000):find('[^' .. ('ab'):rep(40000) .. ']*y')",
    "local t = {} while true do table.insert(t, 1, 1) end",
    "local t = {} while true do table.move(t, 1, 1000000, 2) end",
    "local t = {} for i = 1, 90000 do t[i] = -i end while true do table.sort(t) end",
    "local t = {} for i = 1, 90000 do t['k' .. i] = i end\n"
      .. "  for k in pairs(t) do t[k] = nil end while true do next(t) end",
    "local t = {} for i = 1, 90000 do t[i] = i end while true do table.unpack(t) end",
    "while true do utf8.len(BIG) end",
    "while true do for _ in utf8.codes(BIG) do end end",
    "local s = '0.' .. BIG while true do tonumber(s) end",
    "while true do BIG:byte(1, 90000) end",
    "local a, b = BIG .. BIG .. 'x', BIG .. BIG .. 'y' while true do local _ = a < b end",
  }
  for i, body in ipairs(SLOW) do
    it("what takes long within one instruction (" .. i .. ")", function()
      local err = policies.error_of("exec",
        "local BIG = ('1'):rep(1000000)\nreturn function()\n  " .. body .. "\nend", REQUEST)
      assert.matches("exec.lua:[34]: used up its budget of %d+ %a+", err.message)
    end)
  end

  it("nothing that is within it", function()
    local set = policies.with("exec", [[return function(request)
      local n = 0
      for i = 1, 5000 do n = n + i end
      local s = ("ab"):rep(1000):gsub("a", "%0%0"):gsub("b", { b = "c" }):upper()
      local parts = {}
      for word in s:gmatch "A+" do parts[#parts + 1] = word end
      assert(#table.concat(parts, ",", 2, 3) == 5)
      assert(("%s %d %q"):format("x", 1, "y") == 'x 1 "y"')
      assert(("x"):rep(3, "-") == "x-x-x" and ("x"):rep(-1) == "")
      assert(#table.move({ 1, 2, 3 }, 1, 3, 2) == 4)
      return { allow = select("#", table.unpack(parts, 1, 10)) == 10, reason = s:sub(1, 4) }
    end]])
    assert.same({ allow = true, reason = "AACA" }, set:decide("exec", REQUEST))
  end)

  it("one decision, and not the next", function()
    local set = policies.with("exec", "return function(r)\n"
      .. "  if r.argv[1] == 'loop' then while true do end end\n  return { allow = true }\nend")
    for _ = 1, 3 do
      assert.is_nil((set:decide("exec", { argv = { "loop" }, kind = "exec" })))
      assert.is_true(set:decide("exec", REQUEST).allow)
    end
  end)
end)

describe("afterwards the host has", function()
  policies.housekeeping(_ENV)

  local TEXTS = {
    "return function() return { allow = true } end",
    "return function() error 'x' end",
    "return function() while true do end end",
  }

  it("its own hook", function()
    local count = 0
    local function hook() count = count + 1 end
    for _, text in ipairs(TEXTS) do
      local set = policies.with("exec", text)
      debug.sethook(hook, "", 1000)
      set:decide("exec", REQUEST)
      local now, mask, every = debug.gethook()
      debug.sethook()
      assert.equal(hook, now)
      assert.same({ "", 1000 }, { mask, every })
    end
  end)

  it("its own string functions, and its collector running", function()
    local index = getmetatable("").__index
    for _, text in ipairs(TEXTS) do
      policies.with("exec", text):decide("exec", REQUEST)
      assert.equal(index, getmetatable("").__index)
      assert.equal(string, getmetatable("").__index)
      assert.is_true(collectgarbage "isrunning")
    end
    assert.equal(2000000, #("x"):rep(2000000))
  end)

  it("a stopped collector, when it was stopped", function()
    local set = policies.with("exec", TEXTS[1])
    collectgarbage "stop"
    set:decide("exec", REQUEST)
    local running = collectgarbage "isrunning"
    collectgarbage "restart"
    assert.is_false(running)
  end)
end)
