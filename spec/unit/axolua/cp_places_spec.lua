require("spec.support.cli").expose_libraries()
local host_tree = require "axolua.cp.host_tree"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"
local uv = require "luv"
local writable = require "axolua.cli.writable"

-- The container makes what links it likes in the session's directory.
describe("axolua cp: where on this host", function()
  local mark, top, root, elsewhere
  before_each(function()
    mark = janitor.mark()
    top = uv.fs_realpath(temp.dir "cp-places")
    root, elsewhere = top .. "/project", top .. "/elsewhere"
    proc.must { "mkdir", "-p", root .. "/real/deep", elsewhere .. "/deep", top .. "/outside" }
    assert(uv.fs_symlink(elsewhere, root .. "/out"))
    assert(uv.fs_symlink("real", root .. "/in"))
    assert(uv.fs_symlink("loop", root .. "/loop"))
    assert(uv.fs_symlink(root, top .. "/alias"))
    assert(uv.fs_symlink("project/out", top .. "/alias-of-out"))
  end)
  after_each(function() janitor.sweep(mark) end)

  local function open(path)
    local dir <close>, err = host_tree.open(path, { root })
    return dir and uv.fs_readlink("/proc/self/fd/" .. dir.fd), err and err.message
  end

  it("no link in the session's directory leads out of it, whatever way one comes in", function()
    for _, path in ipairs {
      root .. "/out", root .. "/out/deep", root .. "/out/.", root .. "/out/../outside",
      top .. "/alias/out", top .. "/alias/out/deep", top .. "/alias-of-out",
      top .. "/alias/real/../out", top .. "/outside/../alias/out/..",
    } do
      local where, message = open(path)
      assert.is_nil(where, path)
      assert.matches("leads out of it", message)
    end
    assert.matches("too many symbolic links", select(2, open(root .. "/loop")))
  end)

  it("nor does one in another directory that the session can write", function()
    local mount = top .. "/mount"
    assert(uv.fs_mkdir(mount, 448))
    assert(uv.fs_symlink(elsewhere, mount .. "/out"))
    assert(uv.fs_symlink(root .. "/real", mount .. "/in"))
    local dirs = writable.of(root, {
      { source = top .. "/alias/../mount", target = "/data", writable = true },
      { source = top .. "/outside", target = "/read", writable = false },
    })
    local dir <close>, err = host_tree.open(mount .. "/out/deep", dirs)
    assert.is_nil(dir)
    assert.matches(mount .. ", which the session can write, leads out of it", err.message, 1, true)
    local inside <close> = assert(host_tree.open(mount .. "/in", dirs))
    assert.equal(root .. "/real", uv.fs_readlink("/proc/self/fd/" .. inside.fd))
    assert(uv.fs_symlink(elsewhere, top .. "/outside/mine"))
    local mine <close> = assert(host_tree.open(top .. "/outside/mine", dirs))
    assert.equal(elsewhere, uv.fs_readlink("/proc/self/fd/" .. mine.fd))
  end)

  it("what lies in it or beside it is reached, also by the user's own links", function()
    assert.equal(root .. "/real/deep", open(top .. "/alias/in/deep"))
    assert.equal(root, open(top .. "/alias"))
    assert.equal(top .. "/outside", open(root .. "/../outside"))
    assert.equal(top .. "/outside", open(root .. "/real/../../outside/./"))
    assert.equal("/", open "/")
    assert.equal(elsewhere, open(elsewhere))
  end)

  it("devices, FIFOs and sockets stay, also behind a link", function()
    proc.must { "mkfifo", elsewhere .. "/fifo" }
    assert(uv.fs_symlink("/dev/null", elsewhere .. "/null"))
    assert(uv.fs_symlink("gone", elsewhere .. "/dangling"))
    local dir <close> = assert(host_tree.open(elsewhere, { root }))
    local function write(name)
      return dir:write_file(name, 420, function(put) return put "bytes" end)
    end
    for name, kind in pairs { fifo = "fifo", null = "char" } do
      local ok, err = write(name)
      assert.is_nil(ok)
      assert.matches("it is a " .. kind .. ", and is not replaced", err.message)
    end
    assert.equal("fifo", uv.fs_lstat(elsewhere .. "/fifo").type)
    assert.equal("link", uv.fs_lstat(elsewhere .. "/null").type)
    assert.is_true(write "dangling")
    assert.equal("file", uv.fs_lstat(elsewhere .. "/dangling").type)
    assert.same({ "dangling", "deep", "fifo", "null" }, dir:names(10))
  end)
end)
