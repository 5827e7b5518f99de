local uv = require "luv"
local core = require "axosandbox.core"
local attributes = require "spec.support.attributes"
local e2e_proc = require "spec.support.proc"
local files = require "axosandbox.session.files"
local scripted = require "axosandbox.way.scripted"
local scripts = require "axosandbox.way.scripts"
local result = require "axosandbox.way.result"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local shells = require "spec.support.shells"
local temp = require "spec.support.temp"

describe("confine", function()
  local function confine(path, root) return (files.confine(path, root or "/s/dir", "test")) end

  it("makes paths relative to the root", function()
    assert.equal("a/b", confine "a/b")
    assert.equal("a/b", confine "./a//b/")
    assert.equal("b", confine "a/../b")
    assert.equal(".", confine ".")
    assert.equal(".", confine "/s/dir")
    assert.equal("a", confine "/s/dir/a")
    assert.equal("a", confine "/s/x/../dir/a")
    assert.equal("etc", confine("/etc", "/"))
    assert.equal(".", confine("/", "/"))
    assert.equal("..a", confine "..a")
  end)

  it("refuses what leads out, and what is no path", function()
    for _, path in ipairs { "..", "../x", "a/../../x", "/", "/s", "/s/dirx", "/s/dir/../x",
      "/etc/passwd", "/..", "/s/dir/a/../../.." } do
      local _, err = files.confine(path, "/s/dir", "test")
      assert.equal("OUTSIDE", err and err.code, path)
    end
    for _, path in ipairs { "", "a\0b" } do
      local _, err = files.confine(path, "/s/dir", "test")
      assert.equal("INVALID", err and err.code)
    end
  end)
end)

describe("files, when the container lies,", function()
  it("repeat only so much of what it says", function()
    local lie = ("x"):rep(1e6)
    for _, stderr in ipairs { "\naxo-files IO " .. lie .. "\n", "\naxo-files TOO_LARGE " .. lie
      .. "\n", lie } do
      local fake = setmetatable({ root = "/", exec = function(_, _, done)
        uv.new_timer():start(0, 0, function()
          done(nil, { code = scripts.FAILED, stdout = "", stderr = stderr })
        end)
        return true
      end }, { __index = scripted })
      local sb = setmetatable({ way = fake }, { __index = files.methods })
      local value, err = sb:stat "d"
      assert.is_nil(value)
      assert.is_true(#err.message < 5000, #err.message)
    end
  end)
end)

-- The scripts, in each shell, on a directory of this machine.
for _, shell in ipairs(shells.all()) do
  describe("files by " .. shell.name, function()
    local base, root, sb, mark
    setup(function() mark = janitor.mark() end)
    teardown(function() janitor.sweep(mark) end)

    local function local_exec(_, spec, done)
      local argv = table.move(spec.argv, 2, #spec.argv, #shell.shell + 1,
        table.move(shell.shell, 1, #shell.shell, 1, {}))
      return core.spawn(argv, {
        env = { "PATH=" .. shell.path }, cwd = spec.cwd, input = spec.stdin,
        timeout = spec.timeout, max_output = spec.max_output,
      }, function(raw) done(nil, result.new(raw)) end)
    end

    before_each(function()
      base = temp.dir()
      root = base .. "/the root"
      assert(uv.fs_mkdir(root, tonumber("755", 8)))
      assert(uv.fs_mkdir(base .. "/out", tonumber("755", 8)))
      temp.write(base .. "/out/secret", "secret")
      local stat = uv.fs_stat(root)
      local fake = setmetatable({
        root = root, exec = local_exec,
        record = { mounted = { dir = root, dev = stat.dev, ino = stat.ino } },
      }, { __index = scripted })
      sb = setmetatable({ way = fake }, { __index = files.methods })
    end)

    local function fails(code, value, err)
      assert.is_nil(value)
      assert.equal(code, err.code, tostring(err))
      return err
    end

    local function names(entries)
      local list = {}
      for i, entry in ipairs(entries) do list[i] = entry.name end
      return list
    end

    local ODD = { "new\nline", "-dash", "sp ace", "tab\t", "quote'\"`$x", "ünï", "back\\slash",
      "end\n", "a:1:b", "\n", "*", "caf\xE9", "\xFF\\0101 %b\n", "\x80" }

    it("read any bytes", function()
      local bytes = assert(uv.random(200000))
      temp.write(root .. "/f", bytes)
      assert.is_true(assert(sb:read_file "f") == bytes)
      assert.is_true(assert(sb:read_file(root .. "/f")) == bytes)
      temp.write(root .. "/empty", "")
      assert.equal("", assert(sb:read_file "empty"))
    end)

    it("read a part", function()
      temp.write(root .. "/f", "0123456789")
      assert.equal("345", assert(sb:read_file("f", { offset = 3, limit = 3 })))
      assert.equal("89", assert(sb:read_file("f", { offset = 8, limit = 100 })))
      assert.equal("3456789", assert(sb:read_file("f", { offset = 3 })))
      assert.equal("", assert(sb:read_file("f", { offset = 100 })))
      assert.equal("", assert(sb:read_file("f", { limit = 0 })))
    end)

    it("refuse a file that is too large, and read it in parts", function()
      local file = assert(io.open(root .. "/big", "w"))
      file:seek("set", files.MAX_READ)
      file:write "end"
      file:close()
      local err = fails("TOO_LARGE", sb:read_file "big")
      assert.matches(tostring(files.MAX_READ + 3), err.message)
      assert.matches("offset and limit", err.hint)
      assert.equal("end", assert(sb:read_file("big", { offset = files.MAX_READ })))
    end)

    it("take names with anything in them", function()
      for _, name in ipairs(ODD) do
        assert(sb:write_file(name, name))
        assert.equal(name, assert(sb:read_file(name)))
        assert.equal(name, temp.read(root .. "/" .. name))
      end
      local expected = table.move(ODD, 1, #ODD, 1, {})
      table.sort(expected)
      assert.same(expected, names(assert(sb:list_dir())))
      for _, name in ipairs(ODD) do
        assert.equal(#name, assert(sb:stat(name)).size)
        assert(sb:rename(name, "x" .. name))
        assert(sb:mkdir(name))
        assert(sb:rename("x" .. name, name .. "/x"))
        assert(sb:write_file(name .. "/deep/er/y", "y", { parents = true }))
        assert(sb:remove(name, { recursive = true }))
      end
      assert.same({}, names(assert(sb:list_dir())))
    end)

    it("go through a link to the session's directory itself", function()
      temp.write(root .. "/f", "x")
      assert(uv.fs_symlink(".", root .. "/here"))
      assert.same({ "f", "here" }, names(assert(sb:list_dir "here")))
      assert.equal("directory", assert(sb:stat "here").type)
      assert.equal("x", assert(sb:read_file "here/f"))
      fails("NOT_A_FILE", sb:read_file "here")
      fails("NOT_A_FILE", sb:write_file("here", "x"))
    end)

    it("say what is wrong with a path", function()
      temp.write(root .. "/file", "x")
      assert(uv.fs_mkdir(root .. "/dir", tonumber("755", 8)))
      proc.must { "mkfifo", root .. "/fifo" }
      fails("NOT_FOUND", sb:read_file "none")
      fails("NOT_FOUND", sb:read_file "none/file")
      fails("NOT_A_DIRECTORY", sb:read_file "file/x")
      assert.matches("a directory", fails("NOT_A_FILE", sb:read_file "dir").message)
      assert.matches("a FIFO", fails("NOT_A_FILE", sb:read_file "fifo").message)
      fails("NOT_A_FILE", sb:write_file("fifo", "x"))
      fails("NOT_A_FILE", sb:write_file("dir", "x"))
      fails("NOT_A_FILE", sb:write_file(".", "x"))
      fails("NOT_FOUND", sb:write_file("none/x", "x"))
      fails("NOT_A_DIRECTORY", sb:list_dir "file")
      fails("NOT_FOUND", sb:list_dir "none")
      fails("NOT_FOUND", sb:stat "none")
      fails("EXISTS", sb:mkdir "dir")
      fails("NOT_FOUND", sb:mkdir "none/dir")
      fails("NOT_A_DIRECTORY", sb:mkdir("file/x", { parents = true }))
      fails("NOT_FOUND", sb:remove "none")
      fails("NOT_FOUND", sb:rename("none", "x"))
      fails("EXISTS", sb:rename("file", "dir"))
      fails("INVALID", sb:remove ".")
      fails("OUTSIDE", sb:read_file "../out/secret")
    end)

    it("say when the session's directory has vanished", function()
      proc.must { "rm", "-rf", root }
      fails("NO_ROOT", sb:read_file "x")
      fails("NO_ROOT", sb:write_file("x", "y"))
    end)

    it("are not led outside by symbolic links", function()
      assert(uv.fs_symlink(base .. "/out", root .. "/dir"))
      assert(uv.fs_symlink("../out/secret", root .. "/file"))
      assert(uv.fs_symlink("../out/new", root .. "/new"))
      assert(uv.fs_symlink("/", root .. "/slash"))
      for _, path in ipairs { "dir/secret", "file", "slash/etc/passwd", "dir/../out/secret" } do
        local value, err = sb:read_file(path)
        assert.is_nil(value)
        assert.matches("OUTSIDE", path == "dir/../out/secret" and "OUTSIDE" or err.code)
      end
      fails("OUTSIDE", sb:write_file("dir/secret", "x"))
      fails("OUTSIDE", sb:write_file("dir/x", "x"))
      fails("OUTSIDE", sb:write_file("dir/a/b", "x", { parents = true }))
      fails("OUTSIDE", sb:write_file("file", "x"))
      fails("OUTSIDE", sb:write_file("new", "x"))
      fails("OUTSIDE", sb:edit_file("file", "secret", "x"))
      fails("OUTSIDE", sb:list_dir "dir")
      fails("OUTSIDE", sb:stat "file")
      fails("OUTSIDE", sb:mkdir("dir/x", { parents = true }))
      fails("OUTSIDE", sb:mkdir "dir/x")
      fails("OUTSIDE", sb:remove "dir/secret")
      fails("OUTSIDE", sb:rename("dir/secret", "x"))
      temp.write(root .. "/mine", "x")
      fails("OUTSIDE", sb:rename("mine", "dir/x"))
      assert.equal("secret", temp.read(base .. "/out/secret"))
      local left = assert(io.popen("ls -A '" .. base .. "/out'"))
      assert.equal("secret\n", left:read "a")
      left:close()
    end)

    it("follow symbolic links that stay inside, and act on a link itself", function()
      temp.write(root .. "/target", "old")
      assert(uv.fs_symlink("target", root .. "/link"))
      assert(uv.fs_symlink("missing", root .. "/dangling"))
      assert(uv.fs_symlink("loop", root .. "/loop"))
      assert.equal("old", assert(sb:read_file "link"))
      assert(sb:write_file("link", "new"))
      assert.equal("new", temp.read(root .. "/target"))
      assert.equal("link", uv.fs_lstat(root .. "/link").type)
      assert.equal("file", assert(sb:stat "link").type)
      assert.equal("link", assert(sb:stat("link", { follow = false })).type)
      fails("NOT_FOUND", sb:read_file "dangling")
      fails("NOT_FOUND", sb:read_file "loop")
      assert(sb:rename("dangling", "dangling2"))
      assert(sb:remove "link")
      assert.equal("new", temp.read(root .. "/target"))
    end)

    it("replace a file in one step and keep its mode", function()
      temp.write(root .. "/f", "old")
      assert(uv.fs_chmod(root .. "/f", tonumber("640", 8)))
      local before = uv.fs_stat(root .. "/f")
      local held = assert(io.open(root .. "/f"))
      assert(sb:write_file("f", "new content"))
      local after = uv.fs_stat(root .. "/f")
      assert.are_not.equal(before.ino, after.ino)
      assert.equal(before.mode, after.mode)
      assert.equal("old", held:read "a")
      held:close()
      assert.same({ "f" }, names(assert(sb:list_dir())))
      assert(sb:write_file("script", "#!/bin/sh\n", { mode = tonumber("755", 8) }))
      assert.equal(tonumber("755", 8), assert(sb:stat "script").mode)
    end)

    it("keep all that a file has, whether or not this host can look at it", function()
      local known = sb.way.record
      for _, record in ipairs { known, {} } do
        sb.way.record = record
        temp.write(root .. "/f", "old")
        attributes.give(root .. "/f")
        local before = attributes.of(root .. "/f")
        assert(sb:write_file("f", "new"))
        assert.equal("new", temp.read(root .. "/f"))
        assert.equal(before, attributes.of(root .. "/f"))
        assert(sb:edit_file("f", "new", "newer"))
        assert.equal(before, attributes.of(root .. "/f"))
        assert.same({ "f" }, names(assert(sb:list_dir())))
        assert(uv.fs_unlink(root .. "/f"))
        -- What a directory gives to new files is not what this one had.
        temp.write(root .. "/f", "old", "640")
        e2e_proc.must { "setfacl", "-d", "-m", "u:65000:rwx", root }
        before = attributes.of(root .. "/f")
        assert(sb:write_file("f", "new"))
        assert.equal(before, attributes.of(root .. "/f"))
        e2e_proc.must { "setfacl", "-k", root }
        assert(uv.fs_unlink(root .. "/f"))
      end
    end)

    it("never keep a set-id bit, and part from other names of a file", function()
      temp.write(root .. "/f", "old")
      for _, record in ipairs { sb.way.record, {} } do
        sb.way.record = record
        uv.fs_chmod(root .. "/f", tonumber("6755", 8))
        assert(sb:write_file("f", "new"))
        assert.equal(tonumber("755", 8), uv.fs_stat(root .. "/f").mode & 0xFFF)
      end
      assert.has_error(function() sb:write_file("f", "x", { mode = tonumber("4755", 8) }) end)
      assert(uv.fs_link(root .. "/f", root .. "/other"))
      sb.way.record = {}
      local ok, err = sb:write_file("f", "newer")
      if not ok then
        assert.equal("METADATA", err.code)
        assert.is_string(err.hint)
        assert.equal("new", temp.read(root .. "/f"))
      end
      assert.equal("new", temp.read(root .. "/other"))
    end)

    it("say which directory is missing", function()
      assert(uv.fs_mkdir(root .. "/a", tonumber("755", 8)))
      for _, op in ipairs { { "write_file", "a/b/c/f", "x" }, { "mkdir", "a/b/c" } } do
        local err = fails("NOT_FOUND", sb[op[1]](sb, table.unpack(op, 2)))
        assert.matches("there is no directory a/b$", err.message)
        assert.matches("parents = true", err.hint)
      end
      assert.same({}, names(assert(sb:list_dir "a")))
    end)

    it("leave nothing behind when a write fails", function()
      local at_limit = local_exec
      function sb.way.exec(_, spec, done)
        local argv = { "sh", "-c", 'ulimit -f 8; trap "" XFSZ; exec "$@"', "sh" }
        table.move(spec.argv, 1, #spec.argv, #argv + 1, argv)
        return at_limit(nil, setmetatable({ argv = argv }, { __index = spec }), done)
      end
      temp.write(root .. "/f", "old")
      local big = ("x"):rep(300000)
      local err = fails("TOO_LARGE", sb:write_file("f", big))
      assert.matches("^f: ", err.message)
      fails("TOO_LARGE", sb:write_file("new/deep/f", big, { parents = true }))
      assert.equal("old", temp.read(root .. "/f"))
      assert.same({ "f" }, names(assert(sb:list_dir())))
      assert(uv.fs_unlink(root .. "/f"))
      sb.way.exec = local_exec

      assert(uv.fs_mkdir(root .. "/dir", tonumber("755", 8)))
      fails("NOT_A_FILE", sb:write_file("dir", ("x"):rep(300000)))
      assert.same({ "dir" }, names(assert(sb:list_dir())))
    end)

    it("edit what is there exactly once", function()
      temp.write(root .. "/f", "one %1 two\0two three")
      assert.equal(1, assert(sb:edit_file("f", "%1", "%%0")))
      assert.equal("one %%0 two\0two three", temp.read(root .. "/f"))
      local err = fails("AMBIGUOUS", sb:edit_file("f", "two", "2"))
      assert.matches("2 times", err.message)
      fails("NO_MATCH", sb:edit_file("f", "four", "4"))
      assert.equal(2, assert(sb:edit_file("f", "two", "2", { replace_all = true })))
      assert.equal("one %%0 2\0002 three", temp.read(root .. "/f"))
      assert.equal(1, assert(sb:edit_file("f", "2\0002", "")))
      assert.has_error(function() sb:edit_file("f", "", "x") end)
    end)

    it("do not edit over what somebody else wrote meanwhile", function()
      temp.write(root .. "/f", "one")
      local read = sb.way.read_file
      function sb.way:read_file(path, opts, done)
        return read(self, path, opts, function(err, bytes, signature)
          temp.write(root .. "/f2", "theirs")
          assert(uv.fs_rename(root .. "/f2", root .. "/f"))
          done(err, bytes, signature)
        end)
      end
      fails("CHANGED", sb:edit_file("f", "one", "two"))
      assert.equal("theirs", temp.read(root .. "/f"))
    end)

    it("list types, sizes and times", function()
      temp.write(root .. "/.hidden", "xyz")
      temp.write(root .. "/..x", "")
      assert(sb:mkdir("d/e/f", { parents = true }))
      assert(sb:mkdir("d/e", { parents = true }))
      proc.must { "mkfifo", root .. "/fifo" }
      assert(uv.fs_symlink("/nowhere", root .. "/link"))
      local types = {}
      for _, entry in ipairs(assert(sb:list_dir())) do types[entry.name] = entry.type end
      assert.same({
        [".hidden"] = "file", ["..x"] = "file", d = "directory", fifo = "fifo", link = "link",
      }, types)
      local entry = assert(sb:stat ".hidden")
      assert.equal(3, entry.size)
      assert.equal(uv.fs_stat(root .. "/.hidden").mtime.sec, entry.mtime)
    end)

    it("remove directories only when told to", function()
      assert(sb:write_file("d/.only", "", { parents = true }))
      fails("NOT_EMPTY", sb:remove "d")
      assert(sb:remove("d", { recursive = true }))
      assert(sb:mkdir "d")
      assert(sb:remove "d")
    end)
  end)
end
