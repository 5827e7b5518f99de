-- The audit log: what an event looks like, the file and its rotation, and what happens when it
-- cannot be written.
local uv = require "luv"
local audit = require "axosandbox.audit"
local audit_lost = require "axosandbox.audit.lost"
local log = require "axosandbox.base.log"
local redact = require "axosandbox.audit.redact"
local host = require "spec.support.host"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local support = require "spec.support.audit"
local temp = require "spec.support.temp"

local function mode_of(path)
  return ("%o"):format(assert(uv.fs_stat(path)).mode & tonumber("7777", 8))
end

local function emit_many(count, text)
  for i = 1, count do audit.emit("test", "s", { n = i, text = text }) end
end

-- The numbers that events carry, and how many are said to be lost.
local function numbers(events)
  local seen, lost = {}, 0
  for _, event in ipairs(events) do
    if event.event == "lost" then
      lost = lost + event.count
    else
      seen[#seen + 1] = event.n
    end
  end
  return seen, lost
end

local function from_one_to(count)
  local list = {}
  for i = 1, count do list[i] = i end
  return list
end

describe("the audit log", function()
  local mark, messages
  setup(function() mark = janitor.mark() end)
  before_each(function()
    messages = {}
    log.set_logger(function(level, message) messages[#messages + 1] = level .. " " .. message end)
  end)
  after_each(support.off)
  teardown(function()
    log.set_logger(nil)
    janitor.sweep(mark)
  end)

  it("is off until it is asked for", function()
    assert.is_false(audit.is_on)
    audit.emit("test", "s", {})
  end)

  describe("to a function", function()
    it("gets a copy of each event, with who, when and which session", function()
      local got = {}
      audit.set_audit(function(event) got[#got + 1] = event end)
      local fields = { argv = { "ls" } }
      audit.emit("exec", "demo", fields)
      got[1].argv[1] = "changed"
      assert.equal("ls", fields.argv[1])
      assert.equal("exec", got[1].event)
      assert.equal("demo", got[1].session)
      assert.equal(uv.os_getpid(), got[1].pid)
      assert.equal(uv.getuid(), got[1].uid)
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", got[1].time)
    end)

    it("is told how many events it lost by raising", function()
      local got, broken = {}, true
      audit.set_audit(function(event)
        if broken then error "no" end
        got[#got + 1] = event
      end)
      emit_many(3)
      broken = false
      emit_many(1)
      assert.equal("test", got[1].event)
      assert.equal("lost", got[2].event)
      assert.equal(3, got[2].count)
      emit_many(1)
      assert.equal(3, #got)
      assert.equal(1, #messages)
      assert.matches("error .*no", messages[1])
    end)
  end)

  describe("to a file", function()
    it("appends lines of JSON to a file of mode 0600", function()
      local path = support.on()
      audit.emit("exec", "demo", { argv = { "printf", "\xff\0\n\"/" }, code = 0 })
      emit_many(2)
      support.flush()
      local events = support.events(path)
      assert.equal(3, #events)
      assert.same({ "printf", [[\xff\x00\x0a"/]] }, events[1].argv)
      assert.same({ "argv" }, events[1].escaped)
      assert.equal("600", mode_of(path))
      assert.equal(3, select(2, temp.read(path):gsub("\n", "\n")))
    end)

    it("appends to one that is there, and takes the others' rights away", function()
      local path = temp.write(temp.dir() .. "/log", '{"event":"older"}\n', "644")
      audit.set_audit { file = path }
      emit_many(1)
      support.flush()
      assert.equal("600", mode_of(path))
      assert.equal("older", support.events(path)[1].event)
      assert.equal(2, #support.events(path))
    end)

    it("neither follows a symbolic link nor writes to what is no file", function()
      local dir = temp.dir()
      local target = temp.write(dir .. "/target", "")
      assert(uv.fs_symlink(target, dir .. "/link"))
      assert(uv.fs_mkdir(dir .. "/dir", 448))
      assert.equal(0, os.execute("mkfifo " .. dir .. "/fifo") and 0)
      for _, name in ipairs { "/link", "/dir", "/fifo" } do
        audit.set_audit { file = dir .. name }
        emit_many(1)
        support.off()
        local gap = proc.eventually(function() return audit_lost.take(dir .. name) end)
        assert.equal(1, gap.lost)
      end
      assert.equal("", temp.read(target))
      assert.equal(3, #messages)
      for _, message in ipairs(messages) do assert.matches("cannot be written", message) end
    end)

    it("cuts long texts and lists, and says so", function()
      local path = support.on()
      local list = {}
      for i = 1, 1000 do list[i] = "word" end
      audit.emit("exec", "s", { argv = list, cwd = ("x"):rep(100000) })
      support.flush()
      local event = support.events(path)[1]
      assert.equal(257, #event.argv)
      assert.matches("1000 in all", event.argv[257])
      assert.matches("100000 bytes in all", event.cwd)
      assert.is_true(#event.cwd < 5000)
    end)

    it("raises on a mistake of the programmer", function()
      for problem, receiver in pairs {
        ["must be absolute"] = { file = "audit.jsonl" },
        ['unknown key "path"'] = { path = "/x" },
        ["below the minimum"] = { file = "/x", max_size = 1 },
      } do
        local ok, err = pcall(audit.set_audit, receiver)
        assert.is_false(ok)
        assert.matches(problem, err)
      end
      assert.is_false(audit.is_on)
    end)

    it("rotates by size, keeps so many, and loses nothing that it keeps", function()
      local path = support.on { max_size = 4096, keep = 3 }
      for i = 1, 400 do
        audit.emit("test", "s", { n = i })
        if i % 10 == 0 then support.flush() end
      end
      support.flush()
      local files = support.files(path)
      assert.equal(4, #files)
      local seen = numbers(support.events(path))
      assert.equal(400, seen[#seen])
      for i = 2, #seen do assert.equal(seen[i - 1] + 1, seen[i]) end
      for _, name in ipairs(files) do
        assert.is_true(uv.fs_stat(name).size <= 4096, name)
        assert.equal("600", mode_of(name))
      end
    end)

    it("rotates within one flood of events", function()
      local path = support.on { max_size = 4096, keep = 99 }
      emit_many(1000)
      support.flush()
      assert.same(from_one_to(1000), (numbers(support.events(path))))
      for _, name in ipairs(support.files(path)) do
        assert.is_true(uv.fs_stat(name).size <= 4096, name)
      end
    end)

    it("removes what is more than it keeps, and can keep none", function()
      local path = support.on { max_size = 4096, keep = 5 }
      for _ = 1, 20 do
        emit_many(20)
        support.flush()
      end
      assert.equal(6, #support.files(path))
      audit.set_audit { file = path, max_size = 4096, keep = 0 }
      for _ = 1, 5 do
        emit_many(20)
        support.flush()
      end
      assert.equal(1, #support.files(path))
    end)

    it("follows its name when the file is moved or removed", function()
      local path = support.on()
      emit_many(1)
      support.flush()
      assert(uv.fs_rename(path, path .. ".moved"))
      emit_many(2)
      support.flush()
      assert.equal(2, #support.events(path))
      assert(uv.fs_unlink(path))
      emit_many(3)
      support.flush()
      assert.equal(3, #support.events(path))
    end)

    it("is shared by processes that write and rotate at once", function()
      local path = temp.dir() .. "/audit.jsonl"
      local code = [[
        local audit = require "axosandbox.audit"
        audit.set_audit { file = options.path, max_size = 16384, keep = 99 }
        for i = 1, 500 do
          audit.emit("test", options.name, { n = i })
          uv.run "nowait"
        end
        uv.run()
      ]]
      local hosts = {}
      for i = 1, 3 do
        hosts[i] = host.start(code, { options = { path = path, name = "host" .. i } })
      end
      for _, one in ipairs(hosts) do
        one:close_stdin()
        local result = one:wait()
        assert.equal(0, result.code, result.stderr)
      end
      local by = { host1 = {}, host2 = {}, host3 = {} }
      for _, event in ipairs(support.events(path)) do by[event.session][event.n] = true end
      for name, seen in pairs(by) do assert.equal(500, #seen, name) end
      -- How many depends on the machine: who finds another shifting them writes on meanwhile.
      assert.is_true(#support.files(path) > 1)
    end)
  end)

  describe("that cannot be written", function()
    it("holds a bounded queue, counts what is lost, and says so in its place", function()
      local path = support.on()
      collectgarbage()
      local before = collectgarbage "count"
      -- The loop does not run meanwhile.
      emit_many(20000, ("x"):rep(200))
      collectgarbage()
      assert.is_true(collectgarbage "count" - before < 2 * 1024)
      support.flush()
      emit_many(1)
      support.flush()
      local events = support.events(path)
      local seen, lost = numbers(events)
      assert.equal(20000 + 1, #seen + lost)
      assert.is_true(lost > 10000, lost)
      assert.equal("lost", events[#events - 1].event)
      assert.matches("^%d%d%d%d%-", events[#events - 1].since)
      assert.same(from_one_to(#seen - 1), table.move(seen, 1, #seen - 1, 1, {}))
    end)

    it("goes on when it can be written again, whose fault it ever was", function()
      local dir = temp.dir()
      local path = dir .. "/missing/audit.jsonl"
      audit.set_audit { file = path }
      emit_many(5)
      support.flush()
      emit_many(5)
      support.flush()
      assert.equal(1, #messages)
      assert.matches("warn .*cannot be written", messages[1])
      assert(uv.fs_mkdir(dir .. "/missing", 448))
      support.flush()
      assert.equal(10, #support.events(path))
    end)

    -- A limit on the size of files stops writes in the middle of a line, as a full disk does.
    it("ends a line that was cut, and loses nothing of it", function()
      local path = temp.dir() .. "/audit.jsonl"
      local file = temp.write(temp.dir() .. "/host.lua", ([[
        local uv = require "luv"
        local audit = require "axosandbox.audit"
        local function flush()
          local over
          audit.flush(30, function() over = true end)
          while not over do uv.run "once" end
        end
        require("axosandbox.base.log").set_logger(function() end)
        audit.set_audit { file = %q, max_size = 1000000 }
        for i = 1, 60 do audit.emit("test", "s", { n = i }) end
        flush()
        io.write(uv.fs_stat(%q).size, "\n")
        uv.fs_rename(%q, %q)
        audit.emit("test", "s", { n = 61 })
        flush()
      ]]):format(path, path, path, path .. ".1"))
      local result = proc.run({ "/bin/sh", "-c",
        'trap "" XFSZ; ulimit -f 8; exec "$@"', "sh", uv.exepath(), file },
        { env = proc.interpreter_environment {
          LUA_PATH_5_4 = package.path, LUA_CPATH_5_4 = package.cpath,
        } })
      assert.equal(0, result.code, result.stderr)
      local size = tonumber(result.stdout)
      assert.is_true(size == 4096 or size == 8192, result.stdout)
      local seen, lost = numbers(support.events(path, 1))
      assert.same(from_one_to(61), seen)
      assert.equal(0, lost)
    end)

    it("writes what waits when the process ends without its loop", function()
      local path = temp.dir() .. "/audit.jsonl"
      local result = host.run([[
        local audit = require "axosandbox.audit"
        audit.set_audit { file = options.path }
        for i = 1, 50 do audit.emit("test", "s", { n = i }) end
      ]], { options = { path = path } })
      assert.equal(0, result.code, result.stderr)
      assert.same(from_one_to(50), (numbers(support.events(path))))
      assert.equal("600", mode_of(path))
    end)

    it("tells the next process what the last one lost", function()
      local dir = temp.dir()
      local path = dir .. "/missing/audit.jsonl"
      local code = [[
        local audit = require "axosandbox.audit"
        audit.set_audit { file = options.path }
        for i = 1, 7 do audit.emit("test", "s", { n = i }) end
      ]]
      local opts = { options = { path = path } }
      assert.equal(0, host.run(code, opts).code)
      assert.equal(0, host.run(code, opts).code)
      assert(uv.fs_mkdir(dir .. "/missing", 448))
      assert.equal(0, host.run(code .. "uv.run()", opts).code)
      local events = support.events(path)
      assert.equal("lost", events[1].event)
      assert.equal(14, events[1].count)
      assert.same(from_one_to(7), (numbers(events)))
      -- Told once.
      assert.equal(0, host.run(code .. "uv.run()", opts).code)
      assert.equal(1, #support.of(support.events(path), "lost"))
    end)
  end)

  describe("and secrets", function()
    local SECRET = "correct horse \"battery\""

    it("replaces values in every text, before it is cut", function()
      redact.add { TOKEN = SECRET }
      local path = support.on()
      audit.emit("exec", "s", {
        argv = { "curl", "-H", "Authorization: " .. SECRET .. SECRET }, cwd = "/" .. SECRET,
        error = { message = { { SECRET } } }, long = ("x"):rep(4090) .. SECRET,
      })
      support.flush()
      redact.remove { TOKEN = SECRET }
      local text = temp.read(path)
      assert.is_nil(text:find("correct", 1, true))
      assert.is_nil(text:find("battery", 1, true))
      local event = support.events(path)[1]
      assert.equal("Authorization: <redacted:TOKEN><redacted:TOKEN>", event.argv[3])
      assert.equal("/<redacted:TOKEN>", event.cwd)
    end)

    it("replaces a value that is written a hundred thousand times in one go", function()
      redact.add { TOKEN = SECRET }
      local count = 0
      debug.sethook(function() count = count + 1 end, "", 1000)
      local text = redact.text((SECRET .. " "):rep(100000))
      debug.sethook()
      redact.remove { TOKEN = SECRET }
      assert.equal(("<redacted:TOKEN> "):rep(100000), text)
      assert.is_true(count < 10000)
    end)

    it("knows long lines of a value, and the longer of two values", function()
      local key = "-----BEGIN-----\nAAAABBBBCCCCDDDDEEEE\nend"
      redact.add { KEY = key, SHORT = "abcd", LONG = "abcdefgh" }
      assert.equal("<redacted:KEY>", redact.text(key))
      assert.equal("x <redacted:KEY> y", redact.text "x AAAABBBBCCCCDDDDEEEE y")
      assert.equal("the end", redact.text "the end")
      assert.equal("<redacted:LONG> <redacted:SHORT>", redact.text "abcdefgh abcd")
      redact.remove { KEY = key, SHORT = "abcd", LONG = "abcdefgh" }
      assert.equal(key, redact.text(key))
    end)

    it("forgets a value when its last holder does", function()
      redact.add { A = "some value" }
      redact.add { B = "some value" }
      redact.remove { A = "some value" }
      assert.matches("redacted", redact.text "some value")
      redact.remove { B = "some value" }
      assert.equal("some value", redact.text "some value")
    end)
  end)
end)
