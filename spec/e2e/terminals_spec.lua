-- @runs native-root portable-user
local e2e = require "spec.support.e2e"

describe("a terminal", function()
  e2e.housekeeping(_ENV)
  local sb, view
  setup(function()
    sb = e2e.start()
    view = e2e.probe.container(sb:container())
  end)
  teardown(function() sb:stop() end)

  local function shows(term, pattern)
    return e2e.eventually(function() return (term:snapshot()):match(pattern) end,
      ("%q on the terminal"):format(pattern))
  end

  it("is one inside too: tty, job control and its size", function()
    local term = assert(sb:spawn_pty({ "sh", "-c", "tty; stty size; sleep 0.05" },
      { rows = 33, cols = 101 }))
    assert.truthy(shows(term, "/dev/pts/%d+"))
    assert.truthy(shows(term, "33 101"))
    assert(term:wait())
    assert.is_false(term:is_alive())
  end)

  it("runs a string as a shell command line, and takes what is typed", function()
    local term = assert(sb:spawn_pty("sh", { rows = 24, cols = 80 }))
    term:write "echo $((6*7)) typed\n"
    assert.truthy(shows(term, "42 typed"))
    term:write "exit 4\n"
    assert(term:wait())
    assert.is_false(term:is_alive())
  end)

  it("follows a resize inside the container", function()
    local term = assert(sb:spawn_pty("sh", { rows = 24, cols = 80 }))
    term:write "stty size\n"
    shows(term, "24 80")
    term:resize(40, 132)
    e2e.eventually(function()
      term:write "stty size\n"
      e2e.pause(0.05)
      return term:snapshot():find "40 132"
    end, "the new size")
    assert(term:close { grace = 0.2 })
  end)

  it("passes a lone ctrl-p on at once, without waiting for the next key, and ctrl-q too", function()
    local term = assert(sb:spawn_pty({ "sh", "-c", [[
      stty raw -echo; printf ready
      for n in 1 2 3; do dd bs=1 count=1 2>/dev/null | od -An -tx1; done
      stty sane; echo over
    ]] }))
    shows(term, "ready")
    term:write "\x10"
    shows(term, "10")
    term:write "\x10"
    shows(term, "10.*10")
    term:write "\x11"
    shows(term, "10.*10.*11")
    assert(term:wait())
  end)

  it("interrupts the program in it with ctrl-c", function()
    local mark = e2e.probe.unique_sleep()
    local term = assert(sb:spawn_pty("sh"))
    term:write("sleep " .. mark .. "\n")
    view.await("sleep " .. mark)
    term:write "\3"
    view.await_gone("sleep " .. mark)
    assert.is_true(term:is_alive())
    assert(term:close { grace = 0.2 })
  end)

  it("loses nothing that was printed right before the end", function()
    for _ = 1, 3 do
      local seen = {}
      local term = assert(sb:spawn_pty({ "sh", "-c", "stty -opost; seq 1 5000; printf END" }))
      term:subscribe(function(bytes) seen[#seen + 1] = bytes end)
      assert(term:wait())
      e2e.eventually(function() return table.concat(seen):find "END$" end, "the end")
      assert.truthy(table.concat(seen):find("4999\n5000\nEND", 1, true))
    end
  end)

  it("replays its scrollback to a late subscriber, then goes on live, gap and repeat free",
    function()
      local term = assert(sb:spawn_pty({ "sh", "-c",
        "stty -echo -opost; seq 1 500; read -r line; seq 501 1000; read -r line" }))
      shows(term, "500\n")
      local texts, cursors = { {}, {} }, {}
      for i = 1, 2 do
        term:subscribe(function(bytes, cursor, dropped)
          assert.equal(0, dropped)
          table.insert(texts[i], bytes)
          cursors[i] = cursor
        end, { from = 0 })
      end
      term:write "\n"
      e2e.eventually(function()
        return table.concat(texts[1]):find "1000\n" and table.concat(texts[2]):find "1000\n"
      end, "the live part")
      local expected = {}
      for n = 1, 1000 do expected[n] = n .. "\n" end
      for i = 1, 2 do assert.equal(table.concat(expected), table.concat(texts[i])) end
      assert.equal(cursors[1], cursors[2])
      term:write "\n"
      assert(term:wait())
    end)

  it("that is closed by one subscriber goes on for the other", function()
    local term = assert(sb:spawn_pty({ "sh", "-c", "stty -echo; read -r x; echo more; read -r x" }))
    local first, second = {}, {}
    local subscription = term:subscribe(function(bytes) first[#first + 1] = bytes end)
    term:subscribe(function(bytes) second[#second + 1] = bytes end)
    subscription:close()
    term:write "\n"
    e2e.eventually(function() return table.concat(second):find "more" end, "the second")
    assert.is_nil(table.concat(first):find "more")
    assert(term:close { grace = 0.2 })
  end)

  for _, how in ipairs { "close", "kill_terminal" } do
    it("ends the program inside by " .. how .. ", whatever it ignores", function()
      local mark = e2e.probe.unique_sleep()
      local term = assert(sb:spawn_pty({ "sh", "-c",
        ("trap '' HUP TERM; setsid sleep %s & while :; do sleep %s; done"):format(mark, mark) }))
      e2e.eventually(function() return #view.find("sleep " .. mark) >= 2 end, "both children")
      if how == "close" then
        assert(term:close())
      else
        assert(sb:kill_terminal(term.id))
      end
      assert.equal(0, #view.find(mark))
      assert.is_false(term:is_alive())
    end)
  end

  it("is found again by id and in the list", function()
    local term = assert(sb:spawn_pty("sh"))
    local found = assert(sb:get_terminal(term.id))
    found:write "echo found\n"
    shows(term, "found\r\n")
    local listed = false
    for _, each in ipairs(assert(sb:list_terminals())) do
      listed = listed or each.id == term.id
    end
    assert.is_true(listed)
    assert.is_nil((sb:get_terminal "no-such-terminal"))
    assert(term:close { grace = 0.2 })
  end)

  it("is no task", function()
    local term = assert(sb:spawn_pty("sh"))
    for _, task in ipairs(assert(sb:list_tasks())) do
      assert.are_not.equal(term.id, task.id)
    end
    assert(term:close { grace = 0.2 })
  end)

  it("has a screen: full-screen programs, titles, sizes, lines that scrolled off", function()
    local term = assert(sb:spawn_pty("stty -echo; printf '\\033]0;a title\\007'; "
      .. "i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo line $i; done; printf ready; read x; "
      .. "printf '\\033[?1049h\\033[2J\\033[3;5Hfull'; read x; "
      -- Portably podman passes it on in its own time.
      .. "until [ \"$(stty size)\" = '12 50' ]; do sleep 0.1; done; stty size; printf done; read x",
      { rows = 10, cols = 40 }))
    local function seen(text)
      return e2e.eventually(function()
        local shot = assert(term:screen { scrollback = 5 })
        return table.concat(shot.lines, "\n"):find(text, 1, true) and shot
      end, text)
    end
    local shot = seen "ready"
    assert.same({ "line 17", "line 18", "line 19", "line 20", "line 21" }, shot.scrollback)
    assert.equal("line 22", shot.lines[1])
    assert.equal("ready", shot.lines[10])
    assert.same({ 10, 40, "a title", false, false, 0 }, { shot.rows, shot.cols, shot.title,
      shot.alternate, shot.lost, shot.pending })
    assert.same({ row = 10, col = 6, visible = true }, shot.cursor)
    local since = shot.offset
    term:write "\n"
    shot = seen "full"
    assert.equal("    full", shot.lines[3])
    assert.is_true(shot.alternate)
    assert(term:resize(12, 50))
    term:write "\n"
    shot = seen "done"
    assert.matches("12 50", table.concat(shot.lines, "\n"))
    assert.equal(12, #shot.lines)
    shot = assert(term:screen { since = since })
    assert.is_true(#shot.scrollback < 10)
    assert(term:close { grace = 0.2 })
    assert.matches("12 50", table.concat(assert(term:screen()).lines, "\n"))
  end)

  it("has a screen that says when it missed something", function()
    local term = assert(sb:spawn_pty("seq 1 100000; echo over; read x", { ring = 4096 }))
    e2e.eventually(function() return term:snapshot():find "over" end)
    local shot = assert(term:screen { scrollback = 10 })
    assert.is_true(shot.lost)
    assert.matches("over", table.concat(shot.lines, "\n"))
    assert(term:close { grace = 0.2 })
  end)
end)
