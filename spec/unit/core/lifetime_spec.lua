-- Who keeps what alive: work in flight, callbacks that raise, the end of a Lua state.
local core = require "axosandbox.core"
local proc = require "spec.support.proc"
local uv = require "luv"
local unit = require "spec.support.unit"

local function nop() end

describe("work in flight", function()
  it("is not collected, nor are its callbacks", function()
    local result
    local output = ""
    assert(core.spawn({ "sh", "-c", "read x; echo $x" }, {
      input = "later\n", on_stdout = function(bytes) output = output .. bytes end,
    }, function(r) result = r end))
    assert(core.pty({ "true" }, nil, nop))
    unit.collect()
    unit.wait(function()
      unit.collect()
      return result
    end)
    assert.equal("later\n", output)
    uv.run()
  end)

  it("lets go of everything when it ends", function()
    local weak = setmetatable({}, { __mode = "k" })
    local function round(start, argv)
      local marker = {}
      weak[marker] = true
      local done
      local work = assert(start(argv, { on_output = function() return marker end },
        function() done = marker end))
      weak[work] = true
      unit.wait(function() return done end)
    end
    for _ = 1, 3 do
      round(core.spawn, { "echo", "x" })
      round(core.pty, { "echo", "x" })
    end
    uv.run()
    unit.collect()
    assert.is_nil(next(weak))
  end)

  it("lets go of everything when it is closed", function()
    local weak = setmetatable({}, { __mode = "k" })
    local function round(start)
      local marker = {}
      weak[marker] = true
      local work = assert(start({ "sleep", "100" }, { on_output = function() return marker end },
        nop))
      weak[work] = true
      work:close()
    end
    round(core.spawn)
    round(core.pty)
    uv.run()
    unit.collect()
    assert.is_nil(next(weak))
  end)

  it("survives a thousand starts and closes", function()
    local registry = debug.getregistry()
    local function count()
      local n = 0
      for _ in pairs(registry) do n = n + 1 end
      return n
    end
    unit.collect()
    local before = count()
    local ended = 0
    for i = 1, 1000 do
      local work
      if i % 4 == 0 then
        work = assert(core.pty({ "true" }, nil, function() ended = ended + 1 end))
      else
        work = assert(core.spawn({ "true" }, nil, function() ended = ended + 1 end))
      end
      if i % 2 == 0 then work:close() end
      if i % 20 == 0 then uv.run() end
    end
    uv.run()
    unit.collect()
    assert.equal(500, ended)
    assert.equal(before, count())
  end)

  it("does not leave descriptors behind", function()
    local function count()
      local n = 0
      local scan = assert(uv.fs_scandir "/proc/self/fd")
      while uv.fs_scandir_next(scan) do n = n + 1 end
      return n
    end
    assert(unit.run { "true" })
    uv.run()
    unit.collect()
    local before = count()
    for _ = 1, 20 do
      assert(core.spawn({ "cat" }, { stdin = "pipe" }, nop)):close()
      assert(core.pty({ "cat" }, nil, nop)):close()
      assert.is_nil((core.spawn({ "/no/such/program" }, { stdin = "x" }, nop)))
      assert.is_nil((core.pty({ "/no/such/program" }, nil, nop)))
    end
    uv.run()
    unit.collect()
    assert.equal(before, count())
  end)
end)

describe("a callback that raises", function()
  local function raise() error "from the callback" end

  it("is reported with its traceback, whichever it is", function()
    for _, name in ipairs { "on_output", "on_stdout", "on_stderr", "on_drain", "on_deadline" } do
      local result
      local messages = unit.uncaught(function()
        local p = assert(core.spawn({ "sh", "-c", "echo x; echo y >&2; cat" }, {
          stdin = "pipe", timeout = 0.2, [name] = raise,
        }, function(r) result = r end))
        p:write "z"
        unit.wait(function() return result end)
      end)
      assert.is_true(#messages >= 1, name)
      assert.matches("from the callback\nstack traceback:", messages[1])
    end
  end)

  it("is reported when it is the last one", function()
    local messages = unit.uncaught(function()
      assert(core.spawn({ "true" }, nil, raise))
      assert(core.pty({ "echo", "x" }, { on_output = raise }, raise))
      uv.run()
    end)
    assert.is_true(#messages >= 3)
  end)

  it("may raise an error object, or anything", function()
    local raised = { core.error { code = "X", op = "o", message = "m" }, false, {}, 12 }
    for i = 1, #raised do
      local messages = unit.uncaught(function()
        assert(core.spawn({ "true" }, nil, function() error(raised[i]) end))
        uv.run()
      end)
      assert.equal(1, #messages)
      assert.equal("string", type(messages[1]))
    end
  end)

  it("has the last word in a warning when the report raises too", function()
    local r = unit.lua [[
      local core = require "axosandbox.core"
      core.set_uncaught(function() error "the report" end)
      core.spawn({ "true" }, nil, function() error "the callback" end)
      require "luv".run()
      core.set_uncaught(nil)
      core.spawn({ "true" }, nil, function() error "nobody listens" end)
      require "luv".run()
    ]]
    assert.equal(0, r.code)
    for _, text in ipairs { "the callback", "the report", "nobody listens" } do
      assert.is_truthy(r.stderr:find(text, 1, true), text)
    end
    assert.has_error(function() core.set_uncaught(1) end)
  end)

  it("can be called while a coroutine runs the loop", function()
    local code
    local co = coroutine.create(function()
      assert(core.spawn({ "sh", "-c", "exit 5" }, nil, function(r)
        code = r.code
        assert(not coroutine.isyieldable())
      end))
      uv.run()
    end)
    assert(coroutine.resume(co))
    assert.equal(5, code)
  end)

  it("outlives the coroutine that started its work", function()
    local result
    do
      local co = coroutine.create(function()
        assert(core.spawn({ "echo", "x" }, nil, function(r) result = r end))
      end)
      assert(coroutine.resume(co))
    end
    unit.collect()
    unit.wait(function() return result end)
    assert.equal("x\n", result.stdout)
  end)
end)

describe("the end of a Lua state", function()
  -- Each child sleeps in a process group of its own, and its pid is printed.
  local START = [[
    local core = require "axosandbox.core"
    local uv = require "luv"
    local function never() io.stderr:write "a callback after the end\n" end
    local ring = core.ring()
    local works = {
      assert(core.spawn({ "sleep", "1000" }, { stdin = "pipe", ring = ring }, never)),
      assert(core.spawn({ "sh", "-c", "cat; sleep 1000" }, { stdin = ("x"):rep(1 << 20),
        timeout = 1000, on_drain = function() end, on_output = function() end }, never)),
      assert(core.pty({ "sleep", "1000" }, { ring = ring, on_output = function() end }, never)),
      assert(core.pty({ "cat" }, nil, never)),
    }
    for _, work in ipairs(works) do print(work:pid()) end
    io.stdout:flush()
  ]]

  local function ends(code, expected)
    local r = unit.lua(START .. code)
    assert.equal("", r.stderr)
    assert.equal(expected or 0, r.code)
    local count = 0
    for pid in r.stdout:gmatch "%d+" do
      count = count + 1
      unit.wait_for_death(tonumber(pid))
    end
    assert.equal(4, count)
  end

  it("ends what runs: off the end", function() ends "" end)

  it("ends what runs: off the end, unreferenced", function()
    ends "works = nil; ring = nil; collectgarbage()"
  end)

  it("ends what runs: after some turns of the loop", function()
    ends "for _ = 1, 5 do uv.run 'nowait' end"
  end)

  it("ends what runs: os.exit that closes the state", function() ends("os.exit(3, true)", 3) end)

  it("ends what runs: os.exit in a coroutine", function()
    ends("coroutine.wrap(function() os.exit(4, true) end)()", 4)
  end)

  it("ends what runs: os.exit in a callback of the loop", function()
    ends("core.spawn({ 'true' }, nil, function() os.exit(5, true) end); uv.run()", 5)
  end)

  it("ends what runs: os.exit while output arrives", function()
    ends("core.spawn({ 'yes' }, { on_output = function() os.exit(6, true) end }, never); uv.run()",
      6)
    ends("core.pty({ 'yes' }, { on_output = function() os.exit(7, true) end }, never); uv.run()",
      7)
  end)

  it("ends what runs: an error in the script", function()
    local r = unit.lua(START .. "error 'enough'")
    assert.equal(1, r.code)
    assert.is_nil(r.stderr:find "after the end")
  end)

  it("ends what a finaliser starts, or refuses to start it", function()
    ends [[
      setmetatable({}, { __gc = function()
        local ok, work = pcall(core.spawn, { "sleep", "1000" }, nil, never)
        if ok and work then keep = work end
      end })
    ]]
    local r = unit.lua [[
      -- Made before the module: finalised after it.
      local core
      keep = setmetatable({}, { __gc = function()
        local ok, err = pcall(core.spawn, { "sleep", "1000" }, nil, print)
        io.stdout:write(tostring(ok), " ", tostring(err))
      end })
      core = require "axosandbox.core"
    ]]
    assert.equal("", r.stderr)
    assert.matches("^false .*while the Lua state closes", r.stdout)
  end)

  it("survives luv's handles that are closing", function()
    for _, code in ipairs {
      "local t = uv.new_timer() t:close()",
      "for i = 1, 10 do local t = uv.new_timer() t:start(0, 0, function() t:close() end) end "
        .. "uv.run 'once'",
      "local p = uv.new_pipe(false) p:close(function() io.write 'closed' end)",
      "local t = uv.new_timer() t:start(0, 0, function() t:close() os.exit(0, true) end) uv.run()",
      "for i = 1, 10 do uv.new_timer():close() end os.exit(0, true)",
      "uv.new_timer():close() uv.run() collectgarbage() uv.new_timer():close()",
    } do
      -- What luv's old versions leave behind then is no concern of a leak checker.
      local r = assert(unit.run({ unit.interpreter(), "-W", "-e", unit.paths()
        .. "require 'axosandbox.core' local uv = require 'luv' " .. code },
        { env = proc.interpreter_environment { ASAN_OPTIONS = "detect_leaks=0" } }))
      assert.equal("", r.stderr, code)
      assert.equal(0, r.code, code)
    end
  end)

  it("closes a ring and its writer in any order", function()
    local r = unit.lua [[
      local core = require "axosandbox.core"
      local ring = core.ring()
      core.spawn({ "yes" }, { ring = ring }, print)
      for _ = 1, 3 do require "luv".run "once" end
      ring:close()
      for _ = 1, 3 do require "luv".run "once" end
    ]]
    assert.equal("", r.stderr)
    assert.equal(0, r.code)
  end)
end)
