local core = require "axosandbox.core"
local unit = require "spec.support.unit"

local function run(argv, options)
  local result
  local output = {}
  options = options or {}
  options.on_output = options.on_output or function(bytes) output[#output + 1] = bytes end
  local pty, err = core.pty(argv, options, function(r) result = r end)
  if not pty then return nil, err end
  unit.wait(function() return result end)
  return result, table.concat(output), pty
end

describe("core.pty", function()
  it("gives a terminal of the size asked for, and the exit code", function()
    local r, output = run({ "sh", "-c", "stty size; tty >/dev/null && exit 4" },
      { rows = 12, cols = 34 })
    assert.same({ code = 4 }, r)
    assert.equal("12 34\r\n", output)
  end)

  it("loses nothing at the end", function()
    local r, output = run { "seq", "20000" }
    assert.equal(0, r.code)
    assert.equal("20000\r\n", output:sub(-7))
    assert.equal(108894 + 20000, #output)
  end)

  it("names the signal that ended it", function()
    assert.same({ signal = "KILL" }, (run { "sh", "-c", "kill -KILL $$" }))
  end)

  it("is typed into, resized and signalled", function()
    local result, pty
    local output = ""
    pty = assert(core.pty({ "sh", "-c", "echo ready; read line; stty size; read more" }, {
      on_output = function(bytes)
        local before = output
        output = output .. bytes
        if not before:find "ready" and output:find "ready" then
          assert(pty:resize(50, 100))
          assert(pty:write "go\n")
        elseif output:find "50 100" and not before:find "50 100" then
          assert(pty:signal "KILL")
        end
      end,
    }, function(r) result = r end))
    assert.is_true(pty:pid() > 0)
    assert.matches("running", tostring(pty))
    unit.wait(function() return result end)
    assert.equal("KILL", result.signal)
    for code, answer in pairs {
      EPIPE = table.pack(pty:write "x"),
      ESRCH = table.pack(pty:signal "INT"),
    } do
      assert.is_nil(answer[1])
      assert.equal(code, answer[2].code)
    end
    assert.equal("ESRCH", select(2, pty:resize(1, 1)).code)
    assert.matches("ended", tostring(pty))
  end)

  it("writes into a ring", function()
    local ring <close> = assert(core.ring(4096))
    local calls = 0
    local r = run({ "echo", "scrollback" }, {
      ring = ring,
      on_output = function(...)
        assert.equal(1, select("#", ...))
        assert.is_nil((...))
        calls = calls + 1
      end,
    })
    assert.equal(0, r.code)
    assert.equal("scrollback\r\n", (ring:read(0)))
    assert.is_true(calls > 0)
  end)

  it("gives environment and directory", function()
    local _, output = run({ "sh", "-c", "echo $AXO_X $(pwd)" },
      { env = { "AXO_X=1", "PATH=" .. os.getenv "PATH" }, cwd = "/" })
    assert.equal("1 /\r\n", output)
  end)

  it("returns a failure to start", function()
    local pty, err = core.pty({ "/no/such/program" }, nil, function() end)
    assert.is_nil(pty)
    assert.equal("ENOENT", err.code)
  end)

  it("ends the child when closed, also within its callbacks", function()
    local pty = assert(core.pty({ "sleep", "100" }, nil, function() error "never" end))
    pty:close()
    pty:close()
    local inner
    inner = assert(core.pty({ "sh", "-c", "echo x; sleep 100" }, {
      on_output = function()
        inner:close()
        unit.collect()
      end,
    }, function() error "never" end))
    assert.same({}, unit.uncaught(function() require("luv").run() end))
    unit.wait_for_death(pty:pid())
    unit.wait_for_death(inner:pid())
  end)

  it("is raw from the start when asked to: nothing is echoed or translated", function()
    local output = {}
    local ended
    local pty = assert(core.pty({ "sh", "-c", "head -c 4; printf 'end\n'" }, {
      raw = true, on_output = function(bytes) output[#output + 1] = bytes end,
    }, function() ended = true end))
    pty:write "a\r\3\n"
    unit.wait(function() return ended end)
    assert.equal("a\r\3\nend\n", table.concat(output))
  end)

  it("raises on misuse", function()
    local function nop() end
    assert.has_error(function() core.pty({ "ls" }, { timeout = 1 }, nop) end,
      "pty: unknown key 'timeout' (known: env, cwd, rows, cols, raw, ring, on_output)")
    assert.has_error(function() core.pty({ "ls" }, {}) end)
    local _, _, pty = run { "true" }
    assert.has_error(function() pty:resize(0, 10) end)
    assert.has_error(function() pty:resize(10, 70000) end)
    local none, err = core.pty({ "ls" }, { rows = -1 }, nop)
    assert.is_nil(none)
    assert.equal("EINVAL", err.code)
  end)
end)
