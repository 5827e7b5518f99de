-- @runs native-root native-user
-- The guest tells which command has a connection open: also one of another user's, though it may
-- trace nobody.
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"

local function owner_of(sb, inode)
  local answer
  assert(sb.way.link:owner(inode, function(err, owner) answer = { err = err, owner = owner } end))
  e2e.eventually(function() return answer end, "no answer about a socket")
  return assert(answer.owner, tostring(answer.err))
end

-- What a program of busybox has open, and the number that it has for it.
local SCRIPT = [[
  nc -l -p $1 -e cat &
  until for fd in /proc/$!/fd/*; do readlink $fd; done | grep socket:; do :; done
  echo $!
  wait]]

local function listening(begin)
  local text = ""
  local work = begin({ "sh", "-c", SCRIPT, "sh", "8080" }, function(bytes) text = text .. bytes end)
  e2e.eventually(function() return text:find "%]\n%d+\n" end, "nothing listens")
  local inode, pid = text:match "socket:%[(%d+)%]\n(%d+)\n"
  return work, tonumber(inode), tonumber(pid)
end

describe("a connection's owner", function()
  e2e.housekeeping(_ENV)
  local sb
  setup(function() sb = native.start { image = e2e.images.users() } end)
  teardown(function() sb:stop() end)

  for _, user in ipairs { "root", "1000:1000" } do
    it("is a command of " .. user, function()
      local process, over
      local inode, pid = select(2, listening(function(argv, on_stdout)
        process = assert(sb.way.link:exec(argv, {
          user = user, on_stdout = function(bytes) if bytes then on_stdout(bytes) end end,
        }, function() over = true end))
        return process
      end))
      local owner = owner_of(sb, inode)
      assert.same({ pid = pid, id = process:work_id(), cut = false }, owner)
      assert.equal("integer", math.type(owner.id))
      process:cancel()
      e2e.eventually(function() return over end, "it does not end")
      assert.same({ cut = false }, owner_of(sb, inode))
    end)
  end

  it("is a task, by its name", function()
    local task
    local inode, pid = select(2, listening(function(argv, on_stdout)
      task = assert(sb:spawn_background(argv))
      assert(task:follow(on_stdout))
      return task
    end))
    local owner = owner_of(sb, inode)
    assert.same({ pid, task.id }, { owner.pid, owner.name })
    assert(task:stop())
  end)
end)
