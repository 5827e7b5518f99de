-- How axolua audit reads a log that others write, rotate and damage.
local uv = require "luv"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local support = require "spec.support.cli"
local temp = require "spec.support.temp"

support.expose_libraries()
local audit_reader = require "axolua.audit.reader"
local audit_text = require "axolua.audit.text"

local function line(n) return ('{"event":"test","n":%d}\n'):format(n) end

local function append(path, bytes)
  local file = assert(io.open(path, "ab"))
  file:write(bytes)
  file:close()
end

describe("the reader of the audit log", function()
  local mark, path, seen, reader
  before_each(function()
    mark = janitor.mark()
    path, seen = temp.dir() .. "/log", {}
    reader = audit_reader.new(path, function(event) seen[#seen + 1] = event.n end)
  end)
  after_each(function() janitor.sweep(mark) end)

  it("begins with the oldest file, and reads each line once", function()
    temp.write(path .. ".2", line(1))
    temp.write(path .. ".1", line(2) .. line(3))
    temp.write(path, line(4))
    assert(reader:read())
    assert(reader:read())
    assert.same({ 1, 2, 3, 4 }, seen)
  end)

  it("takes a log that is not there yet as empty", function()
    assert(reader:read())
    temp.write(path, line(1))
    assert(reader:read())
    assert.same({ 1 }, seen)
  end)

  it("waits for the end of a line", function()
    temp.write(path, line(1):sub(1, 9))
    assert(reader:read())
    append(path, line(1):sub(10))
    assert(reader:read())
    assert.same({ 1 }, seen)
    assert.equal(0, reader.damaged)
  end)

  it("goes on over rotations, with what comes late to an old file", function()
    temp.write(path, line(1))
    assert(reader:read())
    append(path, line(2))
    assert(uv.fs_rename(path, path .. ".1"))
    temp.write(path, line(3))
    assert(reader:read())
    assert(uv.fs_rename(path .. ".1", path .. ".2"))
    assert(uv.fs_rename(path, path .. ".1"))
    append(path .. ".2", line(4))
    temp.write(path, line(5))
    assert(reader:read())
    assert.same({ 1, 2, 3, 4, 5 }, seen)
  end)

  it("counts what is no event, and goes on", function()
    temp.write(path, "\n" .. line(1) .. '{"event":"te\n' .. "[1]\n5\n" .. line(2)
      .. ("["):rep(5000) .. "\n" .. ("x"):rep(3 * 1024 * 1024) .. "\n" .. line(3))
    assert(reader:read())
    assert.same({ 1, 2, 3 }, seen)
    assert.is_true(reader.damaged >= 5)
  end)

  it("refuses what is no regular file", function()
    assert(uv.fs_mkdir(path, 448))
    local ok, problem = reader:read()
    assert.is_nil(ok)
    assert.matches("not a regular file", problem)
  end)

  it("is woken by what is written, and by nothing else", function()
    temp.write(path, line(1))
    local woken = 0
    local stop = assert(reader:watch(function()
      woken = woken + 1
      assert(reader:read())
    end))
    temp.write(path:gsub("log$", "other"), "x")
    append(path, line(2))
    proc.eventually(function() return seen[2] end)
    assert(uv.fs_rename(path, path .. ".1"))
    temp.write(path, line(3))
    proc.eventually(function() return seen[3] end)
    stop()
    uv.run "nowait"
    assert.same({ 1, 2, 3 }, seen)
    assert.is_true(woken < 20)
  end)
end)

describe("an event as text", function()
  it("is one line without control characters, whatever is in it", function()
    for _, event in ipairs {
      { event = "exec", argv = { "printf", "a\27[2J\nb" }, code = 0, duration = 0.5 },
      { event = "exec", argv = "no list", error = { message = "x\ny" } },
      { event = "file", op = {}, path = 5 }, { event = "task_end", id = {}, code = {} },
      { event = "lost", count = {}, since = {} }, { event = "kill" }, { event = "policy" },
      { event = "session_start", image = {}, dir = 1 }, { event = "of tomorrow\27" },
      { event = "denied", argv = { {} } }, { event = "x", session = "a\0b", time = "\0" },
      { event = "fallback" }, { event = "terminal_start" },
    } do
      assert.is_nil(audit_text.line(event):find "%c")
    end
    local text = audit_text.line { event = "exec", argv = { "echo", "a b" }, code = 3.0,
      duration = 0.25, session = "demo", time = "T" }
    assert.matches("^T  demo +exec +echo 'a b': exited %(3%), 0.25 s$", text)
  end)

  it("cuts a command that is a whole program, and ends without blanks", function()
    local long = audit_text.line {
      event = "exec", argv = { "sh", "-c", ("é; "):rep(500) }, code = 0, duration = 1,
    }
    assert.truthy(utf8.len(long))
    assert(utf8.len(long) < 260, long)
    assert.matches("%.%.%.: exited %(0%), 1 s$", long)
    assert.matches("image_use +localhost/mine:1 sha256:ab /project$", audit_text.line {
      event = "image_use", image = "localhost/mine:1", digest = "sha256:ab", dir = "/project",
    })
    local broken = audit_text.line { event = "exec", argv = { ("\x80"):rep(500) } }
    assert.matches(" %.%.%.:$", broken)
    assert.matches("session_close  axo%-ses%-x$", audit_text.line {
      event = "session_close", container = "axo-ses-x",
    })
    assert.matches("/project$", audit_text.line {
      event = "session_stop", image = "x", dir = "/project",
    })
  end)
end)

describe("the events that can be asked for", function()
  it("are those of the guide's table", function()
    local command = require("axolua.document.grammar").command "audit"
    local table_of_events = assert(temp.read "scripts/guide/audit-log.md")
      :match "\n| event | what else |\n(.-)\n\n"
    local told, offered = {}, {}
    for cell in table_of_events:gmatch "\n| (`[^|]+)|" do
      for name in cell:gmatch "`([%w_]+)`" do told[#told + 1] = name end
    end
    for _, option in ipairs(command.options) do
      if option.names[1] == "--event" then offered = option.value.choices end
    end
    assert(#told > 10)
    table.sort(told)
    table.sort(offered)
    assert.same(told, offered)
  end)
end)
