-- @runs native-root portable-user
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"

describe("a background task", function()
  e2e.housekeeping(_ENV)
  local sb, view
  setup(function()
    sb = e2e.start()
    view = e2e.probe.container(sb:container())
  end)
  teardown(function() sb:stop() end)

  -- A place where a command waits until the test lets it go on.
  local function new_gate()
    local fifo = ("%s/gate-%s"):format(sb:root(), e2e.temp.token())
    e2e.proc.must { "mkfifo", fifo }
    return {
      wait = ("read -r go < '%s'"):format(fifo),
      open = function() e2e.proc.must { "/bin/sh", "-c", 'echo go > "$1"', "sh", fifo } end,
    }
  end

  local function ended(task)
    return e2e.eventually(function()
      local status = task:status()
      return status ~= "running" and status
    end, "the end of the task")
  end

  it("runs a string by sh -c and a table as it is", function()
    local one = assert(sb:spawn_background "echo one; echo two >&2")
    local two = assert(sb:spawn_background { "echo", "$HOME; *" })
    assert(one:wait())
    assert(two:wait())
    local log = one:log()
    assert.matches("one\n", log)
    assert.matches("two\n", log)
    assert.equal("$HOME; *\n", two:log())
  end)

  it("runs a string that begins like an option, on a terminal too", function()
    for _, name in ipairs { "-x", "+e", "--", "--version" } do
      local line = name .. " a; echo went on"
      local task = assert(sb:spawn_background(line))
      assert.equal(0, assert(task:wait()).code)
      assert.matches(name .. ": not found", task:log(), 1, true)
      assert.matches("went on\n", task:log(), 1, true)
      local term = assert(sb:spawn_pty(line))
      assert.equal(0, assert(term:wait()).code)
      assert.matches("went on\r\n", term:snapshot(), 1, true)
    end
  end)

  describe("with stdin", function()
    it("reads nothing unless it is given some", function()
      local task = assert(sb:spawn_background "cat; echo end")
      assert(task:wait())
      assert.equal("end\n", task:log())
      for _, method in ipairs { "write", "close_stdin" } do
        local ok, err = task[method](task, "x")
        assert.is_nil(ok)
        assert.equal("NO_STDIN", err.code)
      end
    end)

    it("reads bytes whole, whatever they are", function()
      for _, bytes in ipairs { "", "a\0b\xff\n", ("0123456789abcde\n"):rep(200000) } do
        local task = assert(sb:spawn_background("md5sum; wc -c", { stdin = bytes }))
        assert.equal(0, assert(task:wait()).code)
        local same = assert(sb:exec_stdin({ "md5sum" }, bytes))
        assert.equal(same.stdout .. "0\n", task:log())
      end
    end)

    it("reads what a function gives, as it takes it, until that gives nil", function()
      local count, bytes = 0, ("x"):rep(65535) .. "\n"
      local task = assert(sb:spawn_background("wc -c", { stdin = function()
        count = count + 1
        if count <= 100 then return bytes end
      end }))
      assert(task:wait())
      assert.equal(tostring(100 * 65536), task:log():match "%d+")
    end)

    it("ends when its function raises, and says so", function()
      local told
      axo.set_logger(function(level, message) told = level == "error" and message or told end)
      local task = assert(sb:spawn_background("cat", { stdin = function() error "no more" end }))
      assert(task:wait())
      e2e.listen()
      assert.matches("^killed", task:status())
      assert.matches("no more", told)
    end)

    it("is written to, until it is closed", function()
      local task = assert(sb:spawn_background("while read -r line; do echo \"<$line>\"; done; "
        .. "echo over", { stdin = true }))
      for _, line in ipairs { "one", "two" } do
        assert.is_true(task:write(line .. "\n"))
        e2e.eventually(function() return task:log():find("<" .. line .. ">", 1, true) end)
      end
      assert.is_true(task:close_stdin())
      assert.equal("EPIPE", select(2, task:write "late").code)
      assert(task:wait())
      assert.equal("<one>\n<two>\nover\n", task:log())
      assert.equal("EPIPE", select(2, task:write "late").code)
      assert.equal("EPIPE", select(2, task:close_stdin()).code)
      assert.has_error(function() sb:spawn_background("cat", { stdin = false }) end)
      assert.has_error(function() task:write(5) end)
    end)

    it("is told when it does not read what is written", function()
      local task, err = assert(sb:spawn_background("sleep 1000", { stdin = true })), nil
      for _ = 1, 64 do
        if not err then err = select(2, task:write(("x"):rep(1024 * 1024))) end
      end
      assert.equal("ENOBUFS", err.code)
      assert(task:stop())
    end)

    it("may close it while more is coming: that is no error", function()
      if sb:path() == "portable" then return end -- podman tells nobody, and drops the output
      local task = assert(sb:spawn_background("head -c 1 >/dev/null; exec <&-; sleep 0.2; echo on",
        { stdin = function() return ("x"):rep(65536) end }))
      assert.equal(0, assert(task:wait()).code)
      assert.equal("on\n", task:log())
    end)

    it("opens its /dev/stdin again, as another user too", function()
      for _, stdin in ipairs { "abc\n", true } do
        local task = assert(sb:spawn_background("cat /dev/stdin", { stdin = stdin, user = "1234" }))
        if stdin == true then
          assert(task:write "abc\n")
          assert(task:close_stdin())
        end
        assert(task:wait())
        assert.equal("abc\n", task:log())
      end
    end)
  end)

  it("has a status that reads running, exited, killed", function()
    local task = assert(sb:spawn_background "sleep 1000")
    assert.equal("running", task:status())
    assert(task:stop())
    assert.equal("killed (TERM)", task:status())
    task = assert(sb:spawn_background "exit 3")
    assert(task:wait())
    assert.equal("exited (3)", task:status())
    task = assert(sb:spawn_background "kill -KILL $$")
    assert(task:wait())
    assert.equal("killed (KILL)", task:status())
  end)

  it("that cannot start has failed, and says why", function()
    local task, err = sb:spawn_background { "no-such-command-at-all" }
    if task then
      assert.matches("^failed: .*no%-such%-command%-at%-all", ended(task))
    else
      assert.equal("NOT_FOUND", err.code)
    end
  end)

  it("has an id that no other has, also when several start in one millisecond", function()
    local tasks, seen = {}, {}
    for _ = 1, 6 do
      assert(sb:spawn_background({ "true" }, {}, function(err, task)
        tasks[#tasks + 1] = assert(task, err)
      end))
    end
    e2e.eventually(function() return #tasks == 6 end, "six tasks")
    for _, task in ipairs(tasks) do
      assert.is_string(task.id)
      assert.is_nil(seen[task.id])
      seen[task.id] = true
    end
    for _, task in ipairs(tasks) do assert(task:wait()) end
  end)

  it("is stopped alone, with its whole tree, and leaves the others running", function()
    local mark, other = e2e.probe.unique_sleep(), e2e.probe.unique_sleep()
    local task = assert(sb:spawn_background(("setsid sleep %s & sleep %s & wait"):format(
      mark, mark)))
    local bystander = assert(sb:spawn_background("sleep " .. other))
    e2e.eventually(function() return #view.find("sleep " .. mark) >= 2 end, "both children")
    view.await(other)
    assert(task:stop())
    assert.equal(0, #view.find(mark))
    assert.matches("^killed", task:status())
    assert.truthy(view.find(other)[1])
    assert.equal("running", bystander:status())
    assert(bystander:stop())
    assert.equal(0, #view.find(other))
  end)

  it("that ignores TERM is stopped all the same", function()
    local mark = e2e.probe.unique_sleep()
    local task = assert(sb:spawn_background(
      ("trap '' TERM; while :; do sleep %s; done"):format(mark)))
    view.await("sleep " .. mark)
    assert(task:stop())
    assert.equal(0, #view.find(mark))
  end)

  it("is read by cursor, without gap or repeat", function()
    local gate = new_gate()
    local task = assert(sb:spawn_background("seq 1 5; " .. gate.wait .. "; seq 6 10"))
    local text, cursor = "", 0
    e2e.eventually(function()
      local bytes, next_cursor, dropped = task:read(cursor)
      assert.equal(0, dropped)
      assert.equal(cursor + #bytes, next_cursor)
      text, cursor = text .. bytes, next_cursor
      return text:find "5\n"
    end, "the output")
    gate.open()
    assert(task:wait())
    local bytes = task:read(cursor)
    assert.equal("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", text .. bytes)
  end)

  it("tells a reader that fell behind how many bytes it lost", function()
    local task = assert(sb:spawn_background "seq 1 100000")
    assert(task:wait())
    local bytes, cursor, dropped = task:read(0)
    assert.equal(588895, cursor)
    assert.equal(588895, dropped + #bytes)
    assert(dropped > 0)
    assert.equal("100000\n", bytes:sub(-7))
  end)

  it("has any number of followers, each of which sees everything once", function()
    local gate = new_gate()
    local task = assert(sb:spawn_background(gate.wait .. "; seq 1 10000"))
    local texts = { {}, {} }
    for i = 1, 2 do
      task:follow(function(bytes) table.insert(texts[i], bytes) end)
    end
    gate.open()
    assert(task:wait())
    for i = 1, 2 do
      e2e.eventually(function() return #table.concat(texts[i]) == 48894 end,
        "all of it at follower " .. i)
      assert.equal("1\n2\n3\n", table.concat(texts[i]):sub(1, 6))
    end
  end)

  it("tells a follower that is slower than the task how much it missed", function()
    local gate = new_gate()
    local task = assert(sb:spawn_background(gate.wait .. "; seq 1 200000"))
    local seen, missed, last = 0, 0, ""
    task:follow(function(bytes, cursor, dropped)
      assert.equal(seen + missed + dropped + #bytes, cursor)
      seen, missed, last = seen + #bytes, missed + dropped, bytes
    end)
    gate.open()
    assert(task:wait())
    e2e.eventually(function() return seen + missed == 1288895 end, "every byte accounted for")
    assert.equal("200000\n", last:sub(-7))
  end)

  it("streams to a follower while it runs", function()
    local gate = new_gate()
    local task = assert(sb:spawn_background("echo first; " .. gate.wait .. "; echo second"))
    local seen = {}
    local subscription = task:follow(function(bytes) seen[#seen + 1] = bytes end)
    e2e.eventually(function() return table.concat(seen):find "first\n" end, "the first line")
    assert.equal("running", task:status())
    gate.open()
    assert(task:wait())
    e2e.eventually(function() return table.concat(seen) == "first\nsecond\n" end,
      "the second line")
    subscription:close()
  end)

  it("trims its log to whole characters for those who want text, never crashing", function()
    local task = assert(sb:spawn_background [[
      i=0; while [ $i -lt 3000 ]; do printf '\303\244\342\202\254\360\237\230\200x'; i=$((i+1))
      done; i=0; while [ $i -lt 6000 ]; do printf '\360\237\230\200'; i=$((i+1)); done
      printf 'a\360\237\230'
    ]])
    assert(task:wait())
    local raw = task:log()
    local text = task:log { utf8 = true }
    assert.truthy(utf8.len(text))
    assert.equal("a", text:sub(-1))
    assert(#raw - #text <= 6, "more than the broken ends was cut")
    assert.equal("a\xF0\x9F\x98", raw:sub(-4))
  end)

  it("is found again by id and in the list", function()
    local mark = e2e.probe.unique_sleep()
    local task = assert(sb:spawn_background("sleep " .. mark))
    local found = assert(sb:get_task(task.id))
    assert.equal("running", found:status())
    local listed = false
    for _, each in ipairs(assert(sb:list_tasks())) do
      listed = listed or each.id == task.id
    end
    assert.is_true(listed)
    assert.is_nil((sb:get_task "no-such-task"))
    assert(found:stop())
    assert.matches("^killed", task:status())
  end)

  for _, style in ipairs(e2e.styles) do
    it("is started, awaited and stopped " .. style.name, function()
      local task = assert(style.call(sb.spawn_background, sb, "echo hello", {}))
      assert(style.call(task.wait, task))
      assert.equal("hello\n", task:log())
      task = assert(style.call(sb.spawn_background, sb, "sleep 1000", {}))
      assert(style.call(task.stop, task))
      assert.matches("^killed", task:status())
    end)
  end

  it("prints any amount while the host's memory stays flat", function()
    collectgarbage()
    local before = e2e.probe.resident()
    local task = assert(sb:spawn_background "timeout 1 yes 0123456789abcdef")
    local peak = before
    e2e.eventually(function()
      peak = math.max(peak, e2e.probe.resident())
      return task:status() ~= "running"
    end, "the end of yes")
    assert(peak - before < 16 * 1024 * 1024,
      ("memory grew by %d bytes"):format(peak - before))
  end)
end)
