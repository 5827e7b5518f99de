local support = require "spec.support.cli"
support.expose_libraries()
local env_file = require "axolua.cli.env_file"
local host = require "axosandbox.host"
local not_a_program = require "axolua.sandbox.not_a_program"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local since = require "axolua.audit.since"
local temp = require "spec.support.temp"
local uv = require "luv"
local works = require "axolua.sandbox.works"

describe("a file of variables", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  it("is read as docker reads it: values as they stand", function()
    local list = assert(env_file.parse(
      "\xEF\xBB\xBFA=1\n# B=2\n\n  C= x # 'y' \"z\"\r\nD=\nE=a=b"))
    assert.same({ { "A", "1" }, { "C", " x # 'y' \"z\"" }, { "D", "" }, { "E", "a=b" } }, list)
  end)

  it("takes a name for this shell's value", function()
    assert.same({ { "HOME", os.getenv "HOME" }, { "AXO_NOT_SET" } },
      assert(env_file.parse "HOME\nAXO_NOT_SET\n"))
  end)

  it("says which line is wrong", function()
    local _, problem = env_file.parse "A=1\nexport B=2\n"
    assert.matches('line 2: "export B" is not the name', problem)
    _, problem = env_file.parse "A=\0\n"
    assert.matches("line 1: the value of A holds a NUL", problem)
  end)

  it("is bounded", function()
    local path = temp.write(temp.dir() .. "/env", "A=" .. ("x"):rep(1024 * 1024))
    local _, problem = env_file.read(path)
    assert.matches("more than 1 MiB", problem)
  end)

  it("is none that a link of the session's leads to", function()
    local top = uv.fs_realpath(temp.dir "env")
    local project, cache = top .. "/project", top .. "/cache"
    for _, dir in ipairs { project, cache } do assert(uv.fs_mkdir(dir, 448)) end
    temp.write(top .. "/key", "KEY=of-the-host\n")
    temp.write(project .. "/own", "NAME=value\n")
    for _, dir in ipairs { project, cache, top } do
      assert(uv.fs_symlink(top .. "/key", dir .. "/link"))
    end
    assert(uv.fs_symlink("own", project .. "/in"))
    -- The next complaint shows that the file was taken.
    local function run(file, mode)
      return support.run({
        "run", "--dir", project, "-v", cache .. ":/cache" .. mode, "--env-file", file,
        "--user", "a:b:c", "true",
      }, { env = { PATH = "/axo/nowhere" } }).stderr
    end
    for _, case in ipairs {
      { project .. "/link", "" }, { cache .. "/link", ":rw" },
      { project .. "/../project/link", "" },
    } do
      assert.matches("leads to " .. top .. "/key by a symbolic link", run(case[1], case[2]), 1,
        true)
    end
    for _, file in ipairs {
      project .. "/in", project .. "/own", top .. "/link", top .. "/key", cache .. "/link",
      "/dev/null",
    } do
      assert.not_matches("symbolic link", run(file, ""), 1, true)
    end
  end)
end)

describe("what is typed as a command and is none", function()
  it("is answered by what was meant", function()
    for word, answer in pairs {
      ["echo hi"] = "typed as one", ["A=1"] = "%-e NAME=VALUE", cd = "cd is a shell's own",
    } do
      assert.matches(answer, not_a_program(word))
    end
    for _, word in ipairs { "ls", "./a=b", "x.sh", "no-such" } do
      assert.is_nil(not_a_program(word))
    end
  end)
end)

describe("a moment that a person names", function()
  local function utc(seconds) return os.date("!%Y-%m-%dT%H:%M:%S", seconds) end

  it("is a time in UTC or here", function()
    assert.equal("2026-11-29T12:30:00", since.read "2026-11-29T12:30:00Z")
    assert.equal("2026-02-28T00:00:00", since.read "2026-02-28Z")
    assert.equal("1970-01-01T00:01:40", since.read "100")
    assert.equal(utc(os.time { year = 2026, month = 7, day = 1, hour = 5, min = 6 }),
      since.read "2026-07-01 05:06")
  end)

  it("is the same in every time zone where it is in UTC", function()
    local script = 'local since = require "axolua.audit.since"; '
      .. 'print(since.read "2026-07-01T12:00:00Z", since.read "2026-01-01T12:00:00Z")'
    local zones = { "UTC0", "EST5EDT,M3.2.0,M11.1.0", "LHST-10:30LHDT-11,M10.1.0,M4.1.0" }
    for _, zone in ipairs(zones) do
      local result = proc.run({ support.axolua(), "-e",
        ("package.path = %q .. package.path; "):format(support.lua_path()) .. script },
        { env = proc.environment { TZ = zone } })
      assert.equal("2026-07-01T12:00:00\t2026-01-01T12:00:00\n", result.stdout, result.stderr)
    end
  end)

  it("is so long ago", function()
    local before = os.time()
    local moment = since.read "1h30m"
    assert.is_true(moment >= utc(before - 5400) and moment <= utc(os.time() - 5400))
  end)
end)

describe("the audit log's end", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  local function log()
    local lines = {}
    for i = 1, 5 do
      lines[i] = ('{"event":"exec","session":"s%d","time":"2026-01-0%dT00:00:00.000Z"}\n'):format(
        i, i)
    end
    return temp.write(temp.dir() .. "/log", table.concat(lines))
  end

  local function sessions(...)
    local result = support.run { "audit", "--json", "--file", log(), ... }
    assert.equal(0, result.code, result.stderr)
    local list = {}
    for id in result.stdout:gmatch '"session":"(s%d)"' do list[#list + 1] = id end
    return table.concat(list, " ")
  end

  it("is the last N, those since a time, and those of them that are wanted", function()
    assert.equal("s4 s5", sessions("-n", "2"))
    assert.equal("", sessions("--tail", "0"))
    assert.equal("s1 s2 s3 s4 s5", sessions("-n", "9"))
    assert.equal("s4 s5", sessions("--since", "2026-01-03T00:00:01Z"))
    assert.equal("s3 s4 s5", sessions("--since", "2026-01-03T00:00:00Z"))
    assert.equal("s2", sessions("-n", "1", "--session", "s2"))
  end)
end)

describe("a task that is not named", function()
  local function session(...)
    local list = { ... }
    return {
      id = function() return "demo" end,
      list_tasks = function() return list end,
      list_terminals = function() return {} end,
    }
  end
  local function work(id, status)
    return { id = id, status = function() return status or "running" end }
  end

  it("is the only one, or the only one that runs", function()
    assert.equal("t1", works.find(session(work("t1", "exited (0)"))).id)
    assert.equal("t2", works.find(session(work("t1", "exited (0)"), work "t2")).id)
  end)

  it("must be named else", function()
    local _, err = works.find(session(work "t1", work "t2", work("t3", "exited (1)")))
    assert.equal("which task of the session demo? there are t1, t2", err.message)
    _, err = works.find(session())
    assert.matches("nothing was started in the background", err.message)
  end)
end)

describe("axolua stop --all", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  -- A podman with one session, of the given owner.
  local function with_owner(owner)
    local dir = temp.dir()
    temp.write(dir .. "/podman", ([=[#!/bin/sh
case $1 in
ps) echo '[{"Id":"%s","Names":["axo-ses-demo"],"Image":"i","State":"running","Created":1,
  "Labels":{"axosandbox.id":"demo","axosandbox.owner":"%s","axosandbox.dir":"/d",
    "axosandbox.version":"1","axosandbox.instance":"ab","axosandbox.path":"portable"}}]' ;;
*) echo "$@" >> %s/calls; exit 125 ;;
esac
]=]):format(("a1"):rep(32), owner, dir), "755")
    return { AXOSANDBOX_PODMAN = dir .. "/podman" }, dir .. "/calls"
  end

  it("ends nothing of a program that is alive, where nobody can be asked", function()
    local env, calls = with_owner(host.identity(uv.os_getpid()))
    local result = support.run({ "stop", "--all" }, { env = env })
    assert.equal(125, result.code)
    assert.matches("1 of 1 sessions are used by programs that are alive: demo; nothing was ended",
      result.stderr)
    assert.matches("stop %-%-all %-%-yes", result.stderr)
    assert.is_nil(uv.fs_stat(calls))
    result = support.run({ "stop", "--all", "--yes" }, { env = env })
    assert.is_nil(result.stderr:find "nothing was ended")
    assert.truthy(uv.fs_stat(calls))
  end)

  it("asks at a terminal", function()
    local env, calls = with_owner(host.identity(uv.os_getpid()))
    local screen = support.on_terminal('"$AXOLUA" stop --all', {}, nil, env)
    screen.shows "end them all%? %[y/N%] "
    screen.type "n\n"
    assert.equal(125, screen.wait().code)
    assert.is_nil(uv.fs_stat(calls))
  end)

  it("ends what nobody uses without a question", function()
    local env, calls = with_owner "1:2:3:4"
    local result = support.run({ "stop", "-a" }, { env = env })
    assert.is_nil(result.stderr:find "nothing was ended")
    assert.truthy(uv.fs_stat(calls))
  end)
end)
