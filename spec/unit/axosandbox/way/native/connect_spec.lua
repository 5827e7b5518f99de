-- How the native path comes about; the link is played.
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local native = require "axosandbox.way.native"
local unit = require "spec.support.unit"

describe("the native path", function()
  local real_link, link = core.link, nil
  before_each(function()
    link = { attached = 0, closed = false }
    function link.close() link.closed = true end
    function link.list(_, done)
      await.defer(function()
        done(nil, {
          { name = "t1", kind = "task", argv = {}, started = 1, running = true,
            rows = 0, cols = 0 },
          { name = "t2", kind = "task", argv = {}, started = 2, running = true,
            rows = 0, cols = 0 },
        })
      end)
      return true
    end
    function link:attach(_, callbacks)
      self.attached = self.attached + 1
      await.defer(function() callbacks.on_started(link.problem) end)
      return { hold = function() end }
    end
    core.link = function(options)
      await.defer(function()
        if link.refused then options.on_down(link.refused) else options.on_up() end
      end)
      return link
    end
  end)
  after_each(function() core.link = real_link end)

  local function connect()
    local outcome
    await.spawn(function()
      return native.connect {
        container = "axo-ses-x", client = {}, dir = "/", link_dir = "/", pid = 1,
      }
    end, function(err, path) outcome = { err = err, path = path } end)
    unit.wait(function() return outcome end)
    return outcome.path, outcome.err
  end

  it("takes up all that runs already", function()
    local path = assert(connect())
    assert.equal(2, link.attached)
    assert.equal(2, #path:list "task")
  end)

  it("does not miss what was forgotten meanwhile", function()
    link.problem = { code = "ESRCH", stage = core.stage.WORK, message = "it: no such task" }
    assert(connect())
    assert.equal(2, link.attached)
  end)

  it("is not waited for task by task when its guest falls silent", function()
    link.problem = { code = "ETIMEDOUT", message = "it: the guest does not answer" }
    local path, err = connect()
    assert.is_nil(path)
    assert.equal("TIMEOUT", err.code)
    assert.equal(1, link.attached)
    assert.is_true(link.closed)
  end)

  it("says why the guest could not be let in, at once", function()
    link.refused = errors.new { code = "EMFILE", op = "link", message = "too many open files" }
    local path, err = connect()
    assert.is_nil(path)
    assert.equal("EMFILE", err.code)
    assert.is_true(link.closed)
  end)
end)
