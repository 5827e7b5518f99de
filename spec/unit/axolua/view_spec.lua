local support = require "spec.support.cli"
support.expose_libraries()
local screen = require "axolua.view.screen"
local status = require "axolua.view.status"
local text = require "axolua.view.text"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"
local cjson = require "cjson"

describe("a table", function()
  it("has numbers at the right, and colours take no room", function()
    local function paint(cell, column, row)
      return column == 1 and row[2] == "10" and "\27[31m" .. cell .. "\27[0m" or cell
    end
    assert.equal("A      N  B\n\27[31mx\27[0m     10  y\nlong   5  z\n",
      text.columns({ "A", "N", "B" }, { { "x", "10", "y" }, { "long", "5", "z" } },
        { right = { [2] = true }, paint = paint }))
  end)
end)

describe("a line on a terminal", function()
  it("is cut at its width, with its colours", function()
    assert.equal("abc", screen.cut("abcdef", 3))
    assert.equal("äöü", screen.cut("äöüß", 3))
    assert.equal("\27[1ma\27[0mb", screen.cut("\27[1ma\27[0mbcd", 2))
    assert.equal("a\27[0m", screen.cut("abc\27[0m", 1))
    assert.equal("\255\254", screen.cut("\255\254x", 2))
  end)

  it("says how long something takes", function()
    assert.equal("0.4 s", status.span(0.42))
    assert.equal("59 s", status.span(59.9))
    assert.equal("3 min 5 s", status.span(185.2))
  end)
end)

-- Work of a second or two that reports progress, as a start does.
local WORK = [[
  local scripts = os.getenv "SCRIPTS"
  package.path = ("%s/?.lua;%s/?/init.lua;"):format(scripts, scripts) .. package.path
  local console = require "axolua.view.console"
  local log = require "axosandbox.base.log"
  local await = require "axosandbox.base.await"
  local console_of = console.open { quiet = os.getenv "QUIET" ~= nil }
  console_of:begin "beginning"
  log.emit("info", "pulling the image")
  await.sleep(0.9)
  log.emit("warn", "something else")
  log.emit("info", "provisioning: apk add git")
  await.sleep(1.2)
  console_of:settle()
  log.emit("info", "never shown")
]]

describe("progress", function()
  it("in a pipe is a line for each step, with the time since the beginning", function()
    local result = support.shell([["$AXOLUA" -e "$1" 2>&1 >/dev/null]], WORK)
    assert.matches("^axolua: %[[%d.]+ s%] pulling the image\naxolua: warning: something else\n"
      .. "axolua: %[[%d.]+ s%] provisioning: apk add git\n$", result.stdout)
  end)

  it("is not shown with -q, and not of what is quickly done", function()
    local result = support.shell([[QUIET=1 "$AXOLUA" -e "$1" 2>&1]], WORK)
    assert.equal("", result.stdout)
    local unmet = WORK:gsub('"something else"', '%0, { unmet = true }')
    result = support.shell([[QUIET=1 "$AXOLUA" -e "$1" 2>&1]], unmet)
    assert.equal("axolua: warning: something else\n", result.stdout)
    local quick = WORK:gsub("sleep%([%d.]+%)", "sleep(0.01)")
    result = support.shell([["$AXOLUA" -e "$1" 2>&1]], quick)
    assert.equal("axolua: warning: something else\n", result.stdout)
  end)

  it("is not shown of what a warning has told the end of", function()
    local ended = WORK:gsub("await.sleep%(0.9%)", "")
    ended = ended:gsub('log.emit%("info", "provisioning[^\n]*', "")
    local result = support.shell([["$AXOLUA" -e "$1" 2>&1]], ended)
    assert.equal("axolua: warning: something else\n", result.stdout)
    local view = support.on_terminal([["$AXOLUA" -e "$1"]], { ended }, { 24, 50 },
      { SCRIPTS = support.scripts() })
    view.wait()
    assert.is_nil(view.text:find "pulling")
    assert.matches("\r\27%[Kaxolua: beginning %([%d.]+ s%)", view.text)
  end)

  it("on a terminal is one line that is redrawn, makes room, and is gone at the end", function()
    local view = support.on_terminal([["$AXOLUA" -e "$1"; echo the end]], { WORK }, { 24, 50 },
      { SCRIPTS = support.scripts() })
    view.wait()
    view.shows "the end"
    assert.matches("\r\27%[Kaxolua: pulling the image %([%d.]+ s%)\r\27%[K", view.text)
    assert.matches("\r\27%[Kaxolua: \27%[33mwarning:\27%[0m something else\r\n", view.text)
    local _, redrawn = view.text:gsub("provisioning: apk add git %(%d", "")
    assert.is_true(redrawn >= 2)
    assert.matches("\r\27%[Kthe end\r\n$", view.text)
    assert.is_nil(view.text:find "never shown")
  end)

  it("never wraps a narrow terminal's line", function()
    local view = support.on_terminal([["$AXOLUA" -e "$1"]],
      { (WORK:gsub("apk add git", ("x"):rep(200))) }, { 24, 40 }, { SCRIPTS = support.scripts() })
    view.wait()
    local drawn = view.shows "\r\27%[K(axolua: provisioning[^\r]*)"
    assert.is_true(#drawn < 40)
    assert.matches("%.%.%. %([%d.]+ s%)$", drawn)
  end)
end)

-- A podman that lists one session with ports that it does not publish.
local PODMAN = [=[#!/bin/sh
echo '[{"Id":"%s","Names":["axo-ses-demo"],"Image":"a\u001bb","State":"running","Created":1,
  "Ports":[{"host_ip":"::1","host_port":80,"container_port":8080,"range":2,"protocol":"tcp"}],
  "Labels":{"axosandbox.id":"demo","axosandbox.owner":"1:2:3:4","axosandbox.dir":"/d",
    "axosandbox.version":"1","axosandbox.instance":"ab",
    "axosandbox.path":"portable","axosandbox.ports":"8080,9000"}}]'
]=]

describe("what commands print", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  local function host()
    local program = temp.write(temp.dir() .. "/podman", PODMAN:format(("a1"):rep(32)), "755")
    return { AXOSANDBOX_PODMAN = program, CONTAINER_HOST = "ssh://elsewhere" }
  end

  it("has colours on a terminal, and none with NO_COLOR, on a dumb one or in a pipe", function()
    local env = host()
    local function shown(changes)
      for name, value in pairs(changes) do env[name] = value end
      local view = support.on_terminal('"$AXOLUA" ps', {}, nil, env)
      view.wait()
      view.shows "demo"
      return view.text
    end
    assert.matches("\27%[32mrunning\27%[0m", shown {})
    assert.matches("\27%[32mrunning\27%[0m", shown { NO_COLOR = "" })
    assert.is_nil(shown({ NO_COLOR = "1" }):find "\27")
    assert.is_nil(shown({ NO_COLOR = false, TERM = "dumb" }):find "\27")
    assert.is_nil(support.run({ "ps" }, { env = host() }).stdout:find "\27")
  end)

  it("of ports names every one of a range, and those that are not published", function()
    local rows = cjson.decode(support.run({ "port", "--json" }, { env = host() }).stdout)
    assert.same({
      { id = "demo", container_port = 8080, port = 80, address = "::1", protocol = "tcp",
        published = true, state = "unknown" },
      { id = "demo", container_port = 8081, port = 81, address = "::1", protocol = "tcp",
        published = true, state = "unknown" },
      { id = "demo", container_port = 9000, protocol = "tcp", published = false,
        state = "unpublished" },
    }, rows)
    local shown = support.run({ "port" }, { env = host() }).stdout
    assert.matches("8081/tcp +%[::1%]:81 +%-\n", shown)
    assert.matches("9000/tcp +%- +not published\n", shown)
  end)

  -- One session that does not run, with these labels besides.
  local function idle(state, more)
    local listing = PODMAN:gsub("running", state):gsub('"axosandbox.version"', (more or "") .. "%0")
    local program = temp.write(temp.dir() .. "/podman", listing:format(("a1"):rep(32)), "755")
    return { AXOSANDBOX_PODMAN = program, CONTAINER_HOST = "ssh://elsewhere" }
  end

  it("of sessions that do not run says so", function()
    for _, state in ipairs { "paused", "exited" } do
      local env = idle(state)
      for _, command in ipairs { "stats", "port" } do
        local all = support.run({ command }, { env = env })
        assert.equal(0, all.code, all.stderr)
        assert.matches("no session is running; demo is " .. state .. "\n$", all.stdout)
        assert.equal("[]\n", support.run({ command, "--json" }, { env = env }).stdout)
        local named = support.run({ command, "demo" }, { env = env })
        assert.equal(125, named.code)
        assert.equal("", named.stdout)
        assert.matches("demo is not running: it is " .. state, named.stderr)
        assert.matches(state == "paused" and "\n        podman unpause axo%-ses%-demo"
          or "\n        axolua stop demo", named.stderr)
      end
    end
  end)

  it("of sessions tells the kept ones from those that somebody lost", function()
    local keep = '"axosandbox.keep":"yes",'
    assert.matches("demo +running +%S+ +gone ", support.run({ "ps" }, { env = host() }).stdout)
    local env = idle("running", keep)
    assert.matches("demo +running +%S+ +kept ", support.run({ "ps" }, { env = env }).stdout)
    assert.is_true(cjson.decode(support.run({ "ps", "--json" }, { env = env }).stdout)[1].kept)
  end)

  it("of what runs elsewhere is an error where it cannot be read", function()
    local result = support.run({ "stats" }, { env = host() })
    assert.equal(125, result.code)
    assert.matches("cannot be read from this machine", result.stderr)
    assert.matches("\n        podman stats", result.stderr)
  end)

  it("to a reader that has gone is no error", function()
    local result = support.shell([[
      "$AXOLUA" help | true; "$AXOLUA" completion zsh | head -n 1
    ]])
    assert.equal("#compdef axolua\n", result.stdout)
    assert.equal("", result.stderr)
  end)

  it("goes nowhere when the standard streams are closed, and nothing worse happens", function()
    local result = support.shell([[
      "$AXOLUA" help >&-; echo $?
      "$AXOLUA" frobnicate 2>&-; echo $?
      "$AXOLUA" help run <&- >&- 2>&-; echo $?
      "$AXOLUA" -e 'print(io.read "a" == "")' <&- ]])
    assert.equal("0\n2\n0\ntrue\n", result.stdout)
    assert.equal("", result.stderr)
  end)
end)
