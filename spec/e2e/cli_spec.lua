-- @runs native-root
local e2e = require "spec.support.e2e"
local support = require "spec.support.cli"
local cjson = require "cjson"
local uv = require "luv"
local podman, proc, temp = e2e.podman, e2e.proc, e2e.temp
local on_terminal = support.on_terminal

-- The command line of a session for a test, of a command that takes them.
local function session_options(id, extra)
  local list = { "--id", id, "--image", e2e.images.base(), "--allow-untrusted-image",
    "--network", "none" }
  table.move(extra or {}, 1, #(extra or {}), #list + 1, list)
  return list
end

local function arguments(command, options, rest)
  local list = { command }
  table.move(options, 1, #options, #list + 1, list)
  if rest then
    list[#list + 1] = "--"
    table.move(rest, 1, #rest, #list + 1, list)
  end
  return list
end

local function run_arguments(command, extra, id)
  return arguments("run", session_options(id or e2e.new_id(), extra), command)
end

local function run(command, extra, opts)
  local id = e2e.new_id()
  local dir = temp.dir "pro ject"
  local options = { "--dir", dir }
  table.move(extra or {}, 1, #(extra or {}), #options + 1, options)
  local result = support.run(run_arguments(command, options, id), opts)
  assert.is_false(podman.exists("axo-ses-" .. id))
  return result, dir
end

-- A long-running one, with its standard streams in pipes.
local function start(list, opts)
  opts = opts or {}
  return proc.start({ support.axolua(), table.unpack(list) },
    { stdin = opts.stdin, env = proc.environment(opts.env), cwd = opts.cwd })
end

describe("axolua run", function()
  e2e.housekeeping(_ENV)

  it("runs the command in the directory and gives its output and exit code", function()
    local result, dir = run({ "sh", "-c", "pwd; echo out; echo err >&2; touch made; exit 3" })
    assert.equal(3, result.code, result.stderr)
    assert.equal(dir .. "\nout\n", result.stdout)
    assert.matches("err\n$", result.stderr)
    assert.truthy(uv.fs_stat(dir .. "/made"))
  end)

  it("takes the current directory by default, and one that is named from there", function()
    local dir = temp.dir "here"
    assert(uv.fs_mkdir(dir .. "/sub", 493))
    local result = support.run(run_arguments { "pwd" }, { cwd = dir })
    assert.equal(dir .. "\n", result.stdout, result.stderr)
    result = support.run(run_arguments({ "pwd" }, { "--dir", "sub" }), { cwd = dir })
    assert.equal(dir .. "/sub\n", result.stdout, result.stderr)
  end)

  it("streams bytes both ways unchanged", function()
    local bytes = temp.random_bytes(1024 * 1024)
    local result = run({ "cat" }, {}, { stdin = bytes })
    assert.equal(0, result.code, result.stderr)
    assert(result.stdout == bytes, "the bytes came back changed")
  end)

  it("streams output while the command runs", function()
    local dir = temp.dir "stream"
    proc.must { "mkfifo", dir .. "/gate" }
    local process = start(run_arguments({ "sh", "-c", "echo first; read -r go < gate; echo $go" },
      { "--dir", dir }))
    process:wait_for "first\n"
    assert.is_true(process:is_running())
    proc.must { "/bin/sh", "-c", 'echo second > "$1"', "sh", dir .. "/gate" }
    assert.equal("first\nsecond\n", process:wait().stdout)
  end)

  it("gives the codes that shells give: 126, 127, 128 + n", function()
    assert.equal(127, run({ "no-such-command" }).code)
    assert.equal(126, run({ "/etc/passwd" }).code)
    assert.equal(143, run({ "sh", "-c", "kill -TERM $$" }).code)
    assert.equal(200, run({ "sh", "-c", "exit 200" }).code)
  end)

  it("ends the command at --timeout with 124", function()
    local result = run({ "sh", "-c", "trap '' TERM; echo up; sleep 1000" }, { "--timeout", "2" })
    assert.equal(124, result.code)
    assert.matches("longer than 2 s", result.stderr)
  end)

  it("passes variables, with a value or from here", function()
    local result = run({ "sh", "-c", 'echo "$ONE|$TWO"' }, { "--env", "ONE=a b=c", "--env", "TWO" },
      { env = { TWO = "from here" } })
    assert.equal("a b=c|from here\n", result.stdout, result.stderr)
  end)

  it("applies limits, or refuses when they are required and have no effect", function()
    local result = run({ "true" }, { "--memory", "256m", "--pids", "99", "--cpus", "0.5",
      "--require-resource-limits" })
    if result.code == 0 and podman.has_own_cgroup() or podman.is_root() then
      assert.equal(0, result.code, result.stderr)
    else
      assert.equal(125, result.code)
      assert.matches("limits", result.stderr)
    end
  end)

  for signal, code in pairs { sigint = 130, sigterm = 143, sighup = 129, sigquit = 131 } do
    it(("ends everything on %s and exits with %d"):format(signal, code), function()
      local id = e2e.new_id()
      local process = start(run_arguments({ "sh", "-c", "echo up; sleep 1000" },
        { "--dir", temp.dir "work" }, id))
      process:wait_for "up"
      process:kill(signal)
      local result = process:wait()
      assert.equal(code, result.code, result.stderr)
      assert.is_false(podman.exists("axo-ses-" .. id))
    end)
  end

  it("that is interrupted while it starts leaves nothing behind", function()
    local id = e2e.new_id()
    local program, calls = podman.recording('case $* in *"run "*) sleep 1000 ;; esac')
    local process = start(run_arguments({ "true" }, { "--dir", temp.dir "work" }, id),
      { env = { AXOSANDBOX_PODMAN = program } })
    proc.eventually(function()
      for _, call in ipairs(calls()) do
        if call:find "^run " then return true end
      end
    end, "podman run")
    process:kill "sigint"
    local result = process:wait()
    assert.equal(130, result.code, result.stderr)
    assert.is_false(podman.exists("axo-ses-" .. id))
  end)

  it("ends with its reader", function()
    local id = e2e.new_id()
    local list = run_arguments({ "yes" }, { "--dir", temp.dir "work" }, id)
    local result = proc.run({ "/bin/sh", "-c", '"$@" | head -n 3', "sh", support.axolua(),
      table.unpack(list) })
    assert.equal("y\ny\ny\n", result.stdout, result.stderr)
    assert.is_false(podman.exists("axo-ses-" .. id))
  end)

  it("shows warnings on stderr, with -q those of what was asked for", function()
    local extra = { "--dir", temp.dir "work", "--image", "docker.io/library/no-such-image:1" }
    local result = support.run(arguments("run", { "--network", "none", table.unpack(extra) },
      { "echo", "ran" }))
    if result.code == 0 then
      assert.equal("ran\n", result.stdout)
      assert.matches("axolua: warning: ", result.stderr)
      result = support.run(arguments("run", { "-q", "--network", "none", table.unpack(extra) },
        { "echo", "ran" }))
      assert.matches("^axolua: warning: [^\n]*no%-such%-image", result.stderr)
      for line in result.stderr:gmatch "[^\n]+" do assert.matches("alpine", line) end
    else
      assert.matches("no%-such%-image", result.stderr)
    end
  end)
end)

describe("a session that is kept", function()
  e2e.housekeeping(_ENV)
  local id, dir
  setup(function()
    id, dir = e2e.new_id(), temp.dir "kept"
    local result = support.run(run_arguments({ "sh", "-c", "echo started > note" },
      { "--dir", dir, "--keep" }, id))
    assert.equal(0, result.code, result.stderr)
    assert.matches("axolua stop " .. id, result.stderr, 1, true)
  end)

  it("is listed, for people and for scripts", function()
    local result = support.run { "ps" }
    assert.equal(0, result.code, result.stderr)
    assert.matches("^ID +STATE", result.stdout)
    assert.truthy(result.stdout:find(id, 1, true))
    local found
    for _, session in ipairs(cjson.decode(support.run({ "ps", "--json", "--tasks" }).stdout)) do
      if session.id == id then found = session end
    end
    assert.equal(dir, found.dir)
    assert.equal("running", found.state)
    assert.is_false(found.owner_alive)
    assert.is_true(found.kept)
    assert.same({}, found.tasks)
  end)

  it("takes commands by exec, with stdin, environment, directory and exit code", function()
    local result = support.run({ "exec", id, "--env", "X=1", "--cwd", "/tmp", "--",
      "sh", "-c", "cat; pwd; echo $X; exit 9" }, { stdin = "typed\n" })
    assert.equal(9, result.code, result.stderr)
    assert.equal("typed\n/tmp\n1\n", result.stdout)
    assert.equal("started\n", support.run({ "exec", id, "--", "cat", "note" }).stdout)
  end)

  it("says what a command left running, and that goes on", function()
    local command = { "exec", id, "--", "sh", "-c", "sleep 1000 & echo $! >pid" }
    local result = support.run(command)
    assert.equal(0, result.code)
    assert.matches("1 process that the command started still runs", result.stderr)
    table.insert(command, 3, "--json")
    local outcome = cjson.decode(support.run(command).stdout)
    assert.equal(1, outcome.left_running)
    result = support.run { "exec", id, "--", "sh", "-c", "kill $(cat pid)" }
    assert.same({ 0, "" }, { result.code, result.stderr })
  end)

  it("says so when the output of a command cannot be written", function()
    for _, words in ipairs { { "-T" }, { "--json" } } do
      local result = proc.run({ "/bin/sh", "-c", 'exec "$@" >/dev/full', "sh", support.axolua(),
        "exec", id, words[1], "--", "echo", "x" })
      assert.equal(125, result.code)
      assert.matches("stdout could not be written: .*no space left", result.stderr)
    end
  end)

  it("is not lost to another run of its name", function()
    local before = podman.id("axo-ses-" .. id)
    for _, where in ipairs { dir, temp.dir "elsewhere" } do
      local result = support.run(run_arguments({ "true" }, { "--dir", where, "-q" }, id))
      assert.equal(125, result.code)
      assert.matches("runs already, over " .. dir, result.stderr, 1, true)
      assert.matches("axolua stop " .. id, result.stderr, 1, true)
    end
    assert.equal(before, podman.id("axo-ses-" .. id))
    if not podman.has_own_cgroup() then return end
    podman.must("pause", "axo-ses-" .. id)
    local result = support.run(run_arguments({ "true" }, { "--dir", dir }, id))
    podman.must("unpause", "axo-ses-" .. id)
    assert.equal(125, result.code)
    assert.equal(before, podman.id("axo-ses-" .. id))
  end)

  it("is reused by run --keep with its id", function()
    local before = podman.id("axo-ses-" .. id)
    local result = support.run(run_arguments({ "sh", "-c", "cat note; echo $ONE" },
      { "--dir", dir, "--keep", "--env", "ONE=1", "--optional-port", "3000" }, id))
    assert.equal("started\n1\n", result.stdout, result.stderr)
    local is_native = os.getenv "AXOSANDBOX_PATH" ~= "portable"
    assert.matches(is_native and "port 3000 is reached no longer; axolua port " .. id
      or "warning: no port is published", result.stderr, 1, is_native)
    assert.equal(before, podman.id("axo-ses-" .. id))
  end)

  it("would be reaped, is spared by --except, and is removed by stop", function()
    local foreseen = cjson.decode(support.run({ "reap", "-n", "--force", "--json" }).stdout)
    local named = false
    for _, session in ipairs(foreseen.removed) do named = named or session.id == id end
    assert.is_true(named)
    local spared = support.run { "reap", "--dry-run", "--except", id }
    assert.truthy(spared.stdout:find("left alone " .. id, 1, true))
    assert.is_true(podman.exists("axo-ses-" .. id))
    local result = support.run { "stop", id, "--json" }
    assert.equal(0, result.code, result.stderr)
    assert.is_true(cjson.decode(result.stdout)[1].stopped)
    assert.is_false(podman.exists("axo-ses-" .. id))
  end)

  it("that is gone is an error that says what to do", function()
    for _, list in ipairs { { "exec", id, "--", "true" }, { "stop", id }, { "logs", id, "x" } } do
      local result = support.run(list)
      assert.equal(125, result.code)
      assert.equal(("axolua: there is no session %s\n        axolua ps lists them\n"):format(id),
        result.stderr)
    end
  end)
end)

describe("axolua logs", function()
  e2e.housekeeping(_ENV)

  it("prints what a task of another process has printed, and follows it to its end", function()
    local sb = e2e.start()
    local gate = sb:root() .. "/gate"
    proc.must { "mkfifo", gate }
    local task = assert(sb:spawn_background(
      "echo one; read -r word < gate; echo $word; exit 6"))
    proc.eventually(function() return task:log():find "one\n" end, "the first line")
    local result = support.run { "logs", sb:id(), "other" }
    assert.equal(125, result.code)
    assert.equal("axolua: there is no task other in this session\n"
      .. "        axolua ps --tasks lists them\n", result.stderr)
    result = support.run { "logs", sb:id(), task.id }
    assert.equal("one\n", result.stdout, result.stderr)
    local follower = start { "logs", "-f", sb:id(), task.id }
    follower:wait_for "one\n"
    local listed = cjson.decode(support.run({ "ps", "--tasks", "--json" }).stdout)
    for _, session in ipairs(listed) do
      if session.id == sb:id() then
        assert.equal(task.id, session.tasks[1].id)
        assert.equal("running", session.tasks[1].status)
      end
    end
    proc.must { "/bin/sh", "-c", 'echo two > "$1"', "sh", gate }
    result = follower:wait()
    assert.equal("one\ntwo\n", result.stdout, result.stderr)
    assert.equal(6, result.code)
    assert(sb:stop())
  end)

  describe("-f ends at once", function()
    local sb
    setup(function() sb = e2e.start() end)
    teardown(function() sb:stop() end)

    it("at ctrl-c, with 130", function()
      local task = assert(sb:spawn_background "echo one; exec sleep 1000")
      local follower = start { "logs", "-f", sb:id(), task.id }
      follower:wait_for "one\n"
      follower:kill "sigint"
      local result = follower:wait()
      assert.equal(130, result.code, result.stderr)
      assert.equal("one\n", result.stdout)
      assert.equal("running", task:status())
      assert(task:stop())
    end)

    for how, command in pairs { quiet = "echo one; exec sleep 1000",
      noisy = "echo one; while :; do echo more; sleep 0.05; done" } do
      it("with its reader, with 141: of a task that is " .. how, function()
        local task = assert(sb:spawn_background(command))
        local result = proc.run({ "/bin/sh", "-c", '{ "$@"; echo "code $?" >&2; } | head -n 1',
          "sh", support.axolua(), "logs", "-f", sb:id(), task.id })
        assert.equal("one\n", result.stdout)
        assert.equal("code 141\n", result.stderr)
        assert(task:stop())
      end)
    end

    it("with its task, with the code of that, a signal's too", function()
      for command, code in pairs { ["exit 6"] = 6, ["kill -KILL $$"] = 137 } do
        local task = assert(sb:spawn_background(command))
        local result = support.run { "logs", "-f", sb:id(), task.id }
        assert.equal(code, result.code, result.stderr)
      end
    end)
  end)
end)

describe("axolua shell", function()
  e2e.housekeeping(_ENV)
  local SCRIPT = [[
    before=$(stty -g)
    "$AXOLUA" "$@"
    code=$?
    [ "$(stty -g)" = "$before" ] && echo "terminal as before, code $code"
  ]]

  local function shell(extra, size)
    local id = e2e.new_id()
    local options = session_options(id, { "--dir", temp.dir "shell" })
    table.move(extra or {}, 1, #(extra or {}), #options + 1, options)
    return on_terminal(SCRIPT, arguments("shell", options), size), id
  end

  it("is a real terminal: size, resize, control characters, exit code, restored", function()
    local screen, id = shell({}, { 31, 97 })
    screen.type "tty; stty size\r"
    screen.shows "/dev/pts/%d+"
    screen.shows "31 97"
    screen.resize(40, 120)
    proc.eventually(function()
      screen.type "stty size\r"
      e2e.pause(0.2)
      return screen.text:find "40 120"
    end, "the new size")
    screen.type "echo st''arted; sleep 1000\r"
    screen.shows "started"
    -- The shell drops what was typed ahead when it takes the terminal back.
    proc.eventually(function()
      screen.type "\3"
      e2e.pause(0.3)
      screen.type "echo int''errupted\r"
      e2e.pause(0.3)
      return screen.text:find "interrupted\r"
    end, "the prompt after ctrl-c")
    screen.type "exit 7\r"
    screen.wait()
    screen.shows "terminal as before, code 7"
    assert.is_false(podman.exists("axo-ses-" .. id))
  end)

  it("puts the terminal back when it is killed by a signal", function()
    local screen, id = shell()
    screen.type "echo re''ady\r"
    screen.shows "ready"
    local pid = proc.must({ "/bin/sh", "-c",
      "cat /proc/" .. screen.pid() .. "/task/*/children" }):match "%d+"
    assert(uv.kill(tonumber(pid), "sigterm"))
    screen.wait()
    screen.shows "terminal as before, code 143"
    assert.is_false(podman.exists("axo-ses-" .. id))
  end)

  it("puts the terminal back when its session is taken away", function()
    local screen, id = shell()
    screen.type "echo re''ady\r"
    screen.shows "ready"
    podman.must("rm", "-f", "-t", "0", "axo-ses-" .. id)
    screen.wait()
    screen.shows "terminal as before, code %d+"
  end)

  it("reads its commands from stdin where there is no terminal", function()
    local id = e2e.new_id()
    local list = arguments("shell", session_options(id, { "--dir", temp.dir "piped" }))
    local result = support.run(list, { stdin = "echo piped\nexit 5\n" })
    assert.equal("piped\n", result.stdout, result.stderr)
    assert.equal(5, result.code)
  end)

  it("and run and exec give a program a terminal, but not with -T", function()
    local id = e2e.new_id()
    local screen = on_terminal(SCRIPT,
      run_arguments({ "tty" }, { "--dir", temp.dir "tty", "--keep" }, id))
    screen.wait()
    screen.shows "/dev/pts/%d+.*terminal as before, code 0"
    screen = on_terminal(SCRIPT, { "exec", id, "--", "tty" })
    screen.wait()
    screen.shows "/dev/pts/%d+.*terminal as before, code 0"
    -- What is undone is what was done.
    for printed, undone in pairs {
      ["plain"] = "plain", ["\\033[?25l\\033[?1049h"] = "\27[?25l\27[?1049h\27[?25h\27[?1049l",
    } do
      screen = on_terminal(SCRIPT, { "exec", id, "--", "sh", "-c", "printf '" .. printed
        .. "'; kill -INT $$" })
      screen.wait()
      screen.shows "terminal as before, code 130"
      assert.equal(undone .. "terminal as before, code 130\r\n", screen.text)
    end
    screen = on_terminal(SCRIPT, { "exec", "-T", id, "--", "tty" })
    screen.wait()
    screen.shows "not a tty.*terminal as before, code 1"
    assert.equal(0, support.run({ "stop", id }).code)
  end)

  it("and exec give the codes that shells give, on a terminal too", function()
    local id = e2e.new_id()
    assert.equal(0, support.run(run_arguments({ "true" },
      { "--dir", temp.dir "codes", "--keep" }, id)).code)
    for _, case in ipairs {
      { 127, "no-such-command" }, { 126, "/etc/passwd" }, { 200, "sh", "-c", "exit 200" },
      { 143, "sh", "-c", "kill -TERM $$" },
    } do
      local screen = on_terminal(SCRIPT, { "exec", id, "--", table.unpack(case, 2) })
      screen.wait()
      screen.shows("terminal as before, code " .. case[1])
    end
    local screen = on_terminal(SCRIPT, { "exec", "--timeout", "2", id, "--", "sleep", "1000" })
    screen.wait()
    screen.shows "longer than 2 s.*terminal as before, code 124"
    assert.equal(0, support.run({ "stop", id }).code)
  end)
end)

describe("axolua run on a terminal", function()
  e2e.housekeeping(_ENV)

  -- Lets the library ask without a project of its own: what asks is policy.
  local CODE = [[
    local axo, confirm = require "axosandbox", require "axolua.sandbox.confirm"
    assert(confirm.is_possible())
    local sb <close> = assert(axo.start {
      id = arg[1], dir = arg[2], image = arg[3], post_create = { "echo \27[2Jran > ran" },
      confirm = confirm.ask,
      policy = { network = "none", allow_untrusted_image = true, post_create = function(r)
        return { run = false, ask = true, commands = r.commands, timeout = 60,
          on_failure = "fail" }
      end },
    })
    print("session", sb:exec({ "cat", "ran" }).code)
  ]]

  for typed, code in pairs { ["y\r"] = 0, ["no\r"] = 1, ["\4"] = 1, ["\r"] = 1 } do
    it(("asks, and takes %q"):format(typed), function()
      local file = temp.write(temp.dir() .. "/ask.lua",
        ("package.path = %q .. package.path\n"):format(support.lua_path()) .. CODE)
      local screen = on_terminal('exec "$AXOLUA" "$@"',
        { file, e2e.new_id(), temp.dir "project", e2e.images.base() })
      screen.shows "let it%? %[y/N%] "
      assert.is_nil(screen.text:find("\27[2J", 1, true))
      screen.type(typed)
      screen.shows("session%s+" .. code)
      assert.equal(0, screen.wait().code)
    end)
  end
end)
