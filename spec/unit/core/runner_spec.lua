-- axolua itself: what its first argument means, the main coroutine, exit codes.
local unit = require "spec.support.unit"
local proc = require "spec.support.proc"
local uv = require "luv"

local AXOLUA = unit.prefix() .. "/axolua"
if not io.open(AXOLUA) then AXOLUA = unit.prefix() .. "/bin/axolua" end

local function axolua(...)
  return assert(unit.run { AXOLUA, ... })
end

local function code(text, ...)
  return axolua("-e", text, ...)
end

describe("axolua", function()
  local path
  before_each(function() path = unit.temporary_name() .. ".lua" end)
  after_each(function() os.remove(path) end)

  local function script(text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    return path
  end

  it("runs a file with its arguments", function()
    script "#!/usr/bin/env axolua\nprint(arg[0], arg[1], ...) return 3"
    local r = axolua(path, "a", "b c")
    assert.equal("", r.stderr)
    assert.equal(path .. "\ta\ta\tb c\n", r.stdout)
    assert.equal(3, r.code)
  end)

  it("runs code, and stdin", function()
    assert.equal("1\t2\n", code("print(...)", "1", "2").stdout)
    assert.equal("-e\tx\n", code("print(arg[0], arg[1])", "x").stdout)
    local r = assert(unit.run({ AXOLUA, "-", "x" }, { input = "print((...))" }))
    assert.equal("x\n", r.stdout)
  end)

  it("finds the library", function()
    local r = code "print(require 'axosandbox'.version == require 'axosandbox.core'.version)"
    assert.equal("true\n", r.stdout)
    assert.matches("^axolua %d+%.%d+%.%d+ %(Lua 5%.4, libuv ", axolua("--version").stdout)
  end)

  it("runs the main chunk in a coroutine, then the loop until it is empty", function()
    local r = code [[
      local uv = require "luv"
      local main = coroutine.running()
      local function later(fn)
        local timer = uv.new_timer()
        timer:start(1, 0, function() timer:close() fn() end)
      end
      later(function() assert(coroutine.resume(main, "woken")) end)
      print(coroutine.yield())
      later(function() print "later" end)
      return 5
    ]]
    assert.equal("woken\nlater\n", r.stdout)
    assert.equal(5, r.code)
  end)

  it("says so when the main chunk can never go on", function()
    local r = code "coroutine.yield()"
    assert.equal(1, r.code)
    assert.matches("nothing is left on the loop", r.stderr)
    assert.matches("command line%):1", r.stderr)
  end)

  it("ends at an error, with a traceback and code 1, and does not wait", function()
    local r = code [[
      require "luv".new_timer():start(1000000, 0, print)
      local function deep() error "too deep" end
      deep()
    ]]
    assert.equal(1, r.code)
    assert.matches("^axolua: %(command line%):2: too deep\nstack traceback:", r.stderr)
    assert.matches("in local 'deep'", r.stderr)
    r = code "error(require 'axosandbox.core'.error { code = 'X', op = 'o', message = 'm' })"
    assert.matches("^axolua: o: m\n", r.stderr)
  end)

  it("turns results into exit codes", function()
    for text, expected in pairs {
      [""] = 0, ["return 0"] = 0, ["return 255"] = 255, ["return 'x'"] = 0, ["return 256"] = 255,
      ["return -1"] = 255, ["return true"] = 0, ["os.exit(9)"] = 9, ["os.exit(false)"] = 1,
      ["os.exit(true)"] = 0, ["syntax error"] = 1,
    } do
      assert.equal(expected, code(text).code, text)
    end
  end)

  it("closes the state when os.exit is called", function()
    local r = code [[
      setmetatable({}, { __gc = function() io.write "closed" end })
      os.exit(4)
    ]]
    assert.equal("closed", r.stdout)
    r = code [[
      local core = require "axosandbox.core"
      print(core.spawn({ "sleep", "1000" }, nil, print):pid())
      os.exit(0)
    ]]
    unit.wait_for_death(tonumber(r.stdout))
  end)

  it("shows warnings and the library's messages", function()
    assert.matches("Lua warning: careful", code("warn 'careful'").stderr)
    local r = code [[
      local log = require "axosandbox.base.log"
      log.emit("warn", "low on coffee")
      log.emit("debug", "unseen")
    ]]
    assert.equal("axosandbox: warn: low on coffee\n", r.stderr)
  end)

  it("does not call it success when its output could not be written", function()
    local r = assert(unit.run { "sh", "-c", '"$1" -e "print(1)" > /dev/full', "sh", AXOLUA })
    assert.equal(1, r.code)
    assert.matches("stdout", r.stderr)
  end)

  it("explains what it cannot run", function()
    local r = axolua "/no/such/file"
    assert.equal(1, r.code)
    assert.matches("^axolua: .*/no/such/file", r.stderr)
    r = axolua "-e"
    assert.equal(1, r.code)
    assert.matches("usage: axolua FILE", r.stderr)
  end)

  it("takes a bare word for a command, never for a file", function()
    local dir = assert(uv.fs_mkdtemp(unit.temporary_name() .. "XXXXXX"))
    for _, name in ipairs { "help", "mine" } do
      local file = assert(io.open(dir .. "/" .. name, "w"))
      file:write "print 'a file'"
      file:close()
    end
    local r = assert(unit.run({ AXOLUA, "help" }, { cwd = dir }))
    assert.is_nil(r.stdout:find "a file")
    r = assert(unit.run({ AXOLUA, "mine" }, { cwd = dir }))
    assert.equal(2, r.code)
    assert.equal("", r.stdout)
    r = assert(unit.run({ AXOLUA, "./mine" }, { cwd = dir }))
    assert.equal("a file\n", r.stdout)
    for _, name in ipairs { "help", "mine" } do os.remove(dir .. "/" .. name) end
    uv.fs_rmdir(dir)
  end)

  it("prints the paths that a plain lua5.4 needs, once", function()
    local function evaluate(times, extra)
      local line = (' eval "$("$1" env)";'):rep(times)
      return assert(unit.run({ "sh", "-c",
        "unset LUA_PATH LUA_CPATH LUA_PATH_5_4 LUA_CPATH_5_4;" .. extra .. line
          .. ' printf "%s\\n" "$LUA_PATH" "$LUA_PATH_5_4" "$LUA_CPATH_5_4"; cd /;'
          .. ' "$2" -e "io.write(require [[axosandbox.core]].version)"',
        "sh", AXOLUA, unit.interpreter() }, { env = proc.interpreter_environment() }))
    end
    local once, twice = evaluate(1, ""), evaluate(2, "")
    assert.equal("", once.stderr)
    assert.matches("%d+%.%d+%.%d+$", once.stdout)
    assert.equal(once.stdout, twice.stdout)
    local dir = assert(uv.fs_mkdtemp(unit.temporary_name() .. "it's-XXXXXX"))
    local kept = evaluate(2, ('export LUA_PATH="%s/?.lua;;./x/?.lua";'):format(dir))
    local mine = dir:gsub("%p", "%%%0") .. "/%?%.lua\n"
    assert.matches("^[^\n]*;;[^\n]*\n[^\n]*;" .. mine, kept.stdout)
    assert.matches("%d+%.%d+%.%d+$", kept.stdout)
    local versioned = evaluate(1, ('export LUA_PATH_5_4="%s/?.lua;;";'):format(dir))
    assert.matches("%d+%.%d+%.%d+$", versioned.stdout)
    assert.matches(mine, versioned.stdout)
    uv.fs_rmdir(dir)
  end)

  it("runs through a link, and says so when it stands alone", function()
    local link = unit.temporary_name()
    assert(uv.fs_symlink(AXOLUA, link))
    assert.matches("^axolua ", assert(unit.run { link, "--version" }).stdout)
    os.remove(link)
    assert(uv.fs_copyfile(AXOLUA, link))
    local r = assert(unit.run { link, "--version" })
    os.remove(link)
    assert.equal(1, r.code)
    assert.matches("stands alone", r.stderr)
  end)
end)
