local core = require "axosandbox.core"
local uv = require "luv"
local unit = require "spec.support.unit"

-- A loop that nothing keeps running does not look at its descriptors.
local function turn()
  local timer = uv.new_timer()
  timer:start(0, 0, function() timer:close() end)
  uv.run()
end

describe("core.hangup", function()
  local reader, writer, watch
  before_each(function()
    local ends = uv.pipe()
    reader, writer = ends.read, ends.write
  end)
  after_each(function()
    if watch then watch:close() end
    if reader then uv.fs_close(reader) end
    uv.fs_close(writer)
    uv.run()
  end)

  local function leave()
    uv.fs_close(reader)
    reader = nil
  end

  it("tells once that the last reader has gone, however much was written before", function()
    local told = 0
    watch = assert(core.hangup(writer, function() told = told + 1 end))
    uv.fs_write(writer, "unread")
    turn()
    assert.equal(0, told)
    assert.matches("watching", tostring(watch))
    leave()
    turn()
    turn()
    assert.equal(1, told)
    assert.matches("over", tostring(watch))
    watch:close()
  end)

  it("tells of a reader that went before", function()
    local told
    leave()
    watch = assert(core.hangup(writer, function() told = true end))
    turn()
    assert.is_true(told)
  end)

  it("does not keep the loop running", function()
    watch = assert(core.hangup(writer, function() end))
    uv.run()
    watch:close()
  end)

  it("tells nothing once it is closed", function()
    watch = assert(core.hangup(writer, function() error "closed" end))
    watch:close()
    watch:close()
    leave()
    assert.same({}, unit.uncaught(turn))
  end)

  it("may be closed in its callback, which may raise", function()
    watch = assert(core.hangup(writer, function()
      watch:close()
      error "on purpose"
    end))
    leave()
    local messages = unit.uncaught(turn)
    assert.matches("on purpose", messages[1])
  end)

  it("is not collected while it watches, and lets go of its callback at the end", function()
    local weak, told = setmetatable({}, { __mode = "k" }), nil
    do
      local marker = {}
      weak[marker] = true
      assert(core.hangup(writer, function() told = marker ~= nil end))
    end
    unit.collect()
    assert.truthy(next(weak))
    leave()
    turn()
    assert.is_true(told)
    unit.collect()
    assert.is_nil(next(weak))
  end)

  it("fails for a file, and raises on misuse", function()
    local name = unit.temporary_name()
    local file = assert(uv.fs_open(name, "w", 384))
    local none, err = core.hangup(file, function() end)
    assert.is_nil(none)
    assert.equal("EPERM", err.code)
    uv.fs_close(file)
    os.remove(name)
    assert.has_error(function() core.hangup(-1, function() end) end)
    assert.has_error(function() core.hangup(writer) end)
  end)
end)
