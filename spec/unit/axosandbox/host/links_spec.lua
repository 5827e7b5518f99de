local links = require "axosandbox.host.links"
local temp = require "spec.support.temp"
local uv = require "luv"

describe("a path with symbolic links", function()
  local root = temp.dir "links"
  for _, dir in ipairs { "/a", "/a/b", "/c" } do assert(uv.fs_mkdir(root .. dir, 448)) end
  assert(uv.fs_symlink("/a/./b", root .. "/c/absolute"))
  assert(uv.fs_symlink("../a", root .. "/c/relative"))
  assert(uv.fs_symlink("loop", root .. "/c/loop"))

  it("is followed beneath its root", function()
    assert.equal("/a/b/x", links.follow(root, "/c/absolute/x"))
    assert.equal("/a/b", links.follow(root, "//c/relative/./b"))
    assert.equal("/a", links.follow(root, "/c/absolute/.."))
    assert.equal("/c", links.follow(root, "/../c"))
  end)

  it("has an end where there are too many, or where it is asked to", function()
    assert.is_nil(links.follow(root, "/c/loop"))
    local seen = {}
    assert.is_nil(links.follow(root, "/c/relative/b", function(at)
      seen[#seen + 1] = at
      return at == "/a"
    end))
    assert.same({ "/c", "/c/relative", "/c/..", "/a" }, seen)
  end)
end)
