local uv = require "luv"
local presence = require "axosandbox.host.presence"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"
local unit = require "spec.support.unit"

describe("presence", function()
  local mark, path
  setup(function() mark = janitor.mark() end)
  teardown(function() janitor.sweep(mark) end)
  before_each(function() path = temp.dir() .. "/sock" end)

  it("ends when it is taken back, once for each watcher", function()
    local beacon = assert(presence.announce(path))
    local calls = {}
    for i = 1, 2 do presence.watch(path, function() calls[#calls + 1] = i end) end
    proc.turn(3)
    assert.same({}, calls)
    beacon:close()
    beacon:close()
    unit.wait(function() return #calls == 2 end)
    uv.run()
    assert.equal(2, #calls)
    assert.is_nil((uv.fs_stat(path)))
  end)

  it("ends when its process is killed", function()
    local child = proc.start({ unit.interpreter(), "-e", unit.paths() .. ([[
      local beacon = require("axosandbox.host.presence").announce(%q)
      print(beacon and "ready")
      io.stdout:flush()
      local uv = require "luv"
      uv.new_timer():start(1e9, 0, function() end)
      uv.run()
    ]]):format(path) }, { env = proc.interpreter_environment() })
    child:wait_for "ready"
    local over
    presence.watch(path, function() over = true end)
    proc.turn(3)
    assert.is_nil(over)
    child:kill "sigkill"
    unit.wait(function() return over end)
    child:wait()
  end)

  it("is over at once where nobody is", function()
    local over
    presence.watch(path, function() over = true end)
    unit.wait(function() return over end)
  end)

  it("is not heard of after it is forgotten", function()
    local beacon = assert(presence.announce(path))
    local forget = presence.watch(path, function() error "called" end)
    proc.turn(3)
    forget()
    beacon:close()
    uv.run()
  end)

  it("keeps no loop alive by being announced", function()
    local beacon = assert(presence.announce(path))
    assert.is_false((uv.run()))
    beacon:close()
    uv.run()
  end)

  it("is none where the path is too long for a socket", function()
    assert.is_nil(presence.announce(path .. ("x"):rep(100)))
    presence.watch(path .. ("x"):rep(100), function() error "called" end)
    uv.run()
  end)
end)
