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
      return extra.find(list, "/project", nil, false)
    end
    for _, config in ipairs { base, base .. "/config/axosandbox", base .. "/../files/x" } do
      local ok, err = find(config, true)
      assert.is_nil(ok)
      assert.matches("configuration", err.message)
      assert.is_true(find(config, false))
    end
    assert.is_true(find(base .. "-other/axosandbox", true))
  end)
end)
