local uv = require "luv"
local devcontainer = require "axosandbox.devcontainer"
local file = require "axosandbox.devcontainer.file"
local policies = require "spec.support.policies"
local proc = require "spec.support.proc"
local projects = require "spec.support.devcontainers"
local temp = require "spec.support.temp"

local GOOD = '{"image":"alpine"}'
local DEFAULT = ".devcontainer/devcontainer.json"

local function path_of(files, opts)
  local dir = projects.dir(files)
  local found, err = devcontainer.load(dir, opts)
  return found and found.path:sub(#dir + 2), err
end

describe("finding a devcontainer.json", function()
  policies.housekeeping(_ENV)

  it("goes by the order of the specification", function()
    local files = {
      [DEFAULT] = GOOD, [".devcontainer.json"] = GOOD, [".devcontainer/a/devcontainer.json"] = GOOD,
    }
    assert.equal(DEFAULT, path_of(files))
    files[DEFAULT] = nil
    assert.equal(".devcontainer.json", path_of(files))
    files[".devcontainer.json"] = nil
    assert.equal(".devcontainer/a/devcontainer.json", path_of(files))
  end)

  it("lists several, and wants a choice", function()
    local files = {
      [".devcontainer/b/devcontainer.json"] = GOOD, [".devcontainer/a/devcontainer.json"] = GOOD,
      [".devcontainer/c/other.json"] = GOOD, [".devcontainer/x/y/devcontainer.json"] = GOOD,
    }
    local path, err = path_of(files)
    assert.is_nil(path)
    assert.equal("AMBIGUOUS", err.code)
    assert.matches("several dev containers: a, b$", err.message)
    assert.matches("option `name`", err.hint)
    assert.equal(".devcontainer/b/devcontainer.json", path_of(files, { name = "b" }))
    path, err = path_of(files, { name = "c" })
    assert.is_nil(path)
    assert.equal("NOT_FOUND", err.code)
    assert.matches("a, b", err.hint)
  end)

  it("a choice goes before the default", function()
    local files = { [DEFAULT] = "{", [".devcontainer/a/devcontainer.json"] = GOOD }
    assert.equal(".devcontainer/a/devcontainer.json", path_of(files, { name = "a" }))
  end)

  it("says when there is none", function()
    local others = { [".devcontainer"] = "a file" }
    for _, files in ipairs { {}, others, { ["devcontainer.json"] = GOOD } } do
      local path, err = path_of(files)
      assert.is_nil(path)
      assert.equal("NOT_FOUND", err.code)
    end
    local _, err = devcontainer.load(temp.dir() .. "/missing")
    assert.equal("ENOENT", err.code)
  end)
end)

describe("reading a hostile devcontainer.json", function()
  policies.housekeeping(_ENV)

  local function refused(dir, message)
    local found, err = devcontainer.load(dir)
    assert.is_nil(found)
    assert.equal("EPERM", err.code)
    assert.matches(message, err.message)
    assert.matches("without it", err.hint)
  end

  it("follows no symbolic link, wherever it leads", function()
    local secret = temp.write(temp.dir() .. "/secret.json", GOOD)
    local dir = temp.dir "project"
    assert(uv.fs_symlink(secret, dir .. "/.devcontainer.json"))
    refused(dir, "symbolic link")
    assert(uv.fs_unlink(dir .. "/.devcontainer.json"))
    assert(uv.fs_symlink("/nowhere", dir .. "/.devcontainer.json"))
    refused(dir, "symbolic link")
  end)

  it("follows none in the place of the folder", function()
    local other = projects.dir { ["devcontainer.json"] = GOOD }
    local dir = projects.with(GOOD)
    assert(uv.fs_symlink(other, dir .. "/.devcontainer"))
    refused(dir, "symbolic link")
  end)

  it("follows none in the place of a chosen folder", function()
    local other = projects.dir { ["devcontainer.json"] = GOOD }
    local dir = projects.dir { [".devcontainer/real/devcontainer.json"] = GOOD }
    assert(uv.fs_symlink(other, dir .. "/.devcontainer/link"))
    local found, err = devcontainer.load(dir, { name = "link" })
    assert.is_nil(found)
    assert.equal("EPERM", err.code)
    assert.matches("/real/", devcontainer.load(dir).path)
  end)

  it("notices a folder that became a link while it looked", function()
    local other = projects.dir { ["devcontainer.json"] = GOOD }
    local dir = projects.dir { [DEFAULT] = GOOD }
    assert.equal(GOOD, file.read(dir, DEFAULT))
    assert(uv.fs_rename(dir .. "/.devcontainer", dir .. "/moved"))
    assert(uv.fs_symlink(other, dir .. "/.devcontainer"))
    local text, err = file.read(dir, DEFAULT)
    assert.is_nil(text)
    assert.equal("EPERM", err.code)
  end)

  it("opens neither a FIFO, nor a socket, nor a directory", function()
    local dir = temp.dir "project"
    local path = dir .. "/.devcontainer.json"
    proc.must { "mkfifo", path }
    refused(dir, "it is a fifo")
    assert(uv.fs_unlink(path))
    assert(uv.fs_mkdir(path, 493))
    refused(dir, "it is a directory")
    assert(uv.fs_rmdir(path))
  end)

  it("reads none of 100 MB", function()
    local dir = temp.dir "project"
    local path = temp.write(dir .. "/.devcontainer.json", GOOD)
    local fd = assert(uv.fs_open(path, "r+", 0))
    assert(uv.fs_ftruncate(fd, 100 * 1024 * 1024))
    uv.fs_close(fd)
    refused(dir, "104857600 bytes, and may have 1048576")
  end)

  it("survives texts of all kinds", function()
    for _, text in ipairs {
      "", "\0", ("["):rep(100000), ('{"a":'):rep(100000), ("/"):rep(100000), ("\\"):rep(1000),
      "\xff\xfe{\0}\0", '{"image":"al\0pine"}', "{\"a\xff\":1}", ("\n"):rep(1000000),
    } do
      local found, err = devcontainer.load(projects.with(text))
      assert.is_nil(found)
      assert.equal("INVALID", err.code)
      assert.matches(":%d+:%d+: ", err.message)
    end
  end)

  it("reads a BOM, CRLF and a file that is as large as it may be", function()
    local text = "\xEF\xBB\xBF{\r\n// x\r\n\"image\": \"alpine\",\r\n}\r\n"
    assert.equal("alpine", projects.load(text).options.image)
    local large = GOOD .. (" "):rep(1024 * 1024 - #GOOD)
    assert.equal("alpine", projects.load(large).options.image)
  end)

  it("shows no control characters of names", function()
    local dir = projects.dir {
      [".devcontainer/a\27[31m/devcontainer.json"] = GOOD,
      [".devcontainer/b/devcontainer.json"] = GOOD,
    }
    local _, err = devcontainer.load(dir)
    assert.equal("AMBIGUOUS", err.code)
    assert.is_nil(err.message:find "%c")
  end)
end)
