local kill = require "axosandbox.way.portable.kill"
local proc = require "spec.support.proc"
local janitor = require "spec.support.janitor"
local shells = require "spec.support.shells"
local temp = require "spec.support.temp"

-- The script by itself, on processes of this machine. What only a container has (a first
-- process without a parent, other users) is in the end-to-end specs.
for _, shell in ipairs(shells.all()) do
  describe("the script that ends processes, in " .. shell.name, function()
    local mark, files_mark
    setup(function() files_mark = janitor.mark() end)
    teardown(function() janitor.sweep(files_mark) end)
    before_each(function() mark = kill.VARIABLE .. "=" .. temp.token() .. ("x"):rep(16) end)

    local function run(...)
      local argv = table.move({ "-c", kill.SCRIPT, "axo-kill", ... }, 1, 3 + select("#", ...),
        #shell.shell + 1, table.move(shell.shell, 1, #shell.shell, 1, {}))
      local r = proc.run(argv)
      assert.equal("", r.stderr)
      local found, left = r.stdout:match "^axo%-kill (%d+) (%d+)\n"
      return {
        found = tonumber(found), left = tonumber(left),
        pids = r.stdout:match "\npids([^\n]*)", sids = r.stdout:match "\nsids([^\n]*)",
      }
    end

    -- Starts `script` with the mark; it says "ready" once all of its processes are there.
    local function start(script)
      local process = proc.start({ "/bin/sh", "-c", script .. "\necho ready; wait; sleep 1000" }, {
        env = proc.environment { [kill.VARIABLE] = mark:match "=(.*)" }, detached = true,
      })
      proc.eventually(function() return table.concat(process.out):find "ready" end, "ready")
      return process
    end

    local function running(token)
      local count = 0
      local list = assert(io.popen "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")
      for _ in list:read "a":gmatch("sleep " .. token) do count = count + 1 end
      list:close()
      return count
    end

    local serial = 0
    local function unique()
      serial = serial + 1
      return ("86%d%05d"):format(serial, math.random(0, 99999))
    end

    it("ends the tree: children, sessions of their own, daemons", function()
      local token = unique()
      local process = start(([[
        sleep %s & setsid sleep %s & (setsid sh -c 'sleep %s & wait' &)
      ]]):format(token, token, token))
      proc.eventually(function() return running(token) >= 3 end, "the children")
      local report = run(mark, "KILL", "tree", "", "")
      assert(report.found >= 5, tostring(report.found))
      assert.equal(0, report.left)
      process:wait()
      assert.equal(0, running(token))
    end)

    it("ends those that dropped the mark, by parent and by session", function()
      local token = unique()
      local process = start(([[
        env -i sleep %s & env -i setsid sh -c 'sleep %s; true' &
      ]]):format(token, token))
      proc.eventually(function() return running(token) >= 2 end, "the children")
      assert.equal(0, run(mark, "KILL", "tree", "", "").left)
      process:wait()
      assert.equal(0, running(token))
    end)

    it("remembers who was there once their parents are gone", function()
      local token = unique()
      local process = start(([[
        env -i sh -c "trap '' TERM; while :; do sleep %s; done" &
      ]]):format(token))
      proc.eventually(function() return running(token) >= 1 end, "the child")
      local first = run(mark, "TERM", "tree", "", "")
      assert(first.found >= 2)
      process:wait(true)
      assert.equal(0, run(mark, "KILL", "tree", "", "").found)
      assert(run(mark, "KILL", "tree", first.pids, first.sids).found >= 1)
      proc.eventually(function() return running(token) == 0 end, "the end of the child")
    end)

    it("takes whatever a process is called", function()
      local token = unique()
      local odd = temp.dir() .. "/a) R 1 (b\nc"
      temp.write(odd, "#!/bin/sh\nsleep " .. token .. "; true\n")
      proc.must { "chmod", "+x", odd }
      local process = start(("'%s' &"):format(odd))
      proc.eventually(function() return running(token) >= 1 end, "the child")
      assert.equal(0, run(mark, "KILL", "tree", "", "").left)
      process:wait()
      assert.equal(0, running(token))
    end)

    it("leaves everything else alone", function()
      local token = unique()
      local process = start(("sleep %s &"):format(token))
      local report = run(mark .. "other", "KILL", "tree", "", "")
      assert.equal(0, report.found)
      assert(running(token) >= 1)
      run(mark, "KILL", "tree", "", "")
      process:wait(true)
    end)

    it("stops what forks as fast as it can", function()
      local process = start [[
        i=0; while [ $i -lt 8 ]; do
          sh -c 'while :; do sh -c "exec sleep 0.05" & wait; done' & i=$((i+1))
        done
      ]]
      local report = run(mark, "KILL", "tree", "", "")
      assert(report.found >= 8)
      assert.equal(0, report.left)
      process:wait()
    end)
  end)
end
