local support = require "spec.support.cli"

-- Runs Lua code in axolua, with the commands' libraries, inside a shell pipeline.
local function run(code, pipeline)
  code = ([[
    local scripts = os.getenv "SCRIPTS"
    package.path = ("%s/?.lua;%s/?/init.lua;"):format(scripts, scripts) .. package.path
    local uv = require "luv"
    local output = require "axolua.view.output"
    local input = require "axolua.view.input"
    require("axolua.cli.signals").ignore_broken_pipes()
  ]]) .. code
  return support.shell("run() { \"$AXOLUA\" -e \"$CODE\" \"$@\"; }; CODE=$1; " .. pipeline, code)
end

describe("output", function()
  it("is byte-exact and complete, however slow its reader", function()
    local result = run([[
      local out = output.open(1)
      local block = {}
      for i = 0, 255 do block[#block + 1] = string.char(i) end
      block = table.concat(block):rep(256)
      for _ = 1, 64 do out:write(block) end
      out:flush()
    ]], "run | { sleep 0.2; cat; }")
    local block = {}
    for i = 0, 255 do block[#block + 1] = string.char(i) end
    assert.equal("", result.stderr)
    assert(result.stdout == table.concat(block):rep(256 * 64), "the bytes came out changed")
  end)

  it("to a reader that goes away is an error of the write, and nothing worse", function()
    local result = run([[
      local out = output.open(1)
      local broken
      out.on_broken = function(code) broken = code end
      local n = 0
      while out:write(("x"):rep(65536)) and n < 1000 do n = n + 1; out:flush() end
      io.stderr:write(broken, " ", n < 1000 and "early" or "late")
      out:flush()
      return 7
    ]], "{ run; echo \" $?\" >&2; } | head -c 10 >/dev/null")
    assert.equal("EPIPE early 7\n", result.stderr)
  end)

  it("holds its writer back instead of filling the memory", function()
    local result = run([[
      local out = output.open(1)
      local block, most = ("x"):rep(65536), 0
      for _ = 1, 1024 do
        out:write(block)
        most = math.max(most, out.queued)
      end
      out:flush()
      io.stderr:write(most < 8 * 1024 * 1024 and "bounded" or most)
    ]], "run | { sleep 0.5; wc -c; }")
    assert.equal("bounded", result.stderr)
    assert.equal(tostring(64 * 1024 * 1024), result.stdout:match "%d+")
  end)

  it("goes to a file, and to where nothing is kept", function()
    local result = run([[output.print(1, ("y"):rep(3000000))]],
      'f=$(mktemp); run > "$f"; wc -c < "$f"; rm "$f"; run > /dev/null; echo $?')
    assert.equal("3000000\n0\n", result.stdout)
  end)

  it("leaves a shared pipe blocking for the others", function()
    local result = run([[output.print(1, "first ")]],
      [[{ run; head -c 1000000 /dev/zero | tr '\0' z; } | { sleep 0.3; wc -c; }]])
    assert.equal("1000006", result.stdout:match "%d+")
    assert.equal("", result.stderr)
  end)
end)

local FORWARD = [[
  local await = require "axosandbox.base.await"
  local got, closed = {}, false
  input.forward(0, function(bytes)
    got[#got + 1] = bytes
    return 0
  end, function() return 0 end, function() closed = true end)
  while not closed do await.sleep(0.005) end
  output.print(1, table.concat(got))
]]

describe("stdin", function()
  it("is forwarded whole from a pipe, a file and a descriptor that is at its end", function()
    local result = run(FORWARD, [[
      head -c 3000000 /dev/zero | run | wc -c
      f=$(mktemp); head -c 2000001 /dev/zero > "$f"; run < "$f" | wc -c
      { dd bs=1 count=1 of=/dev/null 2>/dev/null; run | wc -c; } < "$f"; rm "$f"
      run < /dev/null | wc -c
    ]])
    local sizes = {}
    for n in result.stdout:gmatch "%d+" do sizes[#sizes + 1] = tonumber(n) end
    assert.same({ 3000000, 2000001, 2000000, 0 }, sizes)
    assert.equal("", result.stderr)
  end)

  it("waits while its receiver is full", function()
    local result = run([[
      local await = require "axosandbox.base.await"
      local held, most, total, closed = 0, 0, 0, false
      input.forward(0, function(bytes)
        held, total = held + #bytes, total + #bytes
        most = math.max(most, held)
        return held
      end, function() return held end, function() closed = true end)
      while not closed do
        await.sleep(0.005)
        held = math.max(0, held - 1000000)
      end
      output.print(1, total .. (most < 1024 * 1024 + 65536 + 1 and " bounded" or " " .. most))
    ]], "head -c 20000000 /dev/zero | run")
    assert.equal("20000000 bounded", result.stdout)
  end)
end)
