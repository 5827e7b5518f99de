-- A session writes what it likes into its directory; nothing of it may run on the host when
-- somebody calls axolua there.
local cli = require "spec.support.cli"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"
local unit = require "spec.support.unit"
local uv = require "luv"

local TRAP = [[
local file = io.open(%q, "a")
file:write((...) or "?", "\n")
file:close()
]]

local function lua_files(dir, list)
  local entries = uv.fs_scandir(dir)
  while entries do
    local name = uv.fs_scandir_next(entries)
    if not name then break end
    local path = dir .. "/" .. name
    local stat = uv.fs_stat(path)
    if stat and stat.type == "directory" then
      lua_files(path, list)
    elseif name:find "%.lua$" then
      list[#list + 1] = path
    end
  end
  return list
end

-- Every name that a shipped file requires, and every name that it could be required by.
local function module_names()
  local names = { luv = true, cjson = true, ["cjson.safe"] = true, argparse = true, lfs = true }
  local library = unit.prefix() .. "/share/lua/5.4"
  for _, root in ipairs { library .. "/axosandbox", cli.scripts() .. "/axolua" } do
    local above = root:match "^(.*)/[^/]+$"
    for _, path in ipairs(lua_files(root, {})) do
      names[path:sub(#above + 2):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")] = true
      for name in temp.read(path):gmatch "require ?%(?[\"']([%w_.]+)[\"']" do
        names[name] = true
      end
    end
  end
  return names
end

local function make_directory(path)
  local made = ""
  for part in path:gmatch "[^/]+" do
    made = made .. "/" .. part
    uv.fs_mkdir(made, tonumber("755", 8))
  end
end

--- A directory with a trap for every name; `sprung()` tells which were loaded.
local function trapped_directory()
  local dir, mark = temp.dir "project", temp.dir() .. "/mark"
  local trap, count = TRAP:format(mark), 0
  for name in pairs(module_names()) do
    local base = dir .. "/" .. name:gsub("%.", "/")
    make_directory(base)
    for _, file in ipairs { base .. ".lua", base .. "/init.lua", base .. ".so" } do
      temp.write(file, trap)
      count = count + 1
    end
  end
  for _, program in ipairs { "podman", "pss", "cmake", "ninja", "apt-get", "cc", "git", "bash" } do
    temp.write(dir .. "/" .. program, ("#!/bin/sh\necho %s >>%q\n"):format(program, mark), "755")
  end
  assert(count > 300, "no names were found: " .. count)
  return dir, function()
    local names = uv.fs_stat(mark) and temp.read(mark) or ""
    uv.fs_unlink(mark)
    return names
  end
end

local VARIABLES = {
  ["Lua's own paths"] = {},
  ["relative paths"] = { LUA_PATH = "./?.lua;?.lua;;", LUA_CPATH = "./?.so;;" },
  ["relative paths for 5.4"] = { LUA_PATH_5_4 = ";;./?.lua", LUA_CPATH_5_4 = "?.so" },
  ["a relative PATH"] = { PATH = ".::" .. os.getenv "PATH" },
}

local COMMANDS = {
  { "run", "--", "true" }, { "shell" }, { "exec", "axotest-none", "--", "true" },
  { "ps", "--tasks" },
  { "logs", "axotest-none" }, { "stats" }, { "port" }, { "stop", "axotest-none" }, { "reap" },
  { "audit" }, { "policy", "show" }, { "policy", "check" }, { "mcp" }, { "doctor" },
  { "completion", "bash" }, { "help" }, { "help", "run" }, { "env" }, { "--version" }, { "pss" },
  { "-e", "require 'axosandbox' require 'cjson' require 'luv'" }, {},
}

local MCP = [[
{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"session_info"}}
]]

describe("what lies in the current directory", function()
  local mark, dir, sprung, private
  setup(function()
    mark = janitor.mark()
    dir, sprung = trapped_directory()
    private = temp.dir()
  end)
  teardown(function() janitor.sweep(mark) end)

  local function environment(changes, make)
    local all = {
      LUA_PATH = false, LUA_CPATH = false, LUA_PATH_5_4 = false, LUA_CPATH_5_4 = false,
      XDG_STATE_HOME = private, XDG_RUNTIME_DIR = private,
      AXOSANDBOX_PODMAN = "/nonexistent/podman",
    }
    for name, value in pairs(changes) do all[name] = value end
    return (make or proc.environment)(all)
  end

  for title, changes in pairs(VARIABLES) do
    it("is not loaded by any command, with " .. title, function()
      for _, command in ipairs(COMMANDS) do
        local result = proc.run({ cli.axolua(), table.unpack(command) }, {
          cwd = dir, env = environment(changes), stdin = command[1] == "mcp" and MCP or nil,
        })
        assert.equal("", sprung(), table.concat(command, " "))
        assert.is_nil((result.stderr):find("internal error", 1, true), result.stderr)
      end
    end)

    it("is not loaded by a program after axolua env, with " .. title, function()
      local result = proc.run({ "/bin/sh", "-c", [[eval "$("$1" env)"; "$2" -e '
        require "axosandbox" require "axosandbox.core" require "cjson.safe" require "luv"']],
        "sh", cli.axolua(), unit.interpreter() },
        { cwd = dir, env = environment(changes, proc.interpreter_environment) })
      assert.equal(0, result.code, result.stderr)
      assert.equal("", sprung())
    end)

    it("is not run by scripts/setup, with " .. title, function()
      if not uv.fs_access(cli.scripts() .. "/setup", "X") then return end
      local result = proc.run({ cli.scripts() .. "/setup", "--check" },
        { cwd = dir, env = environment(changes) })
      assert.equal("", sprung())
      assert.equal("", result.stdout)
    end)
  end

  it("is not run because somebody calls a script by a link that lies beside it", function()
    if not uv.fs_access(cli.scripts() .. "/setup", "X") then return end
    local beside = temp.dir "linked"
    assert(uv.fs_mkdir(beside .. "/lib", 493))
    temp.write(beside .. "/lib/where", "echo planted\n")
    for _, name in ipairs { "setup", "quickstart", "test" } do
      assert(uv.fs_symlink(cli.scripts() .. "/" .. name, beside .. "/" .. name))
      local result = proc.run({ beside .. "/" .. name, "--help" }, { cwd = beside })
      assert.equal(125, result.code)
      assert.equal("", result.stdout)
      assert.matches("call it by the path where it really lies", result.stderr)
    end
  end)

  it("does not run because a command was mistyped", function()
    local result = cli.run({ "pss" }, { cwd = dir })
    assert.equal(2, result.code)
    assert.matches("there is no command", result.stderr)
  end)

  it("is not loaded by a script elsewhere, nor is what lies beside it instead of ours", function()
    local elsewhere = temp.dir "elsewhere"
    temp.write(elsewhere .. "/luv.lua", "error 'planted'")
    temp.write(elsewhere .. "/mine.lua", "return 'mine'")
    temp.write(elsewhere .. "/it.lua",
      "require 'axosandbox' print(require 'mine', require 'luv' ~= nil)")
    local result = proc.run({ cli.axolua(), elsewhere .. "/it.lua" },
      { cwd = dir, env = environment(VARIABLES["relative paths"]) })
    assert.equal("mine\ttrue\n", result.stdout, result.stderr)
    assert.equal("", sprung())
  end)

  it("is told of when a variable names it, and so is what others can write", function()
    local open = temp.dir "open"
    assert(uv.fs_chmod(open, tonumber("777", 8)))
    temp.write(open .. "/theirs.lua", "return 1")
    local result = proc.run({ cli.axolua(), "-e", "print(pcall(require, 'theirs'))" },
      { cwd = dir, env = environment { LUA_PATH = "src/?.lua;" .. open .. "/?.lua;;" } })
    assert.matches("^false\t", result.stdout)
    assert.matches("src/%?%.lua is left out: it depends on the current directory", result.stderr)
    assert.matches("open/%?%.lua is left out: others can write there", result.stderr)
  end)

  it("is printed by axolua env in no form", function()
    local result = proc.run({ cli.axolua(), "env" },
      { cwd = dir, env = environment { LUA_PATH = "./?.lua;;", LUA_CPATH = "?.so;;" } })
    for value in result.stdout:gmatch "='([^']*)'" do
      assert.is_nil(value:find ";;", value)
      for entry in (value .. ";"):gmatch "([^;]*);" do assert.matches("^/", entry) end
    end
  end)
end)

describe("a session's directory", function()
  it("is no place for a program of this host, also where PATH names it first", function()
    local host = require "axosandbox.host"
    local dir = temp.dir "project"
    make_directory(dir .. "/bin")
    temp.write(dir .. "/bin/podman", "#!/bin/sh\necho pwned\n", "755")
    assert.equal("/usr/bin:/bin:" .. dir .. "/bin:/home/x",
      host.program_path(dir .. "/bin:.::/usr/bin:/home/x:/bin"))
    host.avoid(dir)
    assert.equal("/usr/bin", host.program_path(dir .. "/bin:/usr/bin:rel"))
    local ok, err = require("axosandbox.host.own_files").check(dir, dir .. "/bin/podman")
    assert.is_nil(ok)
    assert.equal("OWN_FILES", err.code)
  end)

  it("is never the one that axosandbox itself runs from", function()
    local own = require "axosandbox.host.own_files"
    local module = assert(uv.fs_realpath(unit.prefix() .. "/share/lua/5.4/axosandbox"))
    local above = module:match "^(.*)/"
    for _, dir in ipairs { module, unit.prefix(), above, module .. "/below", "/" } do
      local ok, err = own.check(dir)
      assert.is_nil(ok, dir)
      assert.equal("OWN_FILES", err.code)
      assert.matches("holds axosandbox itself", err.message)
    end
    assert.is_true(own.check "/srv/project")
  end)

  it("is never one where files of sessions are kept", function()
    local own, host = require "axosandbox.host.own_files", require "axosandbox.host"
    local before = os.getenv "XDG_STATE_HOME"
    uv.os_setenv("XDG_STATE_HOME", temp.dir "state")
    local kept = { assert(host.state_dir()), assert(host.runtime_dir()) }
    for _, path in ipairs(host.runtime_dirs()) do kept[#kept + 1] = path end
    for _, path in ipairs(kept) do
      local real = assert(uv.fs_realpath(path))
      for _, dir in ipairs { real, real .. "/below", real:match "^(.*)/" } do
        local ok, err = own.check(dir)
        assert.is_nil(ok, dir)
        assert.equal("OWN_FILES", err.code)
        assert.matches("keeps files of its sessions", err.message)
      end
    end
    assert.is_true(own.check "/srv/project")
    if before then uv.os_setenv("XDG_STATE_HOME", before) else uv.os_unsetenv "XDG_STATE_HOME" end
  end)

  it("is never one that holds all programs, and that is said", function()
    local result = cli.run { "run", "--dir", "/", "true" }
    assert.equal(125, result.code)
    assert.matches("podman is not looked for: every directory of PATH lies", result.stderr)
    assert.matches("\n +choose another directory", result.stderr)
  end)

  it("is never one where they will be kept", function()
    local own = require "axosandbox.host.own_files"
    for _, name in ipairs { "XDG_STATE_HOME", "XDG_CACHE_HOME" } do
      local before, dir = os.getenv(name), assert(uv.fs_realpath(temp.dir "project"))
      uv.os_setenv(name, dir .. "/.kept/here")
      local ok, err = own.check(dir)
      if before then uv.os_setenv(name, before) else uv.os_unsetenv(name) end
      assert.is_nil(ok, name)
      assert.equal("OWN_FILES", err.code)
      assert.is_nil(uv.fs_stat(dir .. "/.kept"))
    end
  end)

  it("is never one where sockets and locks will be", function()
    local own, host = require "axosandbox.host.own_files", require "axosandbox.host"
    for _, path in ipairs(host.runtime_places()) do
      local above = assert(uv.fs_realpath(path:match "^(.*)/"))
      assert.is_nil((own.check(above)), path)
    end
  end)
end)
