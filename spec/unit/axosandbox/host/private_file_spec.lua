-- What is kept for this user alone: whole or not at all, and believed only while it is his.
local uv = require "luv"
local private_file = require "axosandbox.host.private_file"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"

describe("a private file", function()
  local mark, dir
  before_each(function()
    mark = janitor.mark()
    dir = temp.dir()
  end)
  after_each(function() janitor.sweep(mark) end)

  local function names()
    local found = {}
    for name in function(entries) return uv.fs_scandir_next(entries) end, uv.fs_scandir(dir) do
      found[#found + 1] = name
    end
    return found
  end

  it("is read as it was written, and nobody else may", function()
    assert(private_file.replace(dir .. "/one", "old"))
    assert(private_file.replace(dir .. "/one", "a\0b"))
    assert.equal("a\0b", private_file.read(dir .. "/one", 3))
    assert.equal(384, uv.fs_stat(dir .. "/one").mode & 511) -- 0600
    assert.same({ "one" }, names())
  end)

  it("is as good as none when it is too long, a link, or open to others", function()
    assert(private_file.replace(dir .. "/one", "text"))
    assert.is_nil(private_file.read(dir .. "/one", 3))
    assert(uv.fs_symlink(dir .. "/one", dir .. "/link"))
    assert.is_nil(private_file.read(dir .. "/link", 10))
    assert(uv.fs_chmod(dir .. "/one", 420)) -- 0644
    assert.is_nil(private_file.read(dir .. "/one", 10))
    assert.is_nil(private_file.read(dir .. "/none", 10))
  end)

  it("leaves nothing behind that it could not put in place", function()
    assert(uv.fs_mkdir(dir .. "/one", 448))
    local written, problem = private_file.replace(dir .. "/one", "text")
    assert.is_nil(written)
    assert.matches("EISDIR", problem)
    assert.same({ "one" }, names())
    assert.is_nil(private_file.replace(dir .. "/none/one", "text"))
  end)
end)
