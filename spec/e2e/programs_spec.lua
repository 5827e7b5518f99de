-- @runs native-root
-- The programs of scripts/examples do what they say.
local e2e = require "spec.support.e2e"
local documented = require "spec.support.documented"
local net = require "spec.support.net"
local proc = require "spec.support.proc"
local cli = require "spec.support.cli"

local DIR = cli.scripts() .. "/examples/"

describe("an example", function()
  e2e.housekeeping {
    setup = setup, before_each = before_each, after_each = after_each, teardown = teardown,
  }

  local place
  setup(function()
    e2e.start():stop()
    place = documented.place {}
  end)

  local function run(name, arguments, stdin)
    return proc.run({ cli.axolua(), DIR .. name, table.unpack(arguments) },
      { env = place.env, cwd = "/", stdin = stdin })
  end

  it("runs a command and exits as it did", function()
    local result = run("run.lua", { place.dir, "sh", "-c", "cat hello.lua; exit 3" })
    assert.equal("print 'hello'\n", result.stdout)
    assert.equal(3, result.code, result.stderr)
    assert.matches("exited %(3%) after", result.stderr)
  end)

  it("works in several boxes at once", function()
    local other = e2e.temp.dir "other"
    e2e.temp.write(other .. "/text", "1\n2\n3\n")
    local result = run("many.lua", { place.dir, other })
    assert.equal(0, result.code, result.stderr)
    assert.equal(("%s\t1\n%s\t3\n"):format(place.dir, other), result.stdout)
  end)

  it("serves a directory until its stdin ends", function()
    local port = net.free_port()
    e2e.temp.write(place.dir .. "/page", "a page\n")
    local program = proc.start({ cli.axolua(), DIR .. "server.lua", place.dir, tostring(port) },
      { env = place.env, cwd = "/", stdin = true })
    program:wait_for("http://127.0.0.1:" .. port)
    e2e.eventually(function()
      local page = ("http://127.0.0.1:%d/page"):format(port)
      local got = proc.run { "/bin/sh", "-c", 'busybox wget -q -O - "$1"', "sh", page }
      return got.stdout == "a page\n"
    end)
    program:close_stdin()
    local result = program:wait()
    assert.equal(0, result.code, result.stderr)
    assert.matches("stdin ended", result.stdout)
  end)

  it("answers an agent's requests", function()
    local result = run("tools.lua", { place.dir }, table.concat({
      '{"tool":"bash","command":"echo $((6 * 7)); exit 1"}',
      '{"tool":"edit","path":"hello.lua","old":"hello","new":"bye"}',
      '{"tool":"read","path":"hello.lua"}',
      '{"tool":"read","path":"/etc/passwd"}',
    }, "\n") .. "\n")
    assert.equal(0, result.code, result.stderr)
    local lines = {}
    for line in result.stdout:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal('{"code":1,"output":"42\\n"}', lines[1])
    assert.equal('{"replaced":1}', lines[2])
    assert.equal("{\"text\":\"print 'bye'\\n\"}", lines[3])
    assert.matches('"code":"OUTSIDE"', lines[4])
  end)

  it("has rules of its own", function()
    local result = run("rules.lua", { place.dir })
    assert.equal(0, result.code, result.stderr)
    assert.matches("^allowed\n", result.stdout)
    assert.matches("log:\tgit push\n", result.stdout)
    assert.matches("DENIED\t.*people push here, not programs", result.stdout)
  end)
end)
