-- @runs native-root native-user
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local support = require "spec.support.cli"
local temp = e2e.temp

local function axolua(...) return support.run { ... } end

local function run_detached(...)
  local id = e2e.new_id()
  local result = axolua("run", "-d", "--name", id, "--dir", temp.dir "work", "--image",
    e2e.images.base(), "--allow-untrusted-image", "--network", "none", ...)
  assert.equal(0, result.code, result.stderr)
  assert.equal(id .. "\n", result.stdout)
  return id, result.stderr:match "axolua logs %-f %S+ (%S+);"
end

describe("what goes on when axolua has ended", function()
  e2e.housekeeping(_ENV)

  it("is a task of run -d, which logs finds without its name", function()
    local id, task = run_detached("sh", "-c",
      "for i in 1 2 3; do echo line $i; done; exec sleep 1000")
    e2e.proc.eventually(function()
      return axolua("logs", id).stdout:find "line 3\n"
    end, "its output")
    assert.equal("running", axolua("ps", "--tasks", "--json").stdout:match(
      '"id":"' .. task .. '"[^}]*"status":"(%l+)"'))
    local logs = axolua("logs", "--tail", "2", id)
    assert.equal("line 2\nline 3\n", logs.stdout, logs.stderr)
    assert.equal("line 1\nline 2\nline 3\n", axolua("logs", id, task).stdout)
    assert.equal("", axolua("logs", "-n", "0", id).stdout)
    assert.truthy(axolua("ps", "-q").stdout:find(id, 1, true))
    assert.equal(0, axolua("stop", id).code)
  end)

  it("is a session whose made-up name is told, with -q too", function()
    local dir = temp.dir "work"
    finally(function()
      for _, session in ipairs(assert(axo.list())) do
        if session.dir == dir then assert(axo.stop(session.id)) end
      end
    end)
    local result = axolua("run", "-q", "--keep", "--dir", dir, "--image", e2e.images.base(),
      "--allow-untrusted-image", "--network", "none", "echo", "said")
    assert.equal("said\n", result.stdout)
    local id = result.stderr:match "^axolua: the session (%S+) goes on\n$"
    assert.equal(0, axolua("exec", assert(id, result.stderr), "true").code)
  end)

  it("is followed from the last lines to its end", function()
    local dir = temp.dir "work"
    assert.equal(0, support.shell('mkfifo "$1/gate"', dir).code)
    local id = e2e.new_id()
    assert.equal(0, axolua("run", "-d", "-q", "--id", id, "--dir", dir, "--image",
      e2e.images.base(), "--allow-untrusted-image", "--network", "none", "sh", "-c",
      "echo one; echo two; read x < gate; echo $x; exit 5").code)
    local process = e2e.proc.start { support.axolua(), "logs", "-f", "-n", "1", id }
    process:wait_for "two\n"
    assert.equal(0, support.shell('echo three > "$1/gate"', dir).code)
    local result = process:wait()
    assert.equal("two\nthree\n", result.stdout, result.stderr)
    assert.equal(5, result.code)
    result = axolua("attach", id)
    assert.equal("one\ntwo\nthree\n", result.stdout)
    assert.equal(5, result.code)
    assert.equal(0, axolua("stop", id).code)
  end)

  it("is refused where its command is missing, and no session is left", function()
    local id = e2e.new_id()
    local result = axolua("run", "-d", "--name", id, "--dir", temp.dir "work", "--image",
      e2e.images.base(), "--allow-untrusted-image", "--network", "none", "no-such-command")
    assert.equal(127, result.code)
    assert.equal("", result.stdout)
    assert.is_nil(axolua("ps", "-q").stdout:find(id, 1, true))
  end)

  it("may be several of a session; then one is named", function()
    local id, first = run_detached("sleep", "1000")
    local result = axolua("exec", "-d", "-e", "A=1", "-w", "/", id, "sh", "-c",
      "echo $A; pwd; exec sleep 1000")
    assert.equal(0, result.code, result.stderr)
    local second = assert(result.stdout:match "^(t%x+)\n$")
    result = axolua("logs", id)
    assert.equal(125, result.code)
    assert.matches("which task of the session", result.stderr)
    assert.truthy(result.stderr:find(first, 1, true) and result.stderr:find(second, 1, true))
    assert.equal("1\n/\n", axolua("logs", id, second).stdout)
    assert.matches('"task":"t%x+"', axolua("exec", "-d", "--json", id, "true").stdout)
    assert.equal(0, axolua("stop", id).code)
  end)

  it("is left by a signal, and on a terminal by ctrl-c and the keys that detach", function()
    local id, task = run_detached("sh", "-c", "echo up; exec sleep 1000")
    local process = e2e.proc.start { support.axolua(), "attach", id, task }
    process:wait_for "up"
    process:kill "sigterm"
    assert.equal(143, process:wait().code)
    for typed, code in pairs { ["\3"] = 130, ["\16\17"] = 0 } do
      local screen = support.on_terminal('"$AXOLUA" attach "$1"', { id })
      screen.shows "up"
      screen.type(typed)
      assert.equal(code, screen.wait().code)
      assert.matches(task .. " goes on", screen.text)
    end
    assert.matches(task .. " +task +running", axolua("ps", "--tasks").stdout)
    assert.equal(0, axolua("stop", id).code)
  end)
end)

describe("axolua attach to a terminal", function()
  e2e.housekeeping(_ENV)

  it("shows what stands on it to several, who type; ctrl-p ctrl-q leaves it running", function()
    local id, term = run_detached("-it", "sh")
    assert.matches("^p%x+$", term)
    local one = support.on_terminal('"$AXOLUA" attach "$1"; echo "code $?"', { id }, { 24, 80 })
    one.type "PS1='ready'': '; stty size; echo a''b\n"
    one.shows "24 80.*ab"
    one.shows "ready: "
    local two = support.on_terminal('"$AXOLUA" attach "$1" "$2"', { id, term }, { 30, 100 })
    two.shows "ab.*ready:"
    two.type "stty size; echo c''d\n"
    two.shows "30 100"
    one.shows "cd"
    one.type "\16"
    one.type "\17"
    one.shows "goes on.*code 0"
    two.type "exit 7\n"
    assert.equal(7, two.wait().code)
    assert.equal(0, axolua("stop", id).code)
  end)

  it("does not answer anew what was asked long ago", function()
    local id = run_detached("-t", "sh", "-c", [[printf '\033[6nasked'; stty raw -echo; cat -v]])
    local screen = support.on_terminal('"$AXOLUA" attach "$1"', { id })
    screen.shows "asked"
    assert.is_nil(screen.text:find("\27[6n", 1, true))
    screen.type "\16\17"
    assert.equal(0, screen.wait().code)
    assert.equal(0, axolua("stop", id).code)
  end)
end)
