local extra = require "axosandbox.host.mounts.extra"
local host = require "axosandbox.host"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"
local uv = require "luv"

describe("a directory that is mounted besides", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  it("is not written to where axosandbox's configuration is or will be", function()
    local base = uv.fs_realpath(temp.dir "files")
    local config_dir = host.config_dir
    finally(function() host.config_dir = config_dir end)
    local function find(config, writable)
      host.config_dir = function() return config end
      local list = extra.copy { { source = base, target = "/data", writable = writable } }
      return extra.find(list, { dir = "/project" }, nil, false)
    end
    for _, config in ipairs { base, base .. "/config/axosandbox", base .. "/../files/x" } do
      local ok, err = find(config, true)
      assert.is_nil(ok)
      assert.matches("configuration", err.message)
      assert.is_true(find(config, false))
    end
    assert.is_true(find(base .. "-other/axosandbox", true))
  end)

  it("is not where a link leads that a session could have made", function()
    local top = uv.fs_realpath(temp.dir "led")
    local project, cache, elsewhere = top .. "/project", top .. "/cache", top .. "/elsewhere"
    for _, dir in ipairs { project, project .. "/real", cache, elsewhere } do
      assert(uv.fs_mkdir(dir, 448))
    end
    assert(uv.fs_symlink("real", project .. "/in"))
    for _, dir in ipairs { project, cache, top } do
      assert(uv.fs_symlink(elsewhere, dir .. "/out"))
    end
    local function find(source, is_writable)
      return extra.find(extra.copy {
        { source = cache, target = "/cache", writable = is_writable },
        { source = source, target = "/data" },
      }, { dir = project, source = project }, nil, false)
    end
    for _, path in ipairs { project .. "/out", cache .. "/out" } do
      local ok, err = find(path, true)
      assert.is_nil(ok, path)
      assert.matches("which the session can write, leads to " .. elsewhere, err.message, 1, true)
    end
    for _, path in ipairs { project .. "/in", top .. "/out", elsewhere } do
      assert.is_true(find(path, true))
    end
    assert.is_true(find(cache .. "/out", false))
  end)

  it("is no session's own directory at its own place", function()
    local dir = uv.fs_realpath(temp.dir "own")
    local function find(target)
      return extra.find(extra.copy { { source = dir, target = target } },
        { dir = dir, source = dir }, nil, false)
    end
    local ok, err = find(dir)
    assert.is_nil(ok)
    assert.equal("leave it out", err.hint)
    assert.is_true(find "/app")
  end)

  it("tells what of this host a session can write", function()
    local list = {
      { source = "/a", source_real = "/b", writable = true }, { source = "/c", source_real = "/d" },
    }
    assert.same({ "/own", "/a", "/b" }, extra.written(list, { "/own" }))
  end)
end)
