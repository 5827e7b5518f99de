--- sb:grep and sb:glob without a container: by the helper, and by each set of tools that images have.
local uv = require "luv"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local result = require "axosandbox.way.result"
local search = require "axosandbox.session.search"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local shells = require "spec.support.shells"
local temp = require "spec.support.temp"

local PROGRAM = assert(os.getenv "AXO_BUILD") .. "/lib/axosandbox/axo-search"
if uv.fs_stat(PROGRAM .. "_checked") then PROGRAM = PROGRAM .. "_checked" end

local function spawn(argv, spec, path, done)
  return core.spawn(argv, {
    env = { "PATH=" .. path }, cwd = spec.cwd, timeout = spec.timeout,
    max_output = spec.max_output,
  }, function(raw) done(nil, result.new(raw)) end)
end

local function by_shell(shell)
  return function(_, spec, done)
    if spec.argv[1] ~= "sh" then
      uv.new_timer():start(0, 0, function()
        done(errors.new { op = "exec", code = "NOT_FOUND", message = "no such program" })
      end)
      return true
    end
    local argv = table.move(shell.shell, 1, #shell.shell, 1, {})
    table.move(spec.argv, 2, #spec.argv, #argv + 1, argv)
    return spawn(argv, spec, shell.path, done)
  end
end

local function by_helper(_, spec, done)
  return spawn(spec.argv, spec, "/nowhere", done)
end

local WAYS = { { name = "the helper", is_helper = true, exec = by_helper } }
for _, shell in ipairs(shells.all()) do
  if shell.name ~= "dash and coreutils" then
    local is_busybox = shell.name == "busybox"
    WAYS[#WAYS + 1] = { name = shell.name, exec = by_shell(shell), is_busybox = is_busybox }
  end
end

for _, way in ipairs(WAYS) do
  describe("search by " .. way.name, function()
    local base, root, sb, mark
    setup(function() mark = janitor.mark() end)
    teardown(function() janitor.sweep(mark) end)

    before_each(function()
      base = temp.dir()
      root = base .. "/the root"
      assert(uv.fs_mkdir(root, tonumber("755", 8)))
      local fake = { root = root, exec = way.exec, search_program = PROGRAM }
      sb = setmetatable({ way = fake }, { __index = search.methods })
    end)

    local function write(path, bytes)
      local dir = path:match "^(.*)/"
      if dir then proc.must { "mkdir", "-p", root .. "/" .. dir } end
      temp.write(root .. "/" .. path, bytes)
    end

    local function found(matches)
      local list = {}
      for i, match in ipairs(matches) do
        list[i] = ("%s|%d|%s"):format(match.path, match.line, match.text)
      end
      return list
    end

    local function fails(code, value, err)
      assert.is_nil(value)
      assert.equal(code, err.code, tostring(err))
      return err
    end

    local function reasons(matches)
      local list = {}
      for _, it in ipairs(matches.unsearched or {}) do list[it.path] = it.reason end
      return list
    end

    it("finds lines by path and number", function()
      write("a.txt", "one\ntwo\nThree\n")
      write("d/b.lua", "two: 2\n\ntwo again")
      write("odd\nname:1:x", "two\n")
      write("-dash", "two\n")
      temp.write(base .. "/secret", "secret two\n")
      assert(uv.fs_symlink(base .. "/secret", root .. "/link"))
      assert(uv.fs_symlink(base, root .. "/out"))
      assert.same({ "-dash|1|two", "a.txt|2|two", "d/b.lua|1|two: 2", "d/b.lua|3|two again",
        "odd\nname:1:x|1|two" }, found(assert(sb:grep "two")))
      assert.same({ "a.txt|3|Three" }, found(assert(sb:grep("th?ree$", { ignore_case = true }))))
      assert.same({ "d/b.lua|1|two: 2" }, found(assert(sb:grep("[0-9]|Z", { path = "d" }))))
      assert.same({ "a.txt|2|two" }, found(assert(sb:grep("two", { path = "a.txt" }))))
      assert.same({ "d/b.lua|1|two: 2" },
        found(assert(sb:grep("two: 2", { glob = "*.lua", fixed = true }))))
      assert.same({ "d/b.lua|1|two: 2", "d/b.lua|3|two again" },
        found(assert(sb:grep("two", { glob = "**/*.{lua,c}" }))))
      assert.same({}, found(assert(sb:grep("o.e", { fixed = true }))))
      assert.same({}, found(assert(sb:grep "secret")))
      assert.same({}, found(assert(sb:grep "-e")))
      fails("OUTSIDE", sb:grep("secret", { path = "out" }))
      fails("OUTSIDE", sb:grep("secret", { path = "link" }))
      fails("NOT_FOUND", sb:grep("x", { path = "none" }))
    end)

    it("stops at max, which is for all files", function()
      for i = 1, 20 do write(("f%02d"):format(i), ("word\n"):rep(10)) end
      local few = assert(sb:grep("word", { max = 15 }))
      assert.equal(15, #few)
      assert.is_true(few.truncated)
      assert.equal("max", few.stopped)
      assert.is_nil(assert(sb:grep("word", { max = 200 })).truncated)
    end)

    it("is forged by no content and no name", function()
      write("bin", "util_a\0src/login.lua\0007:password = admin\n")
      write("text", "password\nsrc/login.lua\n7:password = admin\nm:1:password\n./x\0:1:password")
      write("z", "a password\n")
      write("x\n./text:1:password", "nothing\n")
      local matches = assert(sb:grep "password")
      for _, match in ipairs(matches) do
        assert.is_true(match.path == "z" or match.path == "text", match.path)
      end
      assert.equal("z|1|a password", found(matches)[#matches])
    end)

    it("passes over binary files, and no text after them", function()
      write("a", "needle\0needle\n")
      write("b", "needle\n")
      write("c", ("\0"):rep(100000) .. "needle\n")
      write("d", "needle\n")
      local matches = assert(sb:grep "needle")
      assert.same({ "b|1|needle", "d|1|needle" }, found(matches))
      if way.is_helper then assert.equal(2, matches.binaries) end
    end)

    it("says which files are too large, and searches the others", function()
      write("a", "needle\n")
      write("z", "needle\n")
      local fd = assert(uv.fs_open(root .. "/huge", "w", 420))
      assert(uv.fs_write(fd, "needle\n", 0))
      assert(uv.fs_ftruncate(fd, 5 * 2 ^ 30 // 1))
      uv.fs_close(fd)
      local matches = assert(sb:grep "needle")
      assert.same({ "a|1|needle", "z|1|needle" }, found(matches))
      assert.same({ huge = "too_large" }, reasons(matches))
      matches = assert(sb:grep("needle", { path = "huge" }))
      assert.same({ huge = "too_large" }, reasons(matches))
    end)

    it("waits for no FIFO and follows no loop", function()
      write("d/f", "needle\n")
      proc.must { "mkfifo", root .. "/d/fifo" }
      assert(uv.fs_symlink("..", root .. "/d/up"))
      assert(uv.fs_symlink("self", root .. "/d/self"))
      assert.same({ "d/f|1|needle" }, found(assert(sb:grep "needle")))
      fails("NOT_A_FILE", sb:grep("x", { path = "d/fifo" }))
    end)

    it("keeps bytes and names that are not UTF-8", function()
      write("caf\xe9.txt", "caf\xe9 au lait\n")
      write("latin", "x \xe9\xe8 needle y\n")
      local matches = assert(sb:grep("needle", { fixed = true }))
      assert.same({ "latin|1|x \xe9\xe8 needle y" }, found(matches))
      assert.equal("caf\xe9.txt", assert(sb:glob "caf*")[1])
      if way.is_helper then
        assert.same({ "caf\xe9.txt|1|caf\xe9 au lait" }, found(assert(sb:grep "au lait")))
        assert.same({ "latin|1|x \xe9\xe8 needle y" }, found(assert(sb:grep "x.*y$")))
        assert.equal(1, #assert(sb:grep("f\xe9", { fixed = true })))
      end
    end)

    if way.is_helper then
      it("requires no half of a character that may be missing", function()
        for length = 250, 260 do
          local text = ("a"):rep(length)
          write("f", text .. "\n")
          assert.equal(1, #assert(sb:grep(text .. "é?")), length)
          assert.equal(1, #assert(sb:grep(text .. "€*")), length)
        end
      end)

      it("shows whole characters of a line that it searches in pieces", function()
        for shift = 0, 3 do
          write("f", ("x"):rep(shift) .. ("€"):rep(3000000) .. "\n")
          local match = assert(sb:grep("€$", { max_line = 64 }))[1]
          assert.is_truthy(utf8.len(match.text))
          match = assert(sb:grep("€", { max_line = 64 }))[1]
          assert.is_truthy(utf8.len(match.text))
        end
      end)
    end

    it("speaks Perl's dialect, or refuses with advice", function()
      write("f", "Item 42\nother\n\tTab; x\n")
      assert.same({ "f|1|Item 42" }, found(assert(sb:grep "\\d+")))
      assert.same({ "f|1|Item 42" }, found(assert(sb:grep "(?i)iTEM\\s\\d\\d\\b")))
      assert.same({ "f|2|other" }, found(assert(sb:grep "^\\w+$")))
      assert.same({ "f|3|\tTab; x" }, found(assert(sb:grep "^\\t[\\w]+;.*?[x-z]$")))
      assert.same({ "f|1|Item 42" }, found(assert(sb:grep "^(?:Item|None) [^a-z]{2}|zz{2,}")))
    end)

    it("has lookaround where it is Perl's, and says so where it is not", function()
      write("f", "Item 42\nItem 7\n")
      local matches, err = sb:grep "Item (?=42)"
      if way.is_busybox then
        fails("UNSUPPORTED", matches, err)
        assert.matches("grep %-E", err.hint)
      else
        assert.same({ "f|1|Item 42" }, found(assert(matches, err)))
      end
    end)

    it("refuses what is no pattern, and what can match nothing", function()
      write("f", "x\n")
      local err = fails("PATTERN", sb:grep "a(")
      if way.is_helper then
        assert.equal(2, err.offset)
        assert.matches("parenthes", err.message)
        assert.matches("PCRE2", err.hint)
      end
      fails("PATTERN", sb:grep "a\nb")
      fails("PATTERN", sb:grep("a\nb", { fixed = true }))
      fails("PATTERN", sb:grep "a\0b")
      fails("PATTERN", sb:grep "[a")
    end)

    it("shows what is around a match in a long line", function()
      write("f", ("x"):rep(5000) .. "needle" .. ("y"):rep(5000) .. "\n")
      local match = assert(sb:grep("need+le", { max_line = 200 }))[1]
      assert.matches("needle", match.text)
      assert.is_true(#match.text <= 203)
      assert.equal(10006, match.cut_before + #match.text + match.cut_after)
      if way.is_helper then assert.equal(5001, match.column) end
    end)

    it("searches a line of 17 MB", function()
      write("a", ("ab"):rep(8500000))
      write("b", "b after it: a\n")
      local matches = assert(sb:grep("a", { max_line = 100 }))
      assert.equal("a", matches[1].path)
      assert.equal(2, #matches)
      assert.same({}, found(assert(sb:grep "zzz")))
    end)

    it("goes through a link to the session's directory itself", function()
      write("sub/f", "needle\n")
      assert(uv.fs_symlink("..", root .. "/sub/up"))
      local matches = assert(sb:grep("needle", { path = "sub/up" }))
      assert.same({ "sub/up/sub/f|1|needle" }, found(matches))
      local paths = assert(sb:glob "sub/up/*/f")
      assert.same({ "sub/up/sub/f", 1 }, { paths[1], #paths })
    end)

    it("takes files whose lines end in CRLF", function()
      write("f", "one;\r\ntwo\r\n")
      for _, pattern in ipairs { "e;$", "(e;|two;)$", "^one;$", "[$e];$" } do
        assert.same({ "f|1|one;" }, found(assert(sb:grep(pattern))), pattern)
      end
      if not way.is_busybox then
        assert.same({ "f|1|one;" }, found(assert(sb:grep "e(?=;$)")))
      end
    end)

    it("says what may not be read", function()
      if uv.getuid() == 0 then return end -- root may read all
      write("a", "needle\n")
      write("shut/f", "needle\n")
      write("closed", "needle\n")
      assert(uv.fs_chmod(root .. "/shut", 0))
      assert(uv.fs_chmod(root .. "/closed", 0))
      local matches = assert(sb:grep "needle")
      assert.same({ "a|1|needle" }, found(matches))
      assert.same({ shut = "unreadable", closed = "unreadable" }, reasons(matches))
      local paths = assert(sb:glob "**")
      assert.same({ shut = "unreadable" }, reasons(paths))
      assert(uv.fs_chmod(root .. "/shut", 493))
    end)

    it("glob", function()
      for _, path in ipairs { "a.lua", "src/b.lua", "src/x/c.lua", "src/x/.d.lua", "src/e.c",
        "odd\n/f.lua", ".git/g.lua" } do
        write(path, "")
      end
      local function same(expected, paths)
        paths.by_tools = nil
        assert.same(expected, paths)
      end
      same({ "a.lua" }, assert(sb:glob "*.lua"))
      same({ "a.lua", "odd\n/f.lua", "src/b.lua", "src/x/c.lua" }, assert(sb:glob "**/*.lua"))
      same({ "src/b.lua", "src/e.c" }, assert(sb:glob "src/*.{c,lua}"))
      same({ "src/x/.d.lua", "src/x/c.lua" }, assert(sb:glob("src/x/**", { hidden = true })))
      same({ "src/x" }, assert(sb:glob(root .. "/src/x")))
      same({ "src", "src/x" }, assert(sb:glob "{src,src/[!a-w]}"))
      same({}, assert(sb:glob "none/**"))
      same({ "a.lua", truncated = true, stopped = "max" }, assert(sb:glob("**/*.lua", { max = 1 })))
    end)

    if not way.is_helper then
      it("refuses what the tools cannot do", function()
        write("f", "x\n")
        fails("UNSUPPORTED", sb:grep("x", { context = 1 }))
        fails("UNSUPPORTED", sb:grep("x", { gitignore = true }))
        fails("UNSUPPORTED", sb:grep("x", { max_files = 3 }))
        fails("UNSUPPORTED", sb:grep("x", { max_bytes = 100 }))
        fails("UNSUPPORTED", sb:glob("x", { gitignore = true }))
        assert.is_true(assert(sb:grep "x").by_tools)
      end)
      return
    end

    it("gives lines of context, which may be matches too", function()
      write("f", "1\n2\nmatch 3\n4\nmatch 5\n6\n7\n8\nmatch 9\n")
      local matches = assert(sb:grep("match", { context = 2 }))
      assert.same({ "1", "2" }, matches[1].before)
      assert.same({ "4", "match 5" }, matches[1].after)
      assert.same({ "match 3", "4" }, matches[2].before)
      assert.same({ "6", "7" }, matches[2].after)
      assert.same({ "7", "8" }, matches[3].before)
      assert.same({}, matches[3].after)
    end)

    it("ends a pattern that would take for ever, and says on which line", function()
      write("a", ("a"):rep(2000) .. "!\n")
      write("b", "aaa\n")
      local matches = assert(sb:grep("^(a|a)+$", { timeout = 20 }))
      assert.same({ "b|1|aaa" }, found(matches))
      assert.same({ a = "pattern_limit" }, reasons(matches))
      assert.equal("line 1", matches.unsearched[1].detail)
    end)

    it("returns what it found when its time is over", function()
      write("a", "xy\n")
      write("b", ("x"):rep(8000000) .. "\n")
      -- How long it takes to come to the second file is the machine's affair.
      local seconds, matches = 0.15
      repeat
        seconds = 2 * seconds
        matches = assert(sb:grep("x.*y", { timeout = seconds }))
      until matches[1] or seconds > 30
      assert.same({ "a|1|xy" }, found(matches))
      assert.equal("time", matches.stopped)
      assert.same({ b = "time" }, reasons(matches))
    end)

    it("has bounds on files and bytes", function()
      for i = 1, 9 do write("f" .. i, "x\n") end
      local matches = assert(sb:grep("x", { max_files = 3 }))
      assert.equal(3, #matches)
      assert.equal("files", matches.stopped)
      matches = assert(sb:grep("x", { max_bytes = 4 }))
      assert.equal(2, #matches)
      assert.equal("bytes", matches.stopped)
    end)

    it("goes only so deep", function()
      local path = root .. ("/d"):rep(300)
      proc.must { "sh", "-c", 'mkdir -p "$1" && echo x > "$1/f"', "sh", path }
      write("z", "x\n")
      local matches = assert(sb:grep "x")
      assert.same({ "z|1|x" }, found(matches))
      assert.equal("too_deep", matches.unsearched[1].reason)
    end)

    it("says where not all rules of a .gitignore are honoured", function()
      write("a", "x\n")
      for _, rules in ipairs { ("*.o\n"):rep(8193), ("*/"):rep(100) .. "x\n" } do
        write(".gitignore", rules)
        local unsearched = assert(sb:grep("x", { path = ".", gitignore = true })).unsearched
        assert.same({ "gitignore", 1 }, { unsearched[1].reason, unsearched.count })
      end
    end)

    it("leaves out what .gitignore says, as git does", function()
      if not proc.run { "git", "--version" } then return end
      write(".gitignore", "*.o\n!keep.o\nbuild/\n/top\ndocs/**/*.tmp\n\\#odd\n# no rule\n"
        .. "trail  \nlogs/**\n[ab]?.x\n//plain\n[[:upper:]_]\nz[\\]\\-]\n")
      write("sub/.gitignore", "!x.o\nlocal\n/only/here\n")
      for _, path in ipairs { "a.o", "keep.o", "build/f", "sub/build/f", "top", "sub/top",
        "docs/a.tmp", "docs/x/y/b.tmp", "#odd", "trail", "logs/a/b", "sub/x.o", "sub/y.o",
        "sub/local", "local",
        "sub/only/here", "only/here", "a1.x", "c1.x", "sub/b2.x", "nest/build", "plain",
        "A", "_", "B/c", "d", "z]", "z-", "z\\", "z[" } do
        write(path, "x\n")
      end
      proc.must { "git", "init", "-q", root }
      temp.write(root .. "/.git/info/exclude", "nest\n")
      local out = proc.must { "git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z" }
      local expected, got = {}, {}
      for path in (out.stdout or out):gmatch "[^%z]+" do expected[#expected + 1] = path end
      table.sort(expected)
      for _, match in ipairs(assert(sb:grep("", { gitignore = true }))) do
        if got[#got] ~= match.path then got[#got + 1] = match.path end
      end
      assert.same(expected, got)
      assert.is_nil(assert(sb:grep("", { gitignore = true })).unsearched)
      local inside = assert(sb:grep("", { gitignore = true, path = "sub" }))
      for _, match in ipairs(inside) do assert.is_not.equal("sub/y.o", match.path) end
    end)
  end)
end
