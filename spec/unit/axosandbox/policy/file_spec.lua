-- Files that somebody else could have written.
local uv = require "luv"
local policy_file = require "axosandbox.policy.file"
local policies = require "spec.support.policies"
local temp = require "spec.support.temp"

local TEXT = "return function() return { allow = true } end"

local function chmod(path, mode) assert(uv.fs_chmod(path, tonumber(mode, 8))) end

--- A file in a directory of its own.
local function fixture(mode)
  local dir = temp.dir "policy"
  return temp.write(dir .. "/exec.lua", TEXT, mode or "600"), dir
end

local function refused(path, pattern)
  local text, err = policy_file.read(path)
  assert.is_nil(text)
  assert(err, "it was not refused")
  assert.equal("POLICY", err.code)
  assert.equal(1, (err.message:find(path .. ":1: ", 1, true)), err.message)
  assert.matches(pattern, err.message)
  return err
end

describe("a policy file is read", function()
  policies.housekeeping(_ENV)

  it("when only its owner can write it", function()
    for _, mode in ipairs { "600", "644", "444", "755" } do
      assert.equal(TEXT, (policy_file.read((fixture(mode)))))
    end
  end)

  it("through links and dots", function()
    local path, dir = fixture()
    local link = temp.dir() .. "/link"
    assert(uv.fs_symlink(dir, link))
    -- The parent of what a link leads to, and not of the link.
    assert.is_nil((policy_file.read(link .. "/../link/exec.lua")))
    local text, _, real = policy_file.read(link .. "/exec.lua")
    assert.equal(TEXT, text)
    assert.equal(path, real)
    assert(uv.fs_symlink("exec.lua", dir .. "/retry.lua"))
    text, _, real = policy_file.read(dir .. "/retry.lua")
    assert.equal(TEXT, text)
    assert.equal(path, real)
    assert.equal(TEXT, (policy_file.read(dir .. "/../policy/./exec.lua")))
  end)

  it("from a directory that is sticky, such as /tmp", function()
    local path, dir = fixture()
    chmod(dir, "1777")
    assert.equal(TEXT, (policy_file.read(path)))
  end)

  it("when it is there: a missing one is no error", function()
    for _, path in ipairs { "/nonexistent/exec.lua", "/etc/passwd/exec.lua", temp.dir() .. "/x" } do
      local text, err = policy_file.read(path)
      assert.is_nil(text)
      assert.is_nil(err)
    end
    local dangling = temp.dir() .. "/exec.lua"
    assert(uv.fs_symlink("/nonexistent/exec.lua", dangling))
    assert.is_nil((policy_file.read(dangling)))
  end)

  it("when it is empty", function()
    local path = temp.write(temp.dir() .. "/exec.lua", "", "600")
    assert.equal("", (policy_file.read(path)))
  end)
end)

describe("a policy file is refused", function()
  policies.housekeeping(_ENV)

  it("when others can write it", function()
    for _, mode in ipairs { "666", "622", "620", "602", "777" } do
      local path = fixture(mode)
      local err = refused(path, "others can write it %(mode 0" .. mode .. "%)")
      assert.equal("chmod go-w " .. path, err.hint)
    end
  end)

  it("when others can write a directory on the way", function()
    for _, mode in ipairs { "777", "770", "757" } do
      local path, dir = fixture()
      chmod(dir, mode)
      local err = refused(path, "others can write the directory " .. dir:gsub("%p", "%%%0"))
      assert.equal("chmod go-w " .. dir, err.hint)
    end
    local top = temp.dir()
    assert(uv.fs_mkdir(top .. "/a", 448))
    assert(uv.fs_mkdir(top .. "/a/b", 448))
    local path = temp.write(top .. "/a/b/exec.lua", TEXT, "600")
    chmod(top, "777")
    refused(path, "others can write the directory")
  end)

  it("when a link leads through a directory that others can write", function()
    local path, dir = fixture()
    local open = temp.dir "open"
    assert(uv.fs_symlink(dir, open .. "/link"))
    chmod(open, "777")
    refused(open .. "/link/exec.lua", "others can write the directory")
    local safe = temp.dir()
    assert(uv.fs_symlink(open .. "/link/exec.lua", safe .. "/exec.lua"))
    refused(safe .. "/exec.lua", "others can write the directory")
    assert.equal(TEXT, (policy_file.read(path)))
  end)

  it("when it is not a file", function()
    local dir = temp.dir()
    assert(uv.fs_mkdir(dir .. "/exec.lua", 448))
    refused(dir .. "/exec.lua", "not a regular file but a directory")
    refused("/dev/null", "not a regular file but a char")
  end)

  it("when it is a pipe, without waiting for a writer", function()
    local path = temp.dir() .. "/exec.lua"
    require("spec.support.proc").must { "mkfifo", path }
    refused(path, "not a regular file but a fifo")
  end)

  it("when links lead in a circle", function()
    local dir = temp.dir()
    assert(uv.fs_symlink("b", dir .. "/a"))
    assert(uv.fs_symlink("a", dir .. "/b"))
    refused(dir .. "/a", "too many symbolic links")
  end)

  it("when it is too long", function()
    local path = temp.write(temp.dir() .. "/exec.lua",
      ("-"):rep(policy_file.MAX_SIZE + 1), "600")
    refused(path, "too long %(262145 bytes, at most 262144%)")
  end)

  it("when it cannot be read", function()
    local path, dir = fixture "000"
    if uv.getuid() == 0 then
      -- Root reads everything; a directory in the place of the file is as unreadable.
      assert(uv.fs_unlink(path))
      assert(uv.fs_mkdir(path, 448))
    end
    local set, err = policies.new(nil, { dir })
    assert.is_nil(set)
    assert.equal("POLICY", err.code)
    assert.matches("/exec.lua:1: ", err.message)
    assert(uv.getuid() == 0 or err.hint:find("chmod a+r " .. path, 1, true), err.hint)
  end)

  it("when it belongs to somebody else", function()
    if uv.getuid() == 0 then
      local path, dir = fixture()
      assert(uv.fs_chown(path, 65534, 65534))
      refused(path, "it belongs to the user 65534, neither to root nor to you")
      assert(uv.fs_chown(path, 0, 0))
      assert(uv.fs_chown(dir, 65534, 65534))
      refused(path, "belongs to the user 65534")
      assert(uv.fs_chown(dir, 0, 0))
      assert.equal(TEXT, (policy_file.read(path)))
      local link = temp.dir() .. "/exec.lua"
      assert(uv.fs_symlink(path, link))
      assert(uv.fs_lchown(link, 65534, 65534))
      refused(link, "belongs to the user 65534")
    else
      -- Root's files are trusted; this process can make none that belongs to a third.
      assert.is_string((policy_file.read "/etc/passwd"))
    end
  end)

  it("and then no set is made", function()
    local _, dir = fixture "666"
    local set, err = policies.new(nil, { dir })
    assert.is_nil(set)
    assert.matches("others can write it", err.message)
    set, err = policies.new { exec = dir .. "/exec.lua" }
    assert.is_nil(set)
    assert.matches("others can write it", err.message)
  end)

  it("when it was shipped, and everybody can write it", function()
    local policy = require "axosandbox.policy"
    local texts = {}
    for _, name in ipairs(policies.names) do texts[name] = TEXT end
    local dir = policies.dir(texts)
    -- A source tree that a group may write is fine: who can change it can change the library.
    chmod(dir, "775")
    chmod(dir .. "/exec.lua", "664")
    assert.truthy(policy.new(nil, { dirs = {}, shipped = dir }))
    chmod(dir .. "/exec.lua", "666")
    local set, err = policy.new(nil, { dirs = {}, shipped = dir })
    assert.is_nil(set)
    assert.matches("exec.lua:1: refused, because others can write it", err.message)
  end)
end)
