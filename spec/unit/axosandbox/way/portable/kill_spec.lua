local kill = require "axosandbox.way.portable.kill"
local proc = require "spec.support.proc"
local janitor = require "spec.support.janitor"
local pid_namespace = require "spec.support.pid_namespace"
local shells = require "spec.support.shells"
local temp = require "spec.support.temp"

-- Says what it looks at, and before the first look waits for a line.
local WATCHED = kill.SCRIPT:gsub("\nlook%(%) {\n", [[%0
  [ -n "$begun" ] || { begun=1; echo waiting; read -r line; }
  echo "look $1"
]])

-- The script by itself, on processes that see nothing else of this machine, as in a container.
-- What only a container has (other users) is in the end-to-end specs.
for _, shell in ipairs(shells.all()) do
  describe("the script that ends processes, in " .. shell.name, function()
    local mark, files_mark, space
    setup(function() files_mark = janitor.mark() end)
    teardown(function() janitor.sweep(files_mark) end)
    before_each(function()
      mark = kill.VARIABLE .. "=" .. temp.token() .. ("x"):rep(16)
      space = nil
    end)
    after_each(function() if space then space:close() end end)

    local function argv(script, ...)
      local words = table.move(shell.shell, 1, #shell.shell, 1, {})
      return space:argv(table.move({ "-c", script, "axo-kill", ... }, 1, 3 + select("#", ...),
        #words + 1, words))
    end

    local function parsed(r)
      assert.equal("", r.stderr)
      local found, left = r.stdout:match "axo%-kill (%d+) (%d+)\n"
      return {
        found = tonumber(found), left = tonumber(left),
        pids = r.stdout:match "\npids([^\n]*)", sids = r.stdout:match "\nsids([^\n]*)",
      }
    end

    local function run(...) return parsed(proc.run(argv(kill.SCRIPT, ...))) end

    -- Starts `script` with the mark; it says "ready" once all of its processes are there.
    local function start(script)
      space = pid_namespace.start { "env", mark, "/bin/sh", "-c",
        script .. "\necho ready; wait; exec sleep 1000" }
      proc.eventually(function() return space:stdout():find "ready" end, "ready")
    end

    -- One more process, which runs `script` when it is told to; `mark` or none.
    local function start_waiting(script, with)
      local process = proc.start(space:argv { "env", with or "A=b", "/bin/sh", "-c",
        "echo ready; read -r line; " .. script }, { stdin = true })
      process:wait_for "ready"
      return process
    end

    local function running(token) return space:count("sleep " .. token) end

    local function await(token, count)
      proc.eventually(function() return running(token) == count end,
        ("%d of sleep %s"):format(count, token))
    end

    local function nothing_left() assert.same({}, space:commands()) end

    it("ends the tree: children, sessions of their own, daemons", function()
      start "sleep 861 & setsid sleep 861 & (setsid sh -c 'sleep 861 & wait' &)"
      await("861", 3)
      local report = run(mark, "KILL", "tree", "", "")
      assert.equal(5, report.found)
      assert.equal(0, report.left)
      nothing_left()
    end)

    it("ends those that dropped the mark, by parent and by session", function()
      start "env -i sleep 862 & env -i setsid sh -c 'sleep 862; true' & (env -i sleep 862 &)"
      await("862", 3)
      assert.equal(0, run(mark, "KILL", "tree", "", "").left)
      nothing_left()
    end)

    it("remembers who was there once their parents are gone", function()
      start [[env -i sh -c "trap '' TERM; while :; do sleep 863; done" &]]
      await("863", 1)
      local first = run(mark, "TERM", "tree", "", "")
      assert.equal(3, first.found)
      proc.eventually(function()
        return not table.concat(space:commands(), "\n"):find "echo ready"
      end, "the end of the parent")
      assert.equal(0, run(mark, "KILL", "tree", "", "").found)
      assert(run(mark, "KILL", "tree", first.pids, first.sids).found >= 1)
      nothing_left()
    end)

    it("takes whatever a process is called", function()
      local odd = temp.dir() .. "/a) R 1 (b\nc"
      temp.write(odd, "#!/bin/sh\nsleep 864; true\n")
      proc.must { "chmod", "+x", odd }
      start(("'%s' &"):format(odd))
      await("864", 1)
      assert.equal(0, run(mark, "KILL", "tree", "", "").left)
      nothing_left()
    end)

    it("leaves everything else alone", function()
      start "sleep 865 &"
      await("865", 1)
      local report = run(mark .. "other", "KILL", "tree", "", "")
      assert.equal(0, report.found)
      assert.equal(1, running "865")
    end)

    it("stops what forks as fast as it can", function()
      start [[
        i=0; while [ $i -lt 8 ]; do
          sh -c 'while :; do sh -c "exec sleep 0.05" & wait; done' & i=$((i+1))
        done
      ]]
      local report = run(mark, "KILL", "tree", "", "")
      assert(report.found >= 9)
      assert.equal(0, report.left)
      nothing_left()
    end)

    -- Runs the script, and while it has the list of processes but has read none, `change`.
    local function run_while(change, with)
      local script = proc.start(argv(WATCHED, with, "KILL", "tree", "", ""), { stdin = true })
      script:wait_for "waiting"
      change()
      script:write "go on\n"
      local result = script:wait()
      script:close_stdin()
      return parsed(result), result.stdout
    end

    it("looks once at what stays when something else ends beneath its hands", function()
      start "sleep 866 &"
      local other = start_waiting "true"
      local report, said = run_while(function()
        other:close_stdin()
        other:wait()
      end, mark .. "other")
      assert.equal(0, report.found)
      local looks = {}
      for dir in said:gmatch "look (%S+)" do looks[dir] = (looks[dir] or 0) + 1 end
      assert.is_not_nil(next(looks))
      for dir, times in pairs(looks) do assert.equal(1, times, dir) end
    end)

    it("finds the child of what ended beneath its hands", function()
      start "sleep 867 &"
      await("867", 1)
      local last = mark .. "last"
      local parent = start_waiting("setsid sleep 868 & exit", last)
      local report = run_while(function()
        parent:close_stdin()
        proc.eventually(function() return not parent:is_running() end, "the end of the parent")
        await("868", 1)
      end, last)
      assert.equal(1, report.found)
      assert.equal(0, report.left)
      assert.equal(0, running "868")
      assert.equal(1, running "867")
    end)
  end)
end
