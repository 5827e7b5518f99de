-- The box that policy runs in: whatever a file does, the host is there afterwards, and no larger.
local uv = require "luv"
local box = require "axosandbox.policy.box"
local policy = require "axosandbox.policy"
local policies = require "spec.support.policies"

local REQUEST = { argv = { "true" }, kind = "exec" }
local HEAD = "local BIG = ('1'):rep(1000000)\nlocal kept = {}\n"
  .. "return function(request, default)\n  "

--- Time is no matter while this is open: a slow machine takes long to fill memory.
local function without_haste()
  local time = box.TIME
  box.TIME = 60
  return setmetatable({}, { __close = function() box.TIME = time end })
end

--- The error of a decision whose function has this body, on line 4.
local function failing(body)
  local _ <close> = without_haste()
  local err = policies.error_of("exec", HEAD .. body .. "\nend", REQUEST)
  assert.equal("POLICY", err.code)
  assert.matches("exec.lua:4: ", err.message)
  return err
end

describe("a box", function()
  policies.housekeeping(_ENV)

  -- Bytes; what an allocation beyond the limit would have been is more.
  local function growth_of(body)
    local before = uv.resident_set_memory()
    return failing(body), uv.resident_set_memory() - before
  end

  local HOGS = {
    "for i = 1, 5 do kept[i] = BIG .. i end return table.pack(BIG:byte(1, 900000))",
    "for i = 1, 20 do kept[i] = BIG .. i end return { table.unpack(kept, 1, 900000) }",
    "for i = 1, 16 do kept[i] = BIG .. i end return (function(...) return { ... } end)"
      .. "(table.unpack({}, 1, 490000))",
    "while true do kept[#kept + 1] = BIG .. #kept end",
    "while true do kept[#kept + 1] = table.pack(table.unpack(kept, 1, 60000)) end",
    "for i = 1, 30 do kept[i] = BIG .. i end error(kept[1] .. kept[2])",
    "for i = 1, 30 do kept[i] = BIG .. i end kept[31] = ('x'):rep(900000):gsub('x', '%0', 99)",
  }
  for i, body in ipairs(HOGS) do
    it("holds no more than it may, also within one call (" .. i .. ")", function()
      local err, growth = growth_of(body)
      assert.matches("used more than 32 MiB of memory", err.message)
      assert.is_true(growth < 3 * box.MEMORY, growth)
    end)
  end

  it("has no text that is so long that one instruction takes long", function()
    local err = failing "local s = BIG while true do s = s .. s end"
    assert.matches("a text would be longer than 2 MiB", err.message)
    err = failing "return BIG .. BIG .. BIG .. BIG .. BIG"
    assert.matches("a text would be longer than 2 MiB", err.message)
  end)

  it("is as it was after a decision that had no memory", function()
    local _ <close> = without_haste()
    local set = policies.with("exec", "local function hog()\n  local t = {}\n"
      .. "  while true do t[#t + 1] = ('x'):rep(1000000) .. #t end\nend\nreturn function(request)\n"
      .. "  if request.argv[1] == 'hog' then hog() end\n  return { allow = true }\nend")
    for _ = 1, 3 do
      local _, err = set:decide("exec", { argv = { "hog" }, kind = "exec" })
      assert.matches("exec.lua:3: used more than 32 MiB", err.message)
      assert.is_true(set:decide("exec", REQUEST).allow)
    end
  end)

  it("counts what a file keeps from one decision to the next", function()
    local _ <close> = without_haste()
    local set = policies.with("exec", HEAD .. "for _ = 1, 5 do kept[#kept + 1] = BIG .. #kept end\n"
      .. "return { allow = true }\nend")
    local decision, err
    for _ = 1, 10 do
      decision, err = set:decide("exec", REQUEST)
    end
    assert.is_nil(decision)
    assert.matches("exec.lua:4: used more than 32 MiB", err.message)
  end)

  it("is collected with its set, of which the host's collector knows the size", function()
    local sets, alive = setmetatable({}, { __mode = "k" }), 0
    for _ = 1, 200 do sets[policies.new()] = true end
    for _ in pairs(sets) do alive = alive + 1 end
    assert.is_true(alive < 100, alive)
  end)

  -- Each is one call, or few, that would go on for seconds and longer.
  local SLOW = {
    "for i = 1, 9000 do kept[i] = BIG end table.sort(kept)",
    "for i = 1, 9000 do kept[i] = -i end while true do table.sort(kept, math.ult) end",
    "for i = 1, 50000 do kept[i] = 1e308 end\n"
      .. "  return ('%99.99f'):rep(50000):format(table.unpack(kept))",
    "while true do default(request) end",
    "while true do ('x'):rep(200):gsub('()()', string.rep) end",
    "for i = 1, 150000 do kept[i] = i end while true do table.remove(kept, 1) end",
    "for i = 1, 150000 do kept[i] = i end while true do table.concat(kept, '') end",
    "while true do tostring(BIG + 1) end",
  }
  for i, body in ipairs(SLOW) do
    it("is left in time (" .. i .. ")", function()
      local err = policies.error_of("exec", HEAD .. body .. "\nend", REQUEST)
      assert.matches("exec.lua:[45]: used ", err.message) -- of its time, work or memory
    end)
  end

  it("has no list whose length cannot be counted", function()
    local err = failing("kept[math.maxinteger] = 1 for i = 62, 0, -1 do kept[1 << i] = 1 end "
      .. "table.insert(kept, 1)")
    assert.matches("no room", err.message)
  end)

  it("says of which function an argument is wrong", function()
    assert.matches("#2 to 'string.format' %(number expected", failing("('%d'):format('x')").message)
  end)

  it("repeats nothing as often as it is asked to, at once", function()
    local set = policies.with("exec",
      "return function() return { allow = ('x'):rep(0) == (''):rep(1 << 60) } end")
    assert.is_true(set:decide("exec", REQUEST).allow)
  end)

  it("has no answer that grows on its way out", function()
    local many = "for i = 1, 100000 do kept[i] = BIG end "
    local err = failing(many .. "return { allow = true, reason = kept }")
    assert.matches("more than 8388608 bytes of text", err.message)
    err = failing(many .. "default { argv = kept } return { allow = true }")
    assert.matches("default: the request must be .* more than 8388608 bytes", err.message)
  end)

  -- Tables of many places and nothing in them, filled and emptied in steps of little time.
  it("has no answer that takes long to copy", function()
    local set = policies.with("exec", HEAD .. "local left = 3000\n"
      .. "if request.kind == 'exec' then for i = 1, left do kept[request.argv[1] .. i] = i end "
      .. "elseif request.kind == 'task' then for k in next, kept do kept[k] = nil\n"
      .. "  left = left - 1 if left == 0 then break end end "
      .. "else local all = {} for i = 1, 100000 do all[i] = kept end\n"
      .. "  return { allow = all } end return { allow = true }\nend")
    for _, kind in ipairs { "exec", "task" } do
      for i = 1, 10 do
        assert.is_true(set:decide("exec", { argv = { "k" .. i .. "." }, kind = kind }).allow)
      end
    end
    local _, err = set:decide("exec", { argv = {}, kind = "terminal" })
    assert.matches("exec.lua:7: .*takes? too long to copy", err.message)
  end)

  it("outlives recursion of any kind", function()
    for _, body in ipairs {
      "local function f(x) return (x:gsub('.', f)) end f 'x'",
      "local function f(a, b) table.sort({ 3, 2, 1 }, f) return a < b end f(1, 2)",
      "local function f(...) return f(1, ...) end f()",
      "local function f() local a = f() return a end f()",
    } do
      local err = policies.error_of("exec", HEAD .. body .. "\nend", REQUEST)
      assert.matches("exec.lua:4: ", err.message)
    end
    local deep = ("("):rep(1000) .. "1" .. (")"):rep(1000)
    assert.equal("POLICY", policies.error_of("exec", "return function() return " .. deep
      .. " end").code)
    deep = ("{"):rep(1000) .. ("}"):rep(1000)
    assert.equal("POLICY", policies.error_of("exec", "return " .. deep).code)
  end)

  it("outlives a chain of any length", function()
    local _ <close> = without_haste()
    local wrap = policies.dir { exec = "return function(r, default) return default(r) end" }
    local dirs = {}
    for i = 1, 400 do dirs[i] = wrap end
    local decision, err = assert(policies.new(nil, dirs)):decide("exec", REQUEST)
    assert.is_nil(decision)
    assert.equal("POLICY", err.code)
    assert.matches("exec.lua:1: ", err.message)
    assert.is_true(assert(policies.new(nil, { wrap, wrap, wrap })):decide("exec", REQUEST).allow)
  end)

  it("has each answer and error to itself, whatever the host collects meanwhile", function()
    local _ <close> = without_haste()
    local set = policies.with("provision", "return function(request)\n  local commands = {}\n"
      .. "  for i = 1, 300 do commands[i] = request.image .. i .. ('x'):rep(60) end\n"
      .. "  if request.image == 'bad' then error(commands[300]) end\n  return {"
      .. " run = request.image == 'yes', commands = commands, timeout = 5, cache = false }\nend")
    local function decide(image) return set:decide("provision", { image = image }) end
    local function leave_something()
      setmetatable({}, { __gc = function() decide "yes" decide "bad" decide "yes" end })
    end
    for _ = 1, 50 do
      for _ = 1, 3 do leave_something() end
      local decision = assert(decide "no")
      assert.is_false(decision.run)
      assert.matches("^no300x+$", decision.commands[300])
      for _ = 1, 3 do leave_something() end
      local _, err = decide "bad"
      assert.matches("provision.lua:4: .*bad300x+$", err.message)
    end
    collectgarbage()
  end)

  it("says at which depth what is no data is, however deep", function()
    for depth = 1, 16 do
      local nest = (" for i = 1, %d do t = { ['k' .. i] = t } end "):format(depth)
      local err = failing("local t = pairs" .. nest .. "return t")
      assert.matches('a function at the key "k1"', err.message)
      err = failing("local t = pairs" .. nest .. "return default(t)")
      assert.matches('a function at the key "k1"', err.message)
    end
  end)

  it("has nothing that runs when a value is collected, or goes out of scope", function()
    failing "local x <close> = kept return x"
    failing "local x <close> = { __close = function() end, __gc = function() end } return x"
    local collected = false
    local request = setmetatable({ argv = { "true" }, kind = "exec" }, {
      __gc = function() collected = true end, __index = function() error "asked" end,
    })
    local set = policies.with("exec", "return function(r) return { allow = r.nothing == nil } end")
    assert.is_true(set:decide("exec", request).allow)
    assert.is_false(collected)
  end)

  it("is told apart from another: a set's files do not see another set's", function()
    local text = "local n = 0\nreturn function() n = n + 1\n"
      .. "return { allow = false, reason = tostring(n) } end"
    local a, b = policies.with("exec", text), policies.with("exec", text)
    assert.equal("1", a:decide("exec", REQUEST).reason)
    assert.equal("2", a:decide("exec", REQUEST).reason)
    assert.equal("1", b:decide("exec", REQUEST).reason)
  end)
end)

describe("a function of the host's beneath a binding file", function()
  policies.housekeeping(_ENV)

  local function bound(fn)
    local binding = policies.dir { exec = "return function(r, default)\n"
      .. "  local d = default(r)\n  if r.argv[1] == 'loop' then while true do end end\n"
      .. "  return d\nend" }
    return assert(policy.new({ exec = fn }, { dirs = {}, binding = binding }))
  end

  it("may have something else decided meanwhile, by the same set", function()
    local set, inner
    set = bound(function(request, default)
      if request.argv[1] == "outer" then
        inner = select(2, set:decide("exec", { argv = { "loop" }, kind = "exec" }))
      end
      return default(request)
    end)
    local decision, err = set:decide("exec", { argv = { "outer" }, kind = "exec" })
    assert(decision, tostring(err))
    assert.is_true(decision.allow)
    assert.matches("exec.lua:3: used up its budget", inner.message)
  end)

  it("may catch the error of the next, and ask again", function()
    local below = policies.dir { exec = "return function(r)\n  if r.argv[1] == 'bad' then\n"
      .. "    error 'bad'\n  end\n  return { allow = true }\nend" }
    local binding = policies.dir { exec = "return function(r, default) return default(r) end" }
    local caught
    local set = assert(policy.new({ exec = function(_, default)
      caught = select(2, pcall(default, { argv = { "bad" }, kind = "exec" }))
      return default()
    end }, { dirs = { below }, binding = binding }))
    assert.is_true(assert(set:decide("exec", REQUEST)).allow)
    assert.matches("exec.lua:3: bad", caught.message)
  end)

  it("cannot yield, and says so", function()
    local set = bound(function() coroutine.yield() end)
    local co = coroutine.wrap(function() return set:decide("exec", REQUEST) end)
    local decision, err = co()
    assert.is_nil(decision)
    assert.matches("yield", err.message)
  end)
end)

describe("a function of the host's that is asked first", function()
  policies.housekeeping(_ENV)

  it("may yield, and others are decided meanwhile", function()
    local set = policies.new { exec = function(request, default)
      if request.argv[1] == "wait" then coroutine.yield() end
      return default(request)
    end }
    local co = coroutine.wrap(function()
      return set:decide("exec", { argv = { "wait" }, kind = "exec", timeout = 7 })
    end)
    co()
    assert.equal(600, set:decide("exec", REQUEST).timeout)
    assert.equal(7, co().timeout)
  end)
end)
