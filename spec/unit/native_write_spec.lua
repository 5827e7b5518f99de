-- How the native path replaces a file: the guest is played, its files are this machine's.
local uv = require "luv"
local core = require "axosandbox.core"
local errors = require "axosandbox.errors"
local files = require "axosandbox.native_files"
local janitor = require "spec.support.janitor"
local result = require "axosandbox.result"
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
    function sb.link:path(op, path, to, _, done)
      if not answer(op, done) then return true end
      path = root .. "/" .. path
      if op == "rename" then uv.fs_rename(path, root .. "/" .. to) else uv.fs_unlink(path) end
      done(nil)
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

  it("keeps the mode, with no process made", function()
    temp.write(root .. "/file", "old")
    uv.fs_chmod(root .. "/file", tonumber("4751", 8))
    assert(write("file", "new"))
    assert.equal("new", temp.read(root .. "/file"))
    assert.equal(tonumber("4751", 8), mode_of "file")
    assert.equal(0, guest.scripts)
    assert_no_temporary()
  end)

  it("gives it back to its owner, and then its setuid bit", function()
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
    assert.same({ "owner 1", "mode 4755" }, calls)
    assert(write("file", "newer", { mode = tonumber("4700", 8) }))
    assert.same("mode 4700", calls[4])
    assert.equal(0, guest.scripts)
  end)

  it("leaves alone what is right already", function()
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
    assert(write("file", "new", { mode = tonumber("666", 8) })) -- more than a umask leaves
    assert.equal(1, guest.scripts)
    assert.equal(tonumber("666", 8), mode_of "file")
    assert_no_temporary()
  end)

  it("writes all the same where no script can run", function()
    temp.write(root .. "/file", "old")
    guest.no_shell = true
    with_owners()
    instead("fs_fchown", refuse)
    assert(write("file", "new"))
    assert.equal("new", temp.read(root .. "/file"))
    assert_no_temporary()
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
