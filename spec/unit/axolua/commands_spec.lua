local support = require "spec.support.cli"
local temp = require "spec.support.temp"
local janitor = require "spec.support.janitor"

local COMMANDS = {
  "run", "shell", "exec", "attach", "cp", "ps", "logs", "stats", "port", "stop", "reap",
  "image", "audit", "policy", "mcp", "doctor", "completion", "version", "help",
}

describe("axolua's command line", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  it("lists every command in help, and each explains itself", function()
    local help = support.run { "help" }
    assert.equal(0, help.code)
    for _, name in ipairs(COMMANDS) do
      assert.matches("\n  " .. name .. " +%l", help.stdout)
      local own = support.run { name, "--help" }
      assert.equal(0, own.code)
      assert.matches("^Usage: axolua " .. name, own.stdout)
      assert.equal(own.stdout, support.run({ "help", name }).stdout)
      assert.equal("", own.stderr)
    end
    assert.matches("\n  env ", help.stdout)
    for _, code in ipairs { "124", "125", "126", "127", "128%+n" } do
      assert.matches("exit status:.*\n  " .. code .. " +%a", help.stdout)
    end
    assert.matches("\n  %-%-version ", help.stdout)
  end)

  it("without a command shows the help and exits with 2", function()
    local result = support.run {}
    assert.equal(2, result.code)
    assert.matches("commands:", result.stdout)
  end)

  local WRONG = {
    { { "frobnicate" }, "there is no command" },
    { { "run" }, "no command to run" },
    { { "run", "--" }, "no command to run" },
    { { "run", "--dir", "--", "true" }, "%-%-dir.* requires an argument" },
    { { "run", "--port", "0", "--", "true" }, "not a port number" },
    { { "run", "--port", "http", "--", "true" }, "not a port number" },
    { { "run", "--timeout", "soon", "--", "true" }, "%-%-timeout" },
    { { "run", "--timeout=-1", "--", "true" }, "timeout" },
    { { "run", "--pids", "1.5", "--", "true" }, "whole number" },
    { { "run", "--network", "host", "--", "true" }, "network" },
    { { "run", "--id", "../x", "--", "true" }, "is not an id" },
    { { "run", "--env", "a b=c", "--", "true" }, "%-%-env" },
    { { "run", "--privilged", "--", "true" }, "unknown option" },
    { { "exec", "--", "true" }, "id" },
    { { "exec", "demo" }, "no command to run" },
    { { "image", "prune" }, "^axolua: image prune: not here: .*podman image prune" },
    { { "image", "build", "." }, "image build: not here: .*image make" },
    { { "image", "frobnicate" }, "unknown command 'frobnicate'" },
    { { "reap", "-f" }, "^axolua: %-f: not here: .*%-%-force" },
    { { "stats", "-a" }, "^axolua: %-a: not here: .*prints once" },
    { { "run", "-m", "512", "true" }, "512 bytes are too few.*did you mean 512m%?" },
    { { "run", "-p", "3000-3005:3000-3005", "true" }, "named by itself: %-p 3000 %-p 3001" },
    { { "stop" }, "which session%? give its id, or %-%-all" },
    { { "stop", "--all", "demo" }, "not both" },
    { { "stop", "--yes", "demo" }, "goes with %-%-all" },
    { { "stop", "-t", "0", "demo" }, "^axolua: %-t: not here: .*at once" },
    { { "ps", "-q", "--json" }, "can not be used together" },
    { { "ps", "--format", "{{.ID}}" }, "^axolua: %-%-format: not here: .*%-%-json" },
    { { "logs", "--timestamps", "demo" }, "^axolua: %-%-timestamps: not here: .*audit" },
    { { "logs", "--tail", "some", "demo" }, "%-%-tail: .*whole number" },
    { { "audit", "--since", "soon" }, "%-%-since: .*neither a time" },
    { { "audit", "--tail", "-1" }, "%-%-tail: .*whole number" },
    { { "run", "--env-file", "/axo/nowhere", "true" }, "env%-file: /axo/nowhere: no such file" },
    { { "run", "--env-file", "/", "true" }, "%-%-env%-file: /: it is a directory" },
    { { "stop", "-x" }, "unknown option" },
    { { "logs" }, "id" },
    { { "logs", "demo", "t", "-f", "--json" }, "can not be used together" },
    { { "stats", "--interval", "0" }, "interval" },
    { { "stats", "../x" }, "is not an id" },
    { { "port", "-x" }, "unknown option" },
    { { "completion", "tcsh" }, "bash" },
    { { "completion", "tasks" }, "which session" },
    { { "mcp", "--timeout", "soon" }, "%-%-timeout" },
    { { "run", "--memory", "lots", "--", "true" }, "%-%-memory: .*512m" },
    { { "mcp", "extra" }, "too many" },
    { { "run", "--memory", "1", "--", "true" }, "%-%-memory: .*6m" },
    { { "help", "frobnicate" }, "there is no command" },
    { { "run", "--dir", "", "--", "true" }, "%-%-dir: .*empty" },
    { { "shell", "--dir=" }, "%-%-dir: .*empty" },
    { { "mcp", "--dir", "" }, "%-%-dir: .*empty" },
    { { "policy", "show", "--dir", "" }, "%-%-dir: .*empty" },
    { { "policy", "show", "--image", "" }, "%-%-image: .*empty" },
    { { "policy", "check", "--as", "exec", "" }, "the file: .*empty" },
    { { "run", "--image", "", "--", "true" }, "%-%-image: .*empty" },
    { { "run", "--devcontainer", "", "--", "true" }, "%-%-devcontainer: .*empty" },
    { { "run", "--id", "", "--", "true" }, "is not an id" },
    { { "exec", "demo", "--cwd", "", "--", "true" }, "%-%-cwd: .*empty" },
    { { "exec", "demo", "--user", "", "--", "true" }, "%-%-user: .*empty" },
    { { "audit", "--file", "" }, "%-%-file: .*empty" },
    { { "audit", "--event", "bogus" }, "%-%-event.* must be one of .*exec" },
    { { "rnu", "--", "true" }, 'there is no command "rnu"; did you mean \'run\'%?' },
    { { "run", "--cpus", "-1", "--", "true" }, '^axolua: %-%-cpus: "%-1" is not a number' },
    { { "run", "--pids", "-1", "--", "true" }, '^axolua: %-%-pids: "%-1" is not a whole' },
    { { "stats", "--interval", "-.5" }, '^axolua: %-%-interval: "%-.5" is not a number' },
    { { "policy", "show", "--nope" }, "axolua policy show .*see: axolua policy show %-%-help" },
    { { "policy", "check" }, "axolua policy check .*see: axolua policy check %-%-help" },
    { { "env", "foo" }, "env takes no arguments" },
    { { "logs", "demo", "" }, "the task: .*empty" },
    { { "run", "--port", "8080:80", "--", "true" }, "same number.*%-%-port 80" },
    { { "run", "--port", "127.0.0.1:8080:80", "--", "true" }, "same number.*%-%-port 80" },
    { { "run", "-p", "0.0.0.0:80:80", "true" }, "publish_address.*type %-%-port 80" },
    { { "run", "-p", "80:80/udp", "true" }, "only TCP" },
    { { "run", "-p", "80:", "true" }, "not a port number" },
    { { "run", "--rm", "--keep", "true" }, "can not be used together" },
    { { "run", "--privileged", "alpine", "ls" }, "^axolua: %-%-privileged: not here: .*policy" },
    { { "run", "--gpus", "all", "x" }, "^axolua: %-%-gpus: not here: .*podman run" },
    { { "run", "--network", "host", "x" }, "^axolua: %-%-network host: not here: .*%-p N" },
    { { "run", "--net=container:x", "x" }, "^axolua: %-%-net container:x: not here: .*bridge" },
    { { "run", "-itl", "a=b", "x" }, "^axolua: %-l: not here: .*%-%-name" },
    { { "run", "--platform", "linux/arm64", "x" }, "own processor" },
    { { "shell", "-c", "ls" }, "^axolua: %-c: not here: .*axolua run sh %-c" },
    { { "shell", "--cap-add", "SYS_ADMIN" }, "^axolua: %-%-cap%-add: not here: " },
    { { "exec", "--privileged", "demo", "ls" }, "^axolua: %-%-privileged: not here: " },
    { { "run", "--health-interval", "5s", "x" }, "^axolua: %-%-health%-interval: not here: " },
    { { "run", "-d", "--rm", "x" }, "%-d and %-%-rm: .*axolua stop ID" },
    { { "exec", "-d", "--timeout", "3", "demo", "x" }, "%-d and %-%-timeout: .*`timeout S`" },
    { { "attach" }, "id" },
    { { "run", "-v", "data:/x", "true" }, "there are no named volumes" },
    { { "exec", "-v", "/a:/b", "demo", "ls" }, "^axolua: %-v: not here: .*axolua run %-v" },
    { { "images" }, 'no command "images": .*axolua image ls ' },
    { { "cp", "a" }, "dst" },
    { { "cp", "a", "./b:c" }, "one of the two is ID:PATH" },
    { { "cp", "a:x", "b:y" }, "by way of this host" },
    { { "cp", "-", "demo:x" }, "no archives" },
    { { "rm", "demo" }, 'no command "rm": axolua stop ID' },
    { { "run", "--env-from", "PATH=file:/x", "--", "true" }, "^axolua: %-%-env%-from: PATH" },
  }
  for _, case in ipairs(WRONG) do
    it("refuses `axolua " .. table.concat(case[1], " ") .. "` with code 2", function()
      local result = support.run(case[1])
      assert.equal(2, result.code)
      assert.equal("", result.stdout)
      assert.matches(case[2], result.stderr)
      assert.matches("axolua .*help", result.stderr)
      assert.is_nil(result.stderr:find "traceback")
    end)
  end

  it("tells its version in two ways", function()
    local result = support.run { "version" }
    assert.matches("^axolua %d+%.%d+%.%d+ ", result.stdout)
    assert.equal(support.run({ "--version" }).stdout, result.stdout)
    assert.matches('"version":"%d+%.%d+%.%d+"', support.run({ "version", "--json" }).stdout)
  end)

  it("knows what it answers by itself", function()
    assert.equal(support.run({ "help", "env" }).stdout, support.run({ "env", "--help" }).stdout)
    local result = support.run { "help", "env" }
    assert.equal(0, result.code)
    assert.matches("eval", result.stdout)
  end)

  local PRINTING = {
    { "help" }, { "completion", "bash" }, { "run", "--help" }, { "policy", "show", "--json" },
    { "env" }, { "--version" },
  }
  for _, arguments in ipairs(PRINTING) do
    it("fails where `axolua " .. table.concat(arguments, " ") .. "` cannot be written", function()
      local result = support.shell('"$AXOLUA" "$@" > /dev/full', table.unpack(arguments))
      assert.equal(125, result.code)
      assert.matches("^axolua: stdout could not be written: [^\n]*[Nn]o space left[^\n]*\n$",
        result.stderr)
      result = support.shell('"$AXOLUA" "$@" | :; "$AXOLUA" "$@" 2>/dev/full >/dev/null',
        table.unpack(arguments))
      assert.equal(0, result.code)
      assert.equal("", result.stderr)
    end)
  end

  it("fails where the log cannot be written, and where its own words cannot", function()
    local log = temp.write(temp.dir() .. "/log", '{"event":"exec"}\nnot a line\n')
    for where, said in pairs { [">/dev/full"] = "stdout could not", ["2>/dev/full"] = "^$" } do
      local result = support.shell('"$AXOLUA" audit --file "$1" ' .. where, log)
      assert.equal(125, result.code)
      assert.matches(said, result.stderr)
    end
  end)

  it("shows no log that is not there", function()
    local result = support.run { "audit", "--file", temp.dir() .. "/log" }
    assert.equal(125, result.code)
    assert.matches("there is no log", result.stderr)
  end)

  it("serves no directory that is not there to an agent: that is what its tools answer", function()
    local result = support.run { "mcp", "--dir", "/axo/nowhere" }
    assert.equal(0, result.code)
    assert.equal("", result.stdout)
    assert.matches("the directory /axo/nowhere cannot be used", result.stderr)
  end)

  it("says which command installs podman where there is none, and exits with 125", function()
    local nowhere = temp.dir()
    for _, arguments in ipairs {
      { "run", "--dir", temp.dir "work", "--", "true" }, { "ps" }, { "exec", "demo", "--", "true" },
      { "stop", "demo" }, { "reap" }, { "stats" }, { "port" }, { "completion", "sessions" },
    } do
      local result = support.run(arguments, { env = { PATH = nowhere } })
      assert.equal(125, result.code, result.stderr)
      assert.matches("podman", result.stderr)
      assert.matches("\n        %S", result.stderr)
    end
    local doctor = support.run({ "doctor" }, { env = { PATH = nowhere } })
    assert.equal(1, doctor.code)
    assert.matches("fail  podman", doctor.stdout)
    assert.matches("to fix it: ", doctor.stdout)
  end)

  it("refuses a path that is none, and says which there are", function()
    local result = support.run({ "run", "--dir", temp.dir "work", "--", "true" },
      { env = { AXOSANDBOX_PATH = "portble", PATH = temp.dir() } })
    assert.equal(125, result.code)
    assert.matches('AXOSANDBOX_PATH is "portble"', result.stderr)
    assert.matches("\n        .*native.*portable", result.stderr)
  end)

  it("refuses a directory that is missing, and one that policy protects", function()
    local missing = temp.dir() .. "/missing"
    local result = support.run { "run", "--dir", missing, "--", "true" }
    assert.equal(125, result.code)
    assert.matches("missing", result.stderr)
    assert.matches("mkdir", result.stderr)
    result = support.run { "run", "--dir", "/etc", "--", "true" }
    assert.equal(125, result.code)
    assert.matches("/etc", result.stderr)
  end)
end)
