local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local faults = require "axosandbox.way.native.faults"

describe("a fault of the native path", function()
  local path = {
    is_open = true, container = "axo-ses-x",
    gone = function() return errors.new { code = "GONE", op = "exec", message = "gone" } end,
    stopped_error = function(_, op)
      return errors.new { code = "STOPPED", op = op, message = "stopped" }
    end,
  }

  local function of(code, stage)
    return faults.of(
      { code = code, stage = stage, op = "link", message = "it: words" }, path, "kill_all")
  end

  it("says that the guest does not answer, and what may be the reason", function()
    local err = of "ETIMEDOUT"
    assert.equal("TIMEOUT", err.code)
    assert.equal("kill_all", err.op)
    assert.equal("the guest of axo-ses-x does not answer", err.message)
    assert.matches("podman unpause axo%-ses%-x", err.hint)
  end)

  it("tells that from what the guest says of a file and of what it kills", function()
    assert.equal("ETIMEDOUT", of("ETIMEDOUT", core.stage.FILE).code)
    local err = of("ETIMEDOUT", core.stage.WORK)
    assert.equal("KILL", err.code)
    assert.matches("stop the session", err.hint)
    assert.equal("NOT_FOUND", of("ESRCH", core.stage.WORK).code)
  end)

  it("tells too much in flight from a host without descriptors", function()
    assert.equal("LIMIT", of("ENOBUFS").code)
    assert.equal("EMFILE", of("EMFILE").code)
  end)

  it("tells a container without processes from one without descriptors", function()
    assert.equal("NO_PROCESS", of("EAGAIN", core.stage.FORK).code)
    assert.equal("LIMIT", of("EMFILE", core.stage.FORK).code)
    assert.equal("LIMIT", of("ETOOMANYREFS", core.stage.FORK).code)
  end)

  it("knows a link that is down, and a session that is over", function()
    assert.equal("GONE", of("ECONNRESET").code)
    assert.equal("GONE", of("ENOTCONN").code)
    assert.equal("STOPPED", faults.of({ code = "ETIMEDOUT", message = "" },
      setmetatable({ is_open = false }, { __index = path }), "exec").code)
  end)
end)
