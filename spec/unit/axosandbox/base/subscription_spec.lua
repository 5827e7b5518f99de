local uv = require "luv"
local core = require "axosandbox.core"
local log = require "axosandbox.base.log"
local subscription = require "axosandbox.base.subscription"

describe("a subscription", function()
  local messages
  before_each(function()
    messages = {}
    log.set_logger(function(_, message) messages[#messages + 1] = message end)
  end)
  after_each(function() log.set_logger(nil) end)

  -- A source as a path has it: a ring, and whoever listens for more.
  local function new_source(capacity)
    local source = { ring = core.ring(capacity or 4096), listeners = {} }
    function source:on_data(fn)
      local token = {}
      self.listeners[token] = fn
      return function() self.listeners[token] = nil end
    end
    function source:write(bytes)
      self.ring:write(bytes)
      local snapshot = {}
      for token, fn in pairs(self.listeners) do snapshot[token] = fn end
      for token, fn in pairs(snapshot) do
        if self.listeners[token] then fn() end
      end
    end
    return source
  end

  local function recorder()
    local record = { text = "", dropped = 0 }
    return record, function(bytes, cursor, dropped)
      record.text = record.text .. bytes
      record.cursor = cursor
      record.dropped = record.dropped + dropped
    end
  end

  it("replays what is held on a later turn, then goes on live", function()
    local source, record, fn = new_source(), recorder()
    source:write "held "
    subscription.new(source, fn)
    assert.equal("", record.text)
    uv.run()
    assert.equal("held ", record.text)
    source:write "live"
    assert.equal("held live", record.text)
    assert.equal(9, record.cursor)
  end)

  it("delivers once what arrives between the call and the replay", function()
    local source, record, fn = new_source(), recorder()
    source:write "a"
    subscription.new(source, fn)
    source:write "b"
    uv.run()
    source:write "c"
    assert.equal("abc", record.text)
  end)

  it("begins where it is told to", function()
    local source, record, fn = new_source(), recorder()
    source:write "0123456789"
    subscription.new(source, fn, 7)
    uv.run()
    assert.equal("789", record.text)
  end)

  it("that begins beyond the end gets what is new", function()
    local source, record, fn = new_source(), recorder()
    source:write "old"
    subscription.new(source, fn, 1000)
    uv.run()
    source:write "new"
    assert.equal("new", record.text)
  end)

  it("is told what it lost", function()
    local source, record, fn = new_source(4096), recorder()
    subscription.new(source, fn, 0)
    source.ring:write(("x"):rep(10000))
    uv.run()
    assert.equal(4096, #record.text)
    assert.equal(10000 - 4096, record.dropped)
    assert.equal(10000, record.cursor)
  end)

  it("by default begins at what is held, having lost nothing", function()
    local source, record, fn = new_source(4096), recorder()
    source.ring:write(("x"):rep(10000))
    subscription.new(source, fn)
    uv.run()
    assert.equal(4096, #record.text)
    assert.equal(0, record.dropped)
  end)

  it("that raises is reported and closed, alone", function()
    local source, record, fn = new_source(), recorder()
    local calls = 0
    subscription.new(source, function()
      calls = calls + 1
      error "on purpose"
    end)
    subscription.new(source, fn)
    uv.run()
    source:write "a"
    source:write "b"
    assert.equal(1, calls)
    assert.equal("ab", record.text)
    assert.matches("on purpose", messages[1])
    assert.equal(1, #messages)
  end)

  it("may close itself inside its function", function()
    local source, count = new_source(), 0
    local own
    own = subscription.new(source, function()
      count = count + 1
      own:close()
    end)
    uv.run()
    source:write "a"
    source:write "b"
    own:close()
    assert.equal(1, count)
    assert.is_nil(next(source.listeners))
  end)

  it("may close another inside its function", function()
    local source = new_source()
    local calls, subscriptions = 0, {}
    for i = 1, 2 do
      subscriptions[i] = subscription.new(source, function()
        calls = calls + 1
        subscriptions[3 - i]:close()
      end)
    end
    source:write "a"
    uv.run()
    source:write "b"
    assert.equal(2, calls)
  end)

  it("may subscribe another inside its function, which is called later", function()
    local source, record, fn = new_source(), recorder()
    local inner
    subscription.new(source, function()
      if inner then return end
      inner = subscription.new(source, fn)
      assert.equal("", record.text)
    end)
    source:write "a"
    uv.run()
    assert.equal("a", record.text)
    source:write "b"
    assert.equal("ab", record.text)
  end)

  it("gets in order what is written inside its function", function()
    local source, pieces = new_source(), {}
    subscription.new(source, function(bytes)
      pieces[#pieces + 1] = bytes
      if #pieces < 3 then source:write("<" .. #pieces .. ">") end
    end)
    source:write "a"
    uv.run()
    assert.same({ "a", "<1>", "<2>" }, pieces)
  end)

  it("closed before the replay is never called", function()
    local source = new_source()
    source:write "a"
    subscription.new(source, function() error "called" end):close()
    uv.run()
    assert.same({}, messages)
  end)

  it("leaves the loop to others while a writer is faster", function()
    local source = new_source(4096)
    source:write "a"
    local turns = 0
    local own
    own = subscription.new(source, function()
      if turns < 3 then source.ring:write(("x"):rep(4096)) end
    end)
    local idle = uv.new_idle()
    idle:start(function()
      turns = turns + 1
      if turns == 5 then idle:stop() end
    end)
    uv.run()
    assert.equal(5, turns)
    own:close()
  end)
end)

describe("whole characters", function()
  local whole = require("axosandbox.session.work.task").whole_characters
  it("trims what is cut at either end, and only that", function()
    assert.equal("ä", whole("\xA4ä", true))
    assert.equal("€", whole("\x98\x80€\xE2\x82", true))
    assert.equal("a", whole("a\xF0\x9F\x98", false))
    assert.equal("", whole("\x9F\x98\x80", true))
    assert.equal("", whole("", true))
    assert.equal("aä€😀", whole("aä€😀", true))
    assert.equal("\x80binary\xFFend", whole("\x80binary\xFFend", false))
  end)

  it("never cuts more than three bytes at either end, whatever the bytes", function()
    for _ = 1, 500 do
      local bytes = assert(uv.random(math.random(0, 12)))
      local trimmed = whole(bytes, true)
      assert.is_truthy(bytes:find(trimmed, 1, true))
      assert(#bytes - #trimmed <= 6)
    end
  end)
end)
