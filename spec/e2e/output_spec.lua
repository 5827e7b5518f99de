-- @runs native-root portable-user
local e2e = require "spec.support.e2e"

describe("output", function()
  e2e.housekeeping(_ENV)
  local sb
  setup(function() sb = e2e.start() end)
  teardown(function() sb:stop() end)

  it("is bounded: a second of yes keeps 1 MB, says so, and leaves memory flat", function()
    collectgarbage()
    local before = e2e.probe.resident()
    local peak = before
    local done
    assert(sb:exec({ "timeout", "1", "yes" }, { max_output = 1024 * 1024, timeout = 60 },
      function(err, r) done = { err, r } end))
    e2e.eventually(function()
      peak = math.max(peak, e2e.probe.resident())
      return done
    end, "the end of yes")
    local r = assert(done[2], done[1])
    assert.equal(1024 * 1024, #r.stdout)
    assert.is_true(r.stdout_truncated)
    assert.is_falsy(r.timed_out)
    assert(r.stdout == ("y\n"):rep(512 * 1024), "the kept bytes are not the first ones")
    assert(peak - before < 24 * 1024 * 1024,
      ("memory grew by %d bytes"):format(peak - before))
  end)

  it("of one stream may be cut while the other is whole", function()
    local r = assert(sb:exec({ "sh", "-c", "seq 100000 >&2; echo short" },
      { max_output = 1000, timeout = 60 }))
    assert.equal("short\n", r.stdout)
    assert.is_falsy(r.stdout_truncated)
    assert.equal(1000, #r.stderr)
    assert.is_true(r.stderr_truncated)
  end)

  it("is bytes: nothing is decoded, cut or lost", function()
    local every = {}
    for byte = 0, 255 do every[#every + 1] = string.char(byte) end
    local bytes = table.concat(every):rep(300)
    e2e.temp.write(sb:root() .. "/every byte", bytes)
    local r = assert(sb:exec { "cat", "every byte" })
    assert(r.stdout == bytes, "the bytes came back changed")
  end)

  it("streams to callbacks as it comes, with characters split as the bytes were", function()
    local pieces, seen_early, handle = {}, nil, nil
    local done
    handle = assert(sb:exec({ "sh", "-c",
      [[printf 'a\303'; read -r go; printf '\244b'; echo warn >&2]] }, {
      stdin = "pipe", timeout = 60,
      on_stdout = function(bytes)
        pieces[#pieces + 1] = bytes
        if not seen_early then
          seen_early = true
          handle:write "go\n"
        end
      end,
    }, function(err, r) done = { err, r } end))
    e2e.eventually(function() return done end, "the end of the command")
    local r = assert(done[2], done[1])
    assert.is_true(seen_early)
    assert.equal("a\xC3\xA4b", table.concat(pieces))
    assert.equal("a\xC3", pieces[1])
    assert.equal("warn\n", r.stderr)
  end)

  it("streams 20 MB to a callback, all of it and in order", function()
    local total, sum = 0, 0
    local r = assert(sb:exec({ "sh", "-c", "yes 0123456789abcde | head -c 20971520" }, {
      timeout = 120,
      on_stdout = function(bytes)
        if total % 16 == 0 then sum = sum + (bytes:byte(1) == 48 and 0 or 1) end
        total = total + #bytes
      end,
    }))
    assert.equal(0, r.code)
    assert.equal(20971520, total)
    assert.equal(0, sum)
  end)

  it("printed right before the exit is not lost", function()
    for _ = 1, 3 do
      local r = assert(sb:exec({ "seq", "20000" }, { timeout = 60 }))
      assert.equal("20000\n", r.stdout:sub(-6))
      assert.equal(108894, #r.stdout)
    end
  end)
end)
