-- @runs native-root native-user
local uv = require "luv"
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"

-- What differs between any two containers.
local OWN = { HOSTNAME = true, AXOSANDBOX_WORK = true }

local STATUS = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Umask|SigIgn|SigBlk)' "
  .. "/proc/self/status"
-- Of two limits the guest leaves most to the host: native_hostile_spec.
local SURROUNDINGS = [[
env | grep -v '^_=' | sort
id; id -un; id -gn; umask; pwd; echo "$HOME"; echo "$0"
]] .. STATUS .. [[

grep -vE '^Max (pending signals|msgqueue size) ' /proc/self/limits
ls /proc/self/fd | grep -vx 3 | wc -l
for n in 0 1 2; do test -t $n; echo $?; done
]]

-- On a terminal.
local TERMINAL = [[
stty size; tty | sed 's/[0-9]*$//'; stty -a | sed 's/^speed.*//'; test -t 0; echo $?
echo "$TERM"; cut -d' ' -f1,5,6,8 /proc/self/stat | { read -r pid group session front
[ "$group" = "$front" ]; echo "in front $?"; }
set -m; sleep 1000 & jobs | sed 's/^/job /'; kill %1; wait %1; echo "job ended $?"
env | grep -vE '^(HOSTNAME|AXOSANDBOX_WORK|_)=' | sort]]

describe("both paths, side by side:", function()
  e2e.housekeeping(_ENV)

  local function start_pair(changes)
    local dir = e2e.temp.dir "project"
    local function options()
      local copy = { dir = dir }
      for key, value in pairs(changes or {}) do copy[key] = value end
      return copy
    end
    local pair = { native.start(options()), e2e.on_portable(function()
      return e2e.start(options())
    end) }
    assert.equal("portable", pair[2]:path())
    return pair
  end

  local function stop(pair)
    for _, sb in ipairs(pair or {}) do assert(sb:stop()) end
  end

  local function cleaned(text)
    local lines = {}
    for line in text:gmatch "[^\n]*\n?" do
      if not OWN[line:match "^([%w_]+)="] then lines[#lines + 1] = line end
    end
    -- The first process of a container whose image has a user has its group twice, and what
    -- the guest has it gives on; podman exec gives it once. It grants nothing.
    local text_left = table.concat(lines):gsub("(gid=(%d+%b())) groups=%2\n", "%1\n")
    return (text_left:gsub("(\nGid:\t(%d+)[^\n]*\nGroups:\t)%2 ", "%1 "))
  end

  local function outcome(sb, argv, opts)
    local r, err = sb:exec(argv, opts or {})
    if not r then return { error = err.code } end
    return { stdout = cleaned(r.stdout), stderr = r.stderr, code = r.code, signal = r.signal,
      timed_out = r.timed_out, ok = r:ok() }
  end

  local function assert_alike(pair, argv, opts)
    local here, there = outcome(pair[1], argv, opts), outcome(pair[2], argv, opts)
    assert.same(there, here)
    return here
  end

  local function assert_shell_alike(pair, script, opts)
    return assert_alike(pair, { "sh", "-c", script }, opts)
  end

  local function assert_all_alike(pair, opts)
    local r = assert_shell_alike(pair, SURROUNDINGS, opts)
    assert.is_nil(r.error)
    assert.matches("NoNewPrivs:\t1\n", r.stdout)
  end

  local IMAGES = {
    { "busybox", "base" }, { "one with tools of Debian's kind", "debian" },
    { "one with a user", "user" }, { "one with an entry point", "entrypoint" },
  }
  for _, image in ipairs(IMAGES) do
    it("a command in " .. image[1] .. " finds the same surroundings", function()
      local pair = start_pair { image = e2e.images[image[2]](),
        env = { OF_SESSION = "a b", HOME_OF = "x" } }
      assert_all_alike(pair)
      assert_all_alike(pair, { env = { OF_COMMAND = "c\nd", OF_SESSION = "other" }, cwd = "/tmp" })
      stop(pair)
    end)
  end

  describe("in one image,", function()
    local pair
    setup(function() pair = start_pair() end)
    teardown(function() stop(pair) end)

    for _, user in ipairs { "root", "worker", "1000", "worker:root", "4242", "4242:4343",
      "worker:4343" } do
      it("a command of user " .. user .. " finds the same", function()
        assert_all_alike(pair, { user = user })
      end)
    end

    for _, user in ipairs { "nobody-at-all", "worker:no-such-group", ":", "-1",
      "99999999999999999999", "worker:root:x" } do
      it("a user that is not there, " .. user .. ", is the same error", function()
        assert.truthy(assert_alike(pair, { "id" }, { user = user }).error)
      end)
    end

    -- Not those that podman exec cannot tell from a signal: 129 to 159.
    local ENDS = { "exit 1", "exit 125", "exit 126", "exit 127", "exit 128", "exit 160",
      "exit 255", "kill -TERM $$", "kill -KILL $$", "kill -PIPE $$", "kill -USR1 $$",
      "kill -SEGV $$", "kill -ABRT $$", "kill -QUIT $$" }
    it("codes and signals at the end are told alike", function()
      for _, script in ipairs(ENDS) do
        assert.same({ script, outcome(pair[2], { "sh", "-c", script }) },
          { script, outcome(pair[1], { "sh", "-c", script }) })
      end
    end)

    it("what cannot be started is the same error", function()
      assert(pair[1]:write_file("plain", "no program\n"))
      assert(pair[1]:write_file("wrong", "#!/no/such/interpreter\n"))
      assert(pair[1]:exec { "chmod", "755", "wrong" })
      assert.equal("NOT_FOUND", assert_alike(pair, { "no-such-command" }).error)
      assert.equal("NOT_FOUND", assert_alike(pair, { "/no/such/command" }).error)
      assert.equal("NOT_EXECUTABLE", assert_alike(pair, { "./plain" }).error)
      assert.equal("NOT_EXECUTABLE", assert_alike(pair, { "/tmp" }).error)
      assert.equal("NOT_EXECUTABLE", assert_alike(pair, { "./wrong" }).error)
      assert.truthy(assert_alike(pair, { "" }).error)
      assert.equal("NO_DIRECTORY", assert_alike(pair, { "true" }, { cwd = "/no/such" }).error)
      assert.equal("NO_DIRECTORY", assert_alike(pair, { "true" }, { cwd = "/etc/passwd" }).error)
    end)

    it("a command is found in the session's PATH, not in the command's own or the host's",
      function()
        assert_alike(pair, { "env" }, { env = { PATH = "/nowhere" } })
        assert_alike(pair, { "busybox", "true" }, { env = { PATH = "/bin" } })
      end)

    it("a directory has the same entries, and no more of them than are asked for", function()
      local dir = pair[1]:root() .. "/many"
      e2e.proc.must { "mkdir", dir }
      for i = 1, 500 do e2e.temp.write(("%s/%d"):format(dir, i), ("x"):rep(i)) end
      assert(uv.fs_symlink("1", dir .. "/link"))
      local entries = assert(pair[1]:list_dir "many")
      assert.equal(501, #entries)
      assert.same(assert(pair[2]:list_dir "many"), entries)
      for _, sb in ipairs(pair) do
        local err, few
        assert(sb.way:list_dir("many", 400, function(...) err, few = ... end))
        e2e.eventually(function() return err or few end)
        assert.same({ nil, 400, true }, { err, #few, few.truncated })
      end
    end)

    it("time-outs end alike", function()
      assert_shell_alike(pair, "echo before; exec sleep 1000", { timeout = 1 })
      assert_shell_alike(pair, "trap 'echo bye; exit 7' TERM; while :; do :; done",
        { timeout = 1 })
    end)

    it("arguments arrive as they were", function()
      assert_alike(pair, { "printf", "[%s]", "", " ", "a\nb", "$HOME", "*", "\\", "\"", "'",
        "ä€😀", "--", "-x" })
    end)

    it("tasks tell the same end and print the same", function()
      for _, script in ipairs { "echo out; echo err >&2; exit 3", "kill -KILL $$", "exit 200",
        "id; pwd; umask; " .. STATUS } do
        local told = {}
        for i, sb in ipairs(pair) do
          local task = assert(sb:spawn_background(script))
          local status = assert(task:wait())
          told[i] = { task:status(), task:log(), status }
        end
        assert.same(told[2], told[1])
      end
    end)

    it("a terminal is the same to its program", function()
      for _, opts in ipairs { { rows = 31, cols = 99 }, { rows = 31, cols = 99, user = "worker",
        env = { TERM = "vt100" } } } do
        local seen = {}
        for i, sb in ipairs(pair) do
          local term = assert(sb:spawn_pty({ "sh", "-c", "sleep 0.3; " .. TERMINAL }, opts))
          assert(term:wait())
          -- The shell may or may not come to say so before it waits.
          seen[i] = term:snapshot():gsub("[^\n]*Terminated[^\n]*\n", "")
        end
        assert.equal(seen[2], seen[1])
      end
    end)
  end)

  it("what policy gives a session holds on both", function()
    local pair = start_pair { policy = { user = "worker",
      limits = { memory = "128m", pids = 100, cpus = 1 } } }
    assert_all_alike(pair)
    assert.same(pair[2]:limits(), pair[1]:limits())
    stop(pair)
  end)

  it("so do the errors of a session that is stopped", function()
    local pair = start_pair()
    stop(pair)
    assert.equal("STOPPED", assert_alike(pair, { "true" }).error)
    assert.is_nil((axo.open(pair[1]:id())))
  end)
end)
