-- @runs native-user
local uv = require "luv"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"

local ROUNDS = tonumber(os.getenv "AXO_ROUNDS") or 8
local TASKS, TERMINALS = 20, 5
local WIDTH = 10

-- Line n is at the offset n * WIDTH: what stands at an offset is known, whatever was lost
-- before it.
local WRITER = [[
i=0; while :; do printf '%09d\n' $i; i=$((i+1)); [ $((i % 100)) -gt 0 ] || sleep 0.2; done]]

local STARTER = [[
  local sb = check(axo.start(options.session))
  for i = 1, options.tasks do
    local ring = i % 4 == 0 and 4096 or nil
    local task = check(sb:spawn_background(options.writer, { ring = ring }))
    say("work", ring and "small" or "usual", "task", task.id)
  end
  for _ = 1, options.terminals do
    local term = check(sb:spawn_pty("stty -echo -opost; " .. options.writer))
    say("work", "usual", "terminal", term.id)
  end
  say("ready", sb:path())
  hold()
]]

-- Opens the session, follows everything, starts work of its own, and is killed meanwhile.
local FOLLOWER = [[
  local sb = check(axo.open(options.id))
  local seen = {}
  local function follow(source, method)
    source[method](source, function(bytes, cursor, dropped)
      local from = seen[source.id] or 0
      if cursor ~= from + dropped + #bytes then say("torn", source.id, from, cursor, dropped) end
      seen[source.id] = cursor
    end, { from = 0 })
  end
  for _, task in ipairs(sb:list_tasks()) do follow(task, "follow") end
  for _, term in ipairs(sb:list_terminals()) do follow(term, "subscribe") end
  say("up", #sb:list_tasks(), #sb:list_terminals())
  check(sb:exec({ "sleep", options.mark }, {}, function() say("the exec ended") end))
  for i = 1, 3 do
    local task = check(sb:spawn_background { "echo", options.mark .. "-" .. i })
    say("short", task.id)
  end
  hold()
]]

describe("tasks and terminals, when their host is killed again and again,", function()
  e2e.housekeeping(_ENV)

  local options, works, names

  local function expect(bytes, offset)
    local first = offset // WIDTH
    local lines = {}
    for n = first, (offset + #bytes) // WIDTH do lines[#lines + 1] = ("%09d\n"):format(n) end
    local skip = offset - first * WIDTH
    return table.concat(lines):sub(skip + 1, skip + #bytes)
  end

  -- Reads what came since the last time; what was lost is accounted for.
  local function read_on(source, work)
    local bytes, cursor, dropped = source:read(work.cursor)
    assert.equal(work.cursor + dropped + #bytes, cursor)
    assert(bytes == expect(bytes, cursor - #bytes),
      ("%s: other bytes than were written at %d"):format(source.id, cursor - #bytes))
    local moved = cursor > work.cursor
    work.cursor, work.lost = cursor, work.lost + dropped
    return moved
  end

  local function check_all(sb)
    for _, id in ipairs(names) do
      local work = works[id]
      local source = assert(sb["get_" .. work.kind](sb, id))
      assert.equal("running", source:status())
      e2e.eventually(function() return read_on(source, work) end, id .. " going on")
    end
  end

  -- However fast the writers are, the small rings lose what nobody has read for long enough.
  local function await_overrun(sb)
    for _, id in ipairs(names) do
      local work = works[id]
      local source = assert(sb["get_" .. work.kind](sb, id))
      if work.is_small then
        e2e.eventually(function()
          local _, _, dropped = source:read(work.cursor)
          return dropped > 0
        end, id .. " being overrun")
      end
    end
  end

  local function check_short_tasks(sb, host)
    local count = 0
    for id in host:stdout():gmatch "short (%S+)" do
      count = count + 1
      local task = assert(sb:get_task(id))
      assert(task:wait())
      assert.equal(("%s-%d\n"):format(task.argv[2]:match "^(.*)%-%d$", count), task:log())
      assert.equal("exited (0)", task:status())
    end
  end

  setup(function()
    options = e2e.options()
    works, names = {}, {}
    local host = native.host(STARTER, { session = options, writer = WRITER, tasks = TASKS,
      terminals = TERMINALS })
    assert.equal("native", host:wait_for "ready (%S+)")
    for size, kind, id in host:stdout():gmatch "work (%S+) (%S+) (%S+)" do
      works[id] = { kind = kind, is_small = size == "small", cursor = 0, lost = 0 }
      names[#names + 1] = id
    end
    native.kill(host)
  end)

  it("go on, and every byte is there or accounted for", function()
    assert.equal(TASKS + TERMINALS, #names)
    local view = e2e.probe.container("axo-ses-" .. options.id)
    local usual
    for round = 1, ROUNDS do
      local mark, begun = e2e.probe.unique_sleep(), e2e.now()
      local host = native.host(FOLLOWER, { id = options.id, mark = mark })
      if not usual then
        host:wait_for "up 20 5"
        usual = e2e.now() - begun
      end
      local share = string.unpack("I2", uv.random(2)) / 65536
      e2e.pause(usual * share * 1.5)
      native.kill(host)
      assert.is_nil(host:stdout():match "torn[^\n]*", "round " .. round)
      assert.is_nil(host:stdout():match "failed[^\n]*", "round " .. round)
      view.await_gone("sleep " .. mark)
      local sb = native.open(options.id)
      if round == ROUNDS then await_overrun(sb) end
      check_all(sb)
      check_short_tasks(sb, host)
      sb:__close()
    end
    local lost = 0
    for _, work in pairs(works) do lost = lost + work.lost end
    assert(lost > 0)
  end)
end)
