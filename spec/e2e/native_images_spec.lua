-- @runs native-root
local uv = require "luv"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"
local temp = e2e.temp

-- One static program and nothing else: no shell, no /etc, no /tmp.
local PROGRAM = [[
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char cwd[4096];
  printf("%d %u:%u %s\n", argc, getuid(), getgid(), getcwd(cwd, sizeof cwd) ? cwd : "?");
  return argc > 1 ? argv[1][0] - '0' : 0;
}
]]

local function scratch(...)
  local dir = temp.dir()
  assert(uv.fs_mkdir(dir .. "/root", tonumber("755", 8)))
  temp.write(dir .. "/only.c", PROGRAM)
  e2e.proc.must { "cc", "-O1", "-static", "-o", dir .. "/root/only", dir .. "/only.c" }
  e2e.proc.must { "tar", "-C", dir .. "/root", "--owner=0", "--group=0", "-cf",
    dir .. "/root.tar", "." }
  local tag = ("localhost/%s:1"):format(("axotest-" .. temp.token()):lower())
  e2e.janitor.made("image", tag)
  local argv = { "podman", "import", "-q" }
  for _, change in ipairs { ... } do table.move({ "--change", change }, 1, 2, #argv + 1, argv) end
  table.move({ dir .. "/root.tar", tag }, 1, 2, #argv + 1, argv)
  e2e.proc.must(argv)
  return tag
end

describe("the guest starts in", function()
  e2e.housekeeping(_ENV)

  -- The image's user need not be the directory's owner.
  local function open_dir()
    local dir = temp.dir()
    assert(uv.fs_chmod(dir, tonumber("777", 8)))
    return dir
  end

  local function assert_serves(sb)
    local task = assert(sb:spawn_background "echo task; exit 3")
    assert(task:wait())
    assert.equal("task\n", task:log())
    assert.equal("exited (3)", task:status())
    local term = assert(sb:spawn_pty { "tty" })
    assert(term:wait())
    assert.matches("^/dev/pts/%d+", term:snapshot())
    assert(sb:write_file("file", "bytes"))
    assert.equal("bytes", assert(sb:exec { "cat", "file" }).stdout)
    assert.equal("bytes", assert(sb:read_file "file"))
  end

  for _, kind in ipairs { "base", "debian", "entrypoint", "cmd", "user", "volume" } do
    it("the image " .. kind .. " and serves", function()
      local sb = native.start { image = e2e.images[kind](), dir = open_dir() }
      assert_serves(sb)
      assert(sb:stop())
    end)
  end

  it("an image of one static program, where the portable path has no sleep to run", function()
    local sb = native.start { image = scratch() }
    local r = assert(sb:exec { "/only", "7" })
    assert.equal(7, r.code)
    assert.equal(("2 0:0 %s\n"):format(sb:root()), r.stdout)
    assert.equal("1 4242:4343 /\n",
      assert(sb:exec({ "/only" }, { user = "4242:4343", cwd = "/" })).stdout)
    local _, err = sb:exec({ "/only" }, { user = "nobody" })
    assert.equal("NO_USER", err.code)
    _, err = sb:exec { "sh" }
    assert.equal("NOT_FOUND", err.code)
    local task = assert(sb:spawn_background { "/only", "5" })
    assert(task:wait())
    assert.equal("exited (5)", task:status())
    local term = assert(sb:spawn_pty { "/only" })
    assert(term:wait())
    assert.matches("^1 0:0 ", term:snapshot())
    assert(sb:write_file("a file", "by\0tes"))
    assert.equal("by\0tes", assert(sb:read_file "a file"))
    assert.equal(6, assert(sb:stat "a file").size)
    assert.equal("a file", assert(sb:list_dir ".")[1].name)
    assert(sb:kill_all())
    assert(sb:stop())
  end)

  it("such an image whose user is a number", function()
    local sb = native.start { image = scratch "USER 4242:4343" }
    assert.equal("1 4242:4343 /\n", assert(sb:exec({ "/only" }, { cwd = "/" })).stdout)
    assert(sb:stop())
  end)
end)

describe("a guest that is not root", function()
  e2e.housekeeping(_ENV)

  it("lets podman run what is for another user", function()
    local sb = native.start { image = e2e.images.user() }
    assert.equal("worker\n", assert(sb:exec { "id", "-un" }).stdout)
    assert.equal("worker\n", assert(sb:exec({ "id", "-un" }, { user = "worker" })).stdout)
    assert.equal("root\n", assert(sb:exec({ "id", "-un" }, { user = "root" })).stdout)
    assert.equal("/root\n", assert(sb:exec({ "sh", "-c", "echo $HOME" }, { user = "root" })).stdout)
    local r = assert(sb:exec({ "sh", "-c", "cat; exit 5" }, { user = "0", stdin = "through" }))
    assert.equal("through", r.stdout)
    assert.equal(5, r.code)
    local view = e2e.probe.container(sb:container())
    local mark = e2e.probe.unique_sleep()
    r = assert(sb:exec({ "sleep", mark }, { user = "root", timeout = 0.5 }))
    assert.is_true(r.timed_out)
    assert.equal(0, #view.find(mark))
    local task = assert(sb:spawn_background("id -un", { user = "root" }))
    assert(task:wait())
    assert.equal("root\n", task:log())
    local listed
    for _, each in ipairs(sb:list_tasks()) do listed = listed or each.id == task.id end
    assert.is_true(listed)
    assert(sb:stop())
  end)
end)
