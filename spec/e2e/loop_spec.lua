-- @runs native-user
local e2e = require "spec.support.e2e"

-- Hosts that wait with callbacks, and then let their loop run until nothing is left on it.
describe("a host's loop ends by itself", function()
  e2e.housekeeping(_ENV)

  local function ends_by_itself(code, options)
    local result = e2e.host.run(code .. [[
      uv.run()
      say "the loop has ended"
      os.exit(0, true)
    ]], { options = options })
    assert.equal(0, result.code, result.stderr)
    assert.equal("", result.stderr)
    return assert(result.stdout:match "^(.*)the loop has ended\n$", result.stdout)
  end

  it("after the work that was waited for, whatever that has left behind", function()
    local sb = e2e.start()
    for _, spawn in ipairs { "spawn_background", "spawn_pty" } do
      local told = ends_by_itself([[
        local sb = assert(axo.open(options.id))
        local work = assert(sb[options.spawn](sb,
          "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo up; exit 3"))
        local follow = work.follow or work.subscribe
        follow(work, function() end)
        assert(work:wait(function(_, status)
          say("first", status.code)
          assert(work:wait(function(_, again) say("second", again.code) end))
        end))
      ]], { id = sb:id(), spawn = spawn })
      assert.equal("first 3\nsecond 3\n", told)
    end
    assert(sb:stop())
  end)

  for how, told in pairs { close = "failed CLOSED\n", stop = "killed KILL\n" } do
    it(("after a %s of its session, which others' tasks may outlive"):format(how), function()
      local sb = e2e.start()
      local task = assert(sb:spawn_background "sleep 1000")
      assert.equal(told, ends_by_itself([[
        local sb = assert(axo.open(options.id))
        local task = assert(sb:get_task(options.task))
        task:follow(function() end)
        assert(task:wait(function(_, status) say(status.state, status.fault or status.signal) end))
        if options.how == "stop" then assert(sb:stop()) else sb:__close() end
      ]], { id = sb:id(), task = task.id, how = how }))
      if how == "close" then assert.equal("running", task:status()) end
      assert(sb:stop())
    end)
  end
end)
