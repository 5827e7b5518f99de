local uv = require "luv"
local support = require "spec.support.cli"
support.expose_libraries()
local grammar = require "axolua.document.grammar"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"

describe("the grammar of the command line", function()
  local function option_of(command, name)
    for _, option in ipairs(grammar.command(command).options) do
      for _, each in ipairs(option.names) do
        if each == name then return option end
      end
    end
  end

  it("is what the parsers say", function()
    assert.same({ "-f", "--follow" }, option_of("logs", "-f").names)
    assert.is_nil(option_of("logs", "-f").value)
    assert.same({ "bridge", "none" }, option_of("run", "--network").value.choices)
    assert.is_true(option_of("run", "--port").is_repeatable)
    assert.is_false(option_of("run", "--dir").is_repeatable)
    assert.is_true(grammar.command("exec").takes_command)
    assert.is_false(grammar.command("shell").takes_command)
    assert.is_true(grammar.command("stop").arguments[1].is_many)
  end)

  it("knows what completes a value by its placeholder", function()
    assert.equal("dir", option_of("run", "--dir").value.kind)
    assert.equal("session", grammar.command("stop").arguments[1].kind)
    assert.equal("task", grammar.command("logs").arguments[2].kind)
    assert.equal("topic", grammar.command("help").arguments[1].kind)
    assert.equal("choice", option_of("run", "--network").value.kind)
    assert.equal("other", option_of("run", "--memory").value.kind)
  end)

  it("has the subcommands of a command that has some", function()
    package.loaded["axolua.commands.fruit"] = {
      summary = "about fruit",
      parser = function()
        local p = require("axolua.cli").parser("fruit", "About fruit.")
        p:command("peel", "Takes the peel off."):argument "file"
        return p
      end,
    }
    local model = grammar.command "fruit"
    package.loaded["axolua.commands.fruit"] = nil
    assert.equal("fruit peel", model.subcommands[1].name)
    assert.equal("Takes the peel off.", model.subcommands[1].summary)
    assert.equal("file", model.subcommands[1].arguments[1].kind)
  end)
end)

-- A podman that has one session, so that there is a name to complete.
local LISTING = [=[#!/bin/sh
case $1 in
ps) echo '[{"Id":"%s","Names":["axo-ses-demo"],"Image":"i","State":"running","Created":1,
  "Labels":{"axosandbox.id":"demo","axosandbox.owner":"1:2:3:4","axosandbox.dir":"/d",
    "axosandbox.version":"1","axosandbox.instance":"ab","axosandbox.path":"portable"}}]' ;;
*) exit 125 ;;
esac
]=]

local function host_with_a_session()
  local dir = temp.dir()
  temp.write(dir .. "/podman", LISTING:format(("a1"):rep(32)), "755")
  return { AXOSANDBOX_PODMAN = dir .. "/podman" }, dir
end

local CASES = {
  { { "st" }, { "stats", "stop" } },
  { { "run", "--netw" }, { "--network" } },
  { { "run", "--network", "" }, { "bridge", "none" } },
  { { "run", "--network", "=", "n" }, { "none" } },
  { { "help", "por" }, { "port", "portable" } },
  { { "help", "a" }, { "attach", "audit", "administering", "agents", "audit-log", "api" } },
  { { "help", "api", "se" }, { "session" } },
  { { "help", "run", "s" }, {} },
  { { "completion", "b" }, { "bash" } },
  { { "stop", "" }, { "demo" } },
  { { "stop", "demo", "" }, {} },
  { { "stats", "-w", "demo", "d" }, {} },
  { { "./spec/su" }, { "./spec/support" } },
  { { "exec", "--cwd", "/nowhere/x" }, {} },
  { { "exec", "--env", "A=B", "d" }, { "demo" } },
  { { "stats", "-w", "a", "d" }, { "demo" } },
  { { "exec", "demo", "--", "nosuchcommand" }, {} },
  { { "exec", "demo", "--", "ls", "--netw" }, {} },
  { { "exec", "demo", "mkfif" }, { "mkfifo" } },
  { { "run", "mkfif" }, { "mkfifo" } },
  { { "run", "ls", "--netw" }, {} },
  { { "exec", "demo", "ls", "./spec/su" }, { "./spec/support" } },
}

describe("completion in bash", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  local SCRIPT = [[
    source <("$AXOLUA" completion bash)
    COMP_WORDS=(axolua "$@") COMP_CWORD=$#
    _axolua "$AXOLUA"
    printf '%s\n' "${COMPREPLY[@]}"
  ]]

  for _, case in ipairs(CASES) do
    it("of `axolua " .. table.concat(case[1], " ") .. "`", function()
      local env = host_with_a_session()
      env.AXOLUA = support.axolua()
      local result = proc.run({ "bash", "-c", SCRIPT, "bash", table.unpack(case[1]) },
        { env = proc.environment(env) })
      assert.equal("", result.stderr)
      local words = {}
      for word in result.stdout:gmatch "[^\n]+" do
        -- A command may lie in two directories of PATH: readline shows it once.
        if word ~= words[#words] then words[#words + 1] = word end
      end
      assert.same(case[2], words)
    end)
  end

  it("neither runs nor offers a name that the shell would run", function()
    local dir = temp.dir()
    temp.write(dir .. "/axolua", ([=[#!/bin/sh
case $2 in
bash) exec %s completion bash ;;
*) printf '%%s\n' good '$(touch %s/ran)' 'g;ls' 'g`id`' 'good-2' ;;
esac
]=]):format(support.axolua(), dir), "755")
    local result = proc.run({ "bash", "-c", SCRIPT, "bash", "logs", "good", "" },
      { env = proc.environment { AXOLUA = dir .. "/axolua" } })
    assert.equal("", result.stderr)
    assert.equal("good\ngood-2\n", result.stdout)
    assert.is_nil(uv.fs_stat(dir .. "/ran"))
  end)

  it("covers every option of every command", function()
    local script = support.run({ "completion", "bash" }).stdout
    for _, model in ipairs(grammar.flat()) do
      local entry = script:match("\n  '" .. model.name .. "'%)\n(.-);;")
      for _, option in ipairs(model.options) do
        for _, name in ipairs(option.names) do
          local words = " " .. entry:gsub("'", " ") .. " "
          assert.truthy(words:find(" " .. name .. " ", 1, true), model.name .. name)
        end
      end
    end
  end)
end)

-- zsh completes only at a prompt: a terminal is what it gets.
describe("completion in zsh", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  local SETUP = "unsetopt prompt_sp list_beep; autoload -U compinit; compinit -u -D; "
    .. "source <(axolua completion zsh)\n"

  local function prompt(env)
    env.PATH = support.axolua():match "^(.*)/" .. ":" .. os.getenv "PATH"
    local screen = support.on_terminal("exec zsh -f -i", {}, nil, env)
    screen.type(SETUP)
    screen.type "PS1='ready'': '\n"
    screen.shows "ready: "
    return screen
  end

  local function offers(screen, typed, pattern)
    screen.text = ""
    screen.type("axolua " .. typed .. "\t\t")
    proc.eventually(function()
      return screen.text:gsub("\27%[[%d;]*%a", ""):find(pattern)
    end, ("%q after %q on %q"):format(pattern, typed, screen.text))
    screen.type "\21"
  end

  it("offers commands, options, values, sessions and what comes after --", function()
    local screen = prompt((host_with_a_session()))
    offers(screen, "ru", "axolua run ")
    offers(screen, "run --netw", "axolua run %-%-network=")
    offers(screen, "run --network ", "bridge +none")
    offers(screen, "run --requ", "axolua run %-%-require%-resource%-limits")
    offers(screen, "stop ", "axolua stop demo")
    offers(screen, "exec demo -- /usr/bin/mkfi", "axolua exec demo %-%- /usr/bin/mkfifo ")
    offers(screen, "exec demo /usr/bin/mkfi", "axolua exec demo /usr/bin/mkfifo ")
    offers(screen, "run /usr/bin/mkfi", "axolua run /usr/bin/mkfifo ")
    offers(screen, "completion z", "axolua completion zsh ")
    offers(screen, "s", "shell +%-%- .*stats +%-%- .*stop +%-%- ")
    screen.type "exit\n"
    screen.wait()
  end)
end)

describe("completion in fish", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  local FISH = {
    { "axolua st", { "stats", "stop" } },
    { "axolua run --netw", { "--network" } },
    { "axolua run --network ", { "bridge", "none" } },
    { "axolua run -w /tmp --rm --netw", { "--network" } },
    { "axolua help por", { "port", "portable" } },
    { "axolua help api sess", { "session" } },
    { "axolua policy sh", { "show" } },
    { "axolua policy show --di", { "--dir" } },
    { "axolua stop ", { "demo" } },
    { "axolua stop demo ", {} },
    { "axolua exec demo mkfif", { "mkfifo" } },
    { "axolua exec -e A=1 demo -- mkfif", { "mkfifo" } },
    { "axolua run mkfif", { "mkfifo" } },
    { "axolua run ls --netw", {} },
    { "axolua exec --cwd ./spec/su", { "./spec/support/" } },
  }
  local SCRIPT = 'set PATH (dirname $AXOLUA) $PATH; axolua completion fish | source; '
    .. 'complete -C $argv[1]'

  for _, case in ipairs(FISH) do
    it("of `" .. case[1] .. "`", function()
      local env = host_with_a_session()
      env.AXOLUA, env.HOME = support.axolua(), temp.dir()
      local result = proc.run({ "fish", "--no-config", "-c", SCRIPT, case[1] },
        { env = proc.environment(env) })
      assert.equal("", result.stderr)
      local words = {}
      for line in result.stdout:gmatch "[^\n]+" do words[#words + 1] = line:match "^[^\t]*" end
      assert.same(case[2], words)
    end)
  end

  it("covers every option of every command", function()
    local script = support.run({ "completion", "fish" }).stdout
    for _, model in ipairs(grammar.flat()) do
      for _, option in ipairs(model.options) do
        local name = option.names[#option.names]
        assert.truthy(script:find(("\\'%s\\'' .-%%-l %s ")
          :format(model.name, (name:gsub("^%-+", ""):gsub("%p", "%%%0")))), model.name .. name)
      end
    end
  end)
end)

describe("the manual page", function()
  it("names every guide, and the API reference", function()
    local page, count = support.run({ "scripts/man/render.lua" }).stdout, 0
    for name in proc.must({ "ls", "scripts/guide" }):gmatch "([%w-]+)%.md\n" do
      count = count + 1
      assert.truthy(page:find("\n.It Cm " .. name .. "\n", 1, true), name)
    end
    assert.is_true(count > 15)
    assert.matches("axolua help api", page)
  end)
end)
