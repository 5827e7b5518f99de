-- How the native path replaces a file: the guest is played, its files are this machine's.
local uv = require "luv"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local files = require "axosandbox.way.native.files"
local janitor = require "spec.support.janitor"
local result = require "axosandbox.way.result"
local attributes = require "spec.support.attributes"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"
local unit = require "spec.support.unit"

describe("write_file on the native path", function()
  local root, mark, guest, sb
  local real = {}

  -- A function of luv that answers something else, until the test is over.
  local function instead(name, fn)
    real[name] = real[name] or uv[name]
    uv[name] = fn
  end

  -- As if each file that is looked at had an owner of its own.
  local function with_owners()
    local uid = 0
    instead("fs_fstat", function(fd)
      local stat = real.fs_fstat(fd)
      uid = uid + 1
      stat.uid = uid
      return stat
    end)
  end

  local function refuse() return nil, "EPERM: operation not permitted", "EPERM" end

  setup(function() mark = janitor.mark() end)
  teardown(function() janitor.sweep(mark) end)
  before_each(function()
    root = temp.dir()
    guest = { requests = {}, scripts = 0, silent = {} }
    sb = { is_open = true, container = "axo-ses-x", root = root, link = {} }
    local function answer(name, fn)
      guest.requests[#guest.requests + 1] = name
      if guest.silent[name] then
        fn { code = "ETIMEDOUT", op = "link", message = "it: the guest does not answer" }
        return false
      end
      return true
    end
    function sb.link:open_file(path, flags, mode, done)
      local name = flags & core.open_flags.O_CREAT ~= 0 and "create" or "look"
      if not answer(name, done) then return self end
      local fd, problem, code = uv.fs_open(root .. "/" .. path, flags, mode)
      if fd then done(nil, fd) else
        done { code = code, stage = core.stage.FILE, message = "it: " .. problem }
      end
      return true
    end
    function sb.link:path(op, path, to, mode, done)
      if not answer(op, done) then return true end
      path = root .. "/" .. path
      local acts = {
        rename = function() return uv.fs_rename(path, root .. "/" .. to) end,
        unlink = function() return uv.fs_unlink(path) end,
        rmdir = function() return uv.fs_rmdir(path) end,
        chmod = function()
          if guest.no_chmod then return refuse() end
          return real.fs_chmod and real.fs_chmod(path, mode) or uv.fs_chmod(path, mode)
        end,
        mkdir = function() return uv.fs_mkdir(path, 493) end,
      }
      local ok, problem, code = acts[op]()
      done(not ok and { code = code, stage = core.stage.FILE, message = "it: " .. problem } or nil)
      return self
    end
    function sb.exec(_, spec, done)
      guest.scripts = guest.scripts + 1
      if guest.no_shell then
        done(errors.new { code = "NOT_FOUND", op = "exec", message = "sh: no such file" })
        return true
      end
      return core.spawn(spec.argv, { input = spec.stdin, cwd = "/" }, function(raw)
        done(nil, result.new(raw))
      end)
    end
  end)
  after_each(function()
    for name, fn in pairs(real) do uv[name] = fn end
    real = {}
  end)

  local function write(path, bytes, opts)
    local ended
    assert(files.write_file(sb, path, bytes, opts or {}, function(err, ok)
      assert.is_nil(ended, "it ended twice")
      ended = { err = err, ok = ok }
    end))
    unit.wait(function() return ended end)
    return ended.ok, ended.err
  end

  local function mode_of(name) return uv.fs_stat(root .. "/" .. name).mode & 0xFFF end

  local function assert_no_temporary()
    local scan = assert(uv.fs_scandir(root))
    for name in function() return uv.fs_scandir_next(scan) end do
      assert.is_nil(name:match "^%.axo%-write")
    end
  end

  it("keeps the mode but for a set-id bit, with no process made", function()
    temp.write(root .. "/file", "old")
    uv.fs_chmod(root .. "/file", tonumber("4751", 8))
    assert(write("file", "new"))
    assert.equal("new", temp.read(root .. "/file"))
    assert.equal(tonumber("751", 8), mode_of "file")
    assert.equal(0, guest.scripts)
    assert_no_temporary()
  end)

  it("gives it back to its owner, with the mode it had or gets", function()
    local calls = {}
    temp.write(root .. "/file", "old")
    uv.fs_chmod(root .. "/file", tonumber("4755", 8))
    with_owners()
    local function record(format)
      return function(_, value) return table.insert(calls, format:format(value)) or true end
    end
    instead("fs_fchown", record "owner %d")
    instead("fs_fchmod", record "mode %o")
    assert(write("file", "new"))
    assert.same({ "owner 1", "mode 755" }, calls)
    assert(write("file", "newer", { mode = tonumber("700", 8) }))
    assert.same("mode 700", calls[4])
    assert.equal(0, guest.scripts)
  end)

  it("has the guest give it its mode where this host may not", function()
    temp.write(root .. "/file", "old")
    uv.fs_chmod(root .. "/file", tonumber("644", 8))
    instead("fs_fchown", refuse)
    instead("fs_fchmod", refuse)
    assert(write("file", "new"))
    assert.equal(0, guest.scripts)
  end)

  -- A host that is not root, and a file of another user of a rootless container.
  it("leaves to a script what this host may not keep", function()
    temp.write(root .. "/file", "old")
    uv.fs_chmod(root .. "/file", tonumber("640", 8))
    with_owners()
    instead("fs_fchown", refuse)
    assert(write("file", "new"))
    assert.equal(1, guest.scripts)
    assert.equal("new", temp.read(root .. "/file"))
    assert.equal(tonumber("640", 8), mode_of "file")
    assert_no_temporary()
  end)

  it("leaves the mode that was asked for to it as well", function()
    instead("fs_fchmod", refuse)
    guest.no_chmod = true
    assert(write("file", "new", { mode = tonumber("666", 8) })) -- more than a umask leaves
    assert.equal(1, guest.scripts)
    assert.equal(tonumber("666", 8), mode_of "file")
    assert_no_temporary()
  end)

  it("leaves a file alone whose owner nobody here can keep", function()
    temp.write(root .. "/file", "old")
    guest.no_shell = true
    with_owners()
    instead("fs_fchown", refuse)
    local _, err = write("file", "new")
    assert.equal("METADATA", err and err.code)
    assert.equal("old", temp.read(root .. "/file"))
    assert_no_temporary()
  end)

  it("hides what it makes until it is dressed", function()
    local modes = {}
    temp.write(root .. "/file", "old")
    instead("fs_fsync", function(fd, done)
      modes[#modes + 1] = uv.fs_fstat(fd).mode & 0xFFF
      return real.fs_fsync(fd, done)
    end)
    assert(write("file", "new"))
    assert.same({ tonumber("600", 8) }, modes)
  end)

  it("writes on after a part, and says what the disk says", function()
    local calls = 0
    instead("fs_write", function(fd, bytes, at, done)
      calls = calls + 1
      return real.fs_write(fd, calls == 1 and bytes:sub(1, 2) or bytes, at, done)
    end)
    assert(write("file", "12345"))
    assert.equal("12345", temp.read(root .. "/file"))
    calls = 0
    instead("fs_write", function(fd, bytes, at, done)
      calls = calls + 1
      if calls == 1 then return real.fs_write(fd, bytes:sub(1, 2), at, done) end
      done "ENOSPC: no space left on device"
      return true
    end)
    local _, err = write("new/dir/file", "12345", { parents = true })
    assert.equal("NO_SPACE", err and err.code)
    assert.matches("free some space", err.hint)
    assert.is_nil(uv.fs_stat(root .. "/new"))
    _, err = write("file", "other")
    assert.equal("NO_SPACE", err and err.code)
    assert.equal("12345", temp.read(root .. "/file"))
    assert_no_temporary()
  end)

  it("keeps ACLs and attributes, and takes none from the directory", function()
    temp.write(root .. "/file", "old")
    attributes.give(root .. "/file")
    local before = attributes.of(root .. "/file")
    if uv.getuid() == 0 then
      proc.must { "setfattr", "-n", "security.capability", "-v",
        "0x0100000200040000000000000000000000000000", root .. "/file" }
    end
    assert(write("file", "new"))
    assert.equal("new", temp.read(root .. "/file"))
    assert.equal(before, attributes.of(root .. "/file"))
    temp.write(root .. "/plain", "old", "640")
    before = attributes.of(root .. "/plain")
    proc.must { "setfacl", "-d", "-m", "u:65000:rwx", root }
    assert(write("plain", "new"))
    assert.equal(before, attributes.of(root .. "/plain"))
    assert.equal(0, guest.scripts)
  end)

  it("names the directory that is missing, and makes it when that is asked", function()
    assert(uv.fs_mkdir(root .. "/a", 493))
    local _, err = write("a/b/c/file", "x")
    assert.equal("NOT_FOUND", err and err.code)
    assert.equal("a/b/c/file: there is no directory a/b", err.message)
    assert.matches("parents = true", err.hint)
    assert(write("a/b/c/file", "x", { parents = true }))
    assert.equal("x", temp.read(root .. "/a/b/c/file"))
    _, err = write("a/b/c/file/d", "x", { parents = true })
    assert.equal("NOT_A_DIRECTORY", err and err.code)
    assert.matches("^a/b/c/file/d: ", err.message)
    assert.equal(0, guest.scripts)
  end)

  it("says what the script says", function()
    temp.write(root .. "/file", "old")
    with_owners()
    instead("fs_fchown", function()
      os.remove(root .. "/file")
      assert(uv.fs_mkdir(root .. "/file", 493))
      return refuse()
    end)
    local _, err = write("file", "new")
    assert.equal("NOT_A_FILE", err and err.code)
    assert_no_temporary()
  end)

  it("names a full quota, which luv has no word for", function()
    instead("fs_write", function(_, _, _, done)
      done "Unknown system error -122: Unknown system error -122"
      return true
    end)
    local _, err = write("file", "new")
    assert.equal("NO_SPACE", err and err.code)
    assert.matches("disk quota exceeded", err.message)
    assert_no_temporary()
  end)

  for _, request in ipairs { "create", "rename" } do
    it("tells a guest that falls silent at " .. request .. " to remove what it makes", function()
      guest.silent[request] = true
      local _, err = write("file", "new")
      assert.equal("TIMEOUT", err and err.code)
      assert.equal("unlink", guest.requests[#guest.requests])
    end)
  end

  it("waits once for a guest that answers nothing", function()
    guest.silent = { rename = true, unlink = true }
    local _, err = write("file", "new")
    assert.equal("TIMEOUT", err and err.code)
  end)

  it("ends when a request cannot even be made", function()
    function sb.link.path()
      return nil, { code = "ENOTCONN", op = "link", message = "the guest is not connected" }
    end
    function sb.gone() return errors.new { code = "GONE", op = "exec", message = "gone" } end
    local _, err = write("file", "new")
    assert.equal("GONE", err and err.code)
  end)
end)
