-- @runs native-root portable-user
local uv = require "luv"
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local attributes = require "spec.support.attributes"
local temp = e2e.temp

local function describe_files(what, image)
  describe("files in " .. what, function()
    e2e.housekeeping(_ENV)
    local sb, root
    setup(function()
      sb = e2e.start { image = e2e.images[image]() }
      root = sb:root()
    end)
    teardown(function() sb:stop() end)

    local function fails(code, ...)
      local value, err = ...
      assert.is_nil(value)
      assert.equal(code, err.code)
      return value, err
    end

    it("are read and written byte for byte", function()
      local bytes = temp.random_bytes(300 * 1024)
      assert(sb:write_file("random", bytes))
      assert(temp.read(root .. "/random") == bytes, "written changed")
      assert(assert(sb:read_file "random") == bytes, "read changed")
      assert(sb:write_file("empty", ""))
      assert.equal("", assert(sb:read_file "empty"))
    end)

    it("have names with any byte in them", function()
      for _, name in ipairs { "-n * a\nb", "ü'\"$x\\b\n", "caf\xE9\\0101 \xFF" } do
        assert(sb:write_file(name, name))
        assert.equal(name, temp.read(root .. "/" .. name))
        assert.equal(name, assert(sb:read_file(name)))
        assert.equal(name, assert(sb:read_file(root .. "/" .. name)))
        assert(sb:remove(name))
        assert.is_nil(temp.read(root .. "/" .. name))
      end
    end)

    it("are replaced in one step, with their mode kept and nothing left over", function()
      temp.write(root .. "/script", "old", "750")
      assert(sb:write_file("script", "new"))
      assert.equal("new", temp.read(root .. "/script"))
      assert.equal(tonumber("750", 8), uv.fs_stat(root .. "/script").mode & 511)
      for _, entry in ipairs(assert(sb:list_dir ".")) do
        assert.is_nil(entry.name:find "^%.axo")
      end
    end)

    -- In a rootless container that is nobody whom the host's user has power over.
    it("stay with the user of the container whose they are", function()
      local function who()
        return assert(sb:exec { "stat", "-c", "%u:%g %a", "owned" }).stdout
      end
      assert(sb:write_file("owned", "old"))
      assert(assert(sb:exec { "chown", "1234:2345", "owned" }):ok())
      assert(assert(sb:exec { "chmod", "640", "owned" }):ok())
      assert(sb:write_file("owned", "new"))
      assert.equal("1234:2345 640\n", who())
      assert.equal(1, assert(sb:edit_file("owned", "new", "newer")))
      assert.equal("1234:2345 640\n", who())
      assert(sb:write_file("owned", "newest", { mode = tonumber("600", 8) }))
      assert.equal("1234:2345 600\n", who())
      assert.equal("newest", assert(sb:read_file "owned"))
      for _, entry in ipairs(assert(sb:list_dir ".")) do
        assert.is_nil(entry.name:find "^%.axo")
      end
    end)

    it("keep ACLs and attributes, but no set-id bit", function()
      temp.write(root .. "/acl", "old")
      attributes.give(root .. "/acl")
      local before = attributes.of(root .. "/acl")
      assert(sb:write_file("acl", "new"))
      assert.equal(1, assert(sb:edit_file("acl", "new", "newer")))
      assert.equal("newer", temp.read(root .. "/acl"))
      assert.equal(before, attributes.of(root .. "/acl"))
      assert(assert(sb:exec({ "sh", "-c", "echo x >suid; chmod 755 suid" })):ok())
      uv.fs_chmod(root .. "/suid", tonumber("6755", 8))
      assert.equal(1, assert(sb:edit_file("suid", "x", "y")))
      assert.equal(tonumber("755", 8), uv.fs_stat(root .. "/suid").mode & 4095)
    end)

    it("are made with their directories when that is asked", function()
      local _, err = fails("NOT_FOUND", sb:write_file("deep/er/file", "x"))
      assert.matches("there is no directory deep$", err.message)
      assert(sb:write_file("deep/er/file", "x", { parents = true }))
      assert.equal("x", temp.read(root .. "/deep/er/file"))
    end)

    it("are edited where a text is there once", function()
      temp.write(root .. "/edit", "one two one %d\n")
      assert.equal(1, assert(sb:edit_file("edit", "two", "2%1")))
      assert.equal("one 2%1 one %d\n", temp.read(root .. "/edit"))
      fails("AMBIGUOUS", sb:edit_file("edit", "one", "1"))
      fails("NO_MATCH", sb:edit_file("edit", "three", "3"))
      assert.equal(2, assert(sb:edit_file("edit", "one", "1", { replace_all = true })))
      assert.equal("1 2%1 1 %d\n", temp.read(root .. "/edit"))
    end)

    it("are edited only as the digest expects them", function()
      temp.write(root .. "/digest", "one\0two")
      local expected = axo.digest(assert(sb:read_file "digest"))
      -- The digest of the empty string and of "abc", from FIPS 180-2 and its examples.
      assert.equal("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        axo.digest "")
      assert.equal("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        axo.digest "abc")
      assert.equal(1, assert(sb:edit_file("digest", "two", "2", { expected = expected })))
      fails("CHANGED", sb:edit_file("digest", "one", "1", { expected = expected }))
      assert.equal("one\0002", temp.read(root .. "/digest"))
    end)

    for _, name in ipairs { "theirs", "link-to-theirs" } do
      it("are not edited over what somebody wrote meanwhile: " .. name, function()
        temp.write(root .. "/theirs", "one")
        uv.fs_symlink("theirs", root .. "/link-to-theirs")
        local read = sb.way.read_file
        function sb.way:read_file(path, opts, done)
          return read(self, path, opts, function(failed, bytes, signature)
            temp.write(root .. "/new", "newer")
            assert(uv.fs_rename(root .. "/new", root .. "/theirs"))
            done(failed, bytes, signature)
          end)
        end
        local count, err = sb:edit_file(name, "one", "two")
        sb.way.read_file = nil
        fails("CHANGED", count, err)
        assert.equal("newer", temp.read(root .. "/theirs"))
      end)
    end

    it("are not edited over what somebody wrote while the new content went to the disk", function()
      if sb:path() ~= "native" then return end
      for how, bytes in pairs { appended = "one and more", replaced = "newer" } do
        temp.write(root .. "/late", "one")
        local fsync = uv.fs_fsync
        uv.fs_fsync = function(...)
          local target = how == "appended" and "/late" or "/newer"
          temp.write(root .. target, bytes)
          if how == "replaced" then assert(uv.fs_rename(root .. target, root .. "/late")) end
          return fsync(...)
        end
        local count, err = sb:edit_file("late", "one", "two")
        uv.fs_fsync = fsync
        fails("CHANGED", count, err)
        assert.equal(bytes, temp.read(root .. "/late"))
      end
    end)

    it("are listed with what they are", function()
      e2e.proc.must { "mkdir", "-p", root .. "/list/dir" }
      temp.write(root .. "/list/file", "12345")
      assert(uv.fs_symlink("file", root .. "/list/link"))
      local entries = assert(sb:list_dir "list")
      assert.equal(3, #entries)
      local types = {}
      for _, entry in ipairs(entries) do types[entry.name] = entry.type end
      assert.same({ dir = "directory", file = "file", link = "link" }, types)
      assert.equal(5, assert(sb:stat "list/file").size)
    end)

    -- For a host that is not root, the first cannot be read, and what is in the second cannot be
    -- looked at.
    for _, mode in ipairs { "700", "744" } do
      it("are listed where another user of the container owns them: mode " .. mode, function()
        assert(assert(sb:exec({ "sh", "-c", "mkdir foreign && echo 12345 >foreign/f && "
          .. "chown -R 1000 foreign && chmod " .. mode .. " foreign" })):ok())
        local entries = assert(sb:list_dir "foreign")
        assert(sb:remove("foreign", { recursive = true }))
        assert.equal(1, #entries)
        assert.same({ "f", "file", 6 }, { entries[1].name, entries[1].type, entries[1].size })
      end)
    end

    it("cannot lie outside: not by dots, not absolutely", function()
      for _, path in ipairs { "../x", "a/../../x", "/etc/passwd", root .. "/../x", "/" } do
        fails("OUTSIDE", sb:read_file(path))
        fails("OUTSIDE", sb:write_file(path, "x"))
        fails("OUTSIDE", sb:list_dir(path))
      end
      fails("OUTSIDE", sb:read_file(root .. "-sibling/x"))
    end)

    it("cannot lie outside: not by a symbolic link, wherever it is on the way", function()
      assert(uv.fs_symlink("/etc", root .. "/etc-link"))
      assert(uv.fs_symlink("/etc/passwd", root .. "/passwd-link"))
      assert(uv.fs_symlink("..", root .. "/up"))
      assert(uv.fs_symlink("passwd-link", root .. "/twice"))
      for _, path in ipairs { "etc-link/passwd", "passwd-link", "up/x", "twice" } do
        fails("OUTSIDE", sb:read_file(path))
        fails("OUTSIDE", sb:write_file(path, "x"))
      end
      fails("OUTSIDE", sb:list_dir "etc-link")
      fails("OUTSIDE", sb:list_dir "up")
      fails("OUTSIDE", sb:remove "etc-link/passwd")
      local r = assert(sb:exec { "cat", "/etc/passwd" })
      assert.matches("^root:", r.stdout)
    end)

    it("follow a link that stays inside, and write what it leads to", function()
      temp.write(root .. "/target", "old")
      assert(uv.fs_symlink("target", root .. "/inside-link"))
      assert.equal("old", assert(sb:read_file "inside-link"))
      assert(sb:write_file("inside-link", "new"))
      assert.equal("new", temp.read(root .. "/target"))
      assert.equal("link", uv.fs_lstat(root .. "/inside-link").type)
    end)

    -- Also where openat2 is refused, as in sessions that may make no set-id files.
    it("are searched through a link that stays inside, and through no other", function()
      assert(sb:write_file("linked/d/f", "needle\n", { parents = true }))
      assert(uv.fs_symlink("d", root .. "/linked/in"))
      assert(uv.fs_symlink("d/../d/f", root .. "/linked/file"))
      assert(uv.fs_symlink("/etc", root .. "/linked/out"))
      for path, found in pairs {
        ["linked/in"] = "linked/in/f", ["linked/in/f"] = "linked/in/f",
        ["linked/file"] = "linked/file",
      } do
        assert.equal(found, assert(sb:grep("needle", { path = path }))[1].path)
      end
      assert.equal("linked/in/f", assert(sb:glob "linked/in/*")[1])
      fails("OUTSIDE", sb:grep("root", { path = "linked/out" }))
      fails("OUTSIDE", sb:grep("root", { path = "linked/out/passwd" }))
      fails("OUTSIDE", sb:glob "linked/out/*")
    end)

    it("that are none are told apart", function()
      e2e.proc.must { "mkfifo", root .. "/fifo" }
      e2e.proc.must { "mkdir", root .. "/directory" }
      fails("NOT_FOUND", sb:read_file "missing")
      fails("NOT_A_FILE", sb:read_file "fifo")
      fails("NOT_A_FILE", sb:read_file "directory")
      fails("NOT_A_FILE", sb:write_file("directory", "x"))
      fails("NOT_A_DIRECTORY", sb:list_dir "script")
      fails("NOT_A_DIRECTORY", sb:read_file "script/x")
    end)

    it("are searched by what is in them, with file and line", function()
      e2e.proc.must { "mkdir", "-p", root .. "/search/sub" }
      temp.write(root .. "/search/a.txt", "alpha\nneedle 1\nomega\n")
      temp.write(root .. "/search/sub/b c.lua", "x\n\nneedle: 2\n")
      temp.write(root .. "/search/bin", "\0needle\0")
      local matches = assert(sb:grep("needle.? [0-9]", { path = "search" }))
      assert.equal(2, #matches)
      assert.same({ "search/a.txt", 2, "needle 1" },
        { matches[1].path, matches[1].line, matches[1].text })
      assert.same({ "search/sub/b c.lua", 3, "needle: 2" },
        { matches[2].path, matches[2].line, matches[2].text })
      assert.same(1, #assert(sb:grep("needle", { path = "search", glob = "*.lua" })))
      local none = assert(sb:grep("nothing like it", { path = "search" }))
      assert.equal(0, #none)
      assert.equal(1, none.binaries)
    end)

    it("are found by their names", function()
      assert.same({ "search/sub/b c.lua" }, assert(sb:glob "search/**/*.lua"))
      assert.same({ "search/a.txt" }, assert(sb:glob "search/*.txt"))
      assert.same({}, assert(sb:glob "search/*.none"))
    end)

    it("are renamed and removed", function()
      assert(sb:write_file("from", "x"))
      assert(sb:rename("from", "to"))
      assert.equal("x", temp.read(root .. "/to"))
      assert(sb:remove "to")
      assert.is_nil(temp.read(root .. "/to"))
      assert(sb:mkdir("tree/a", { parents = true }))
      fails("NOT_EMPTY", sb:remove "tree")
      assert(sb:remove("tree", { recursive = true }))
      assert.is_nil(uv.fs_stat(root .. "/tree"))
    end)

    for _, style in ipairs(e2e.styles) do
      it("are handled " .. style.name, function()
        assert(style.call(sb.write_file, sb, "styles", style.name, {}))
        assert.equal(style.name, assert(style.call(sb.read_file, sb, "styles", {})))
        local value, err = style.call(sb.read_file, sb, "missing", {})
        assert.is_nil(value)
        assert.equal("NOT_FOUND", err.code)
      end)
    end
  end)
end

describe_files("a busybox image", "base")
describe_files("an image of dash and GNU tools", "debian")
