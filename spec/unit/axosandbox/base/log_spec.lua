-- Without a logger, in a plain Lua program, what somebody should know goes to stderr.
local proc = require "spec.support.proc"
local unit = require "spec.support.unit"

local function stderr_of(code)
  local result = proc.run({ unit.interpreter(), "-e", code },
    { env = proc.interpreter_environment {} })
  assert.equal("", result.stdout)
  return result.stderr
end

describe("the library's messages", function()
  it("are on stderr by default, when they are warnings or errors", function()
    local seen = stderr_of [[
      local log = require "axosandbox.base.log"
      log.emit("warn", "low on \27[31mcoffee")
      log.emit("error", "all\nlost")
      log.emit("info", "unseen")
      log.emit("debug", "unseen")]]
    assert.equal("axosandbox: warn: low on \\x1b[31mcoffee\naxosandbox: error: all\nlost\n", seen)
  end)

  it("tell of an error in a callback", function()
    local seen = stderr_of [[
      local uv, axo = require "luv", require "axosandbox"
      require("axosandbox.base.await").after(0, function() error "in my callback" end)
      uv.run()]]
    assert.matches("axosandbox: error: uncaught error in a callback: .*in my callback", seen)
    assert.matches("stack traceback", seen)
  end)

  it("go to the logger that is set, and to nobody else", function()
    assert.equal("", stderr_of [[
      local axo, log = require "axosandbox", require "axosandbox.base.log"
      axo.set_logger(function() end)
      log.emit("error", "unseen")]])
    assert.matches("error: the logger raised: .*mine", stderr_of [[
      local axo, log = require "axosandbox", require "axosandbox.base.log"
      axo.set_logger(function() error "mine" end)
      log.emit("info", "x")]])
    assert.matches("warn: again", stderr_of [[
      local axo, log = require "axosandbox", require "axosandbox.base.log"
      axo.set_logger(function() end)
      axo.set_logger(nil)
      log.emit("warn", "again")]])
  end)
end)
