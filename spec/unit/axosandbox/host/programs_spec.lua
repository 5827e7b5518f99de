local uv = require "luv"
local janitor = require "spec.support.janitor"
local programs = require "axosandbox.host.programs"
local temp = require "spec.support.temp"

describe("a program of ours", function()
  it("lies beside the modules", function()
    for _, name in ipairs { "axo-guest", "axo-netns" } do
      local real = assert(programs.trusted(programs.path(name)))
      assert.matches("^/.*/lib/axosandbox/" .. name:gsub("%-", "%%-") .. "$", real)
    end
  end)

  it("is not run when somebody else could have changed it", function()
    local mark = janitor.mark()
    local dir = temp.dir()
    local path = temp.write(dir .. "/program", "", "755")
    assert.equal(uv.fs_realpath(path), programs.trusted(path))
    for _, mode in ipairs { "775", "757" } do
      assert(uv.fs_chmod(path, tonumber(mode, 8)))
      local real, why = programs.trusted(path)
      assert.is_nil(real)
      assert.equal("others can write to it", why)
    end
    assert.equal("it is no file", select(2, programs.trusted(dir)))
    assert.equal("it is missing", select(2, programs.trusted(dir .. "/none")))
    janitor.sweep(mark)
  end)
end)
