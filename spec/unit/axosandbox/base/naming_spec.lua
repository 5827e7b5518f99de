local core = require "axosandbox.core"
local naming = require "axosandbox.base.naming"

describe("the image that provisioning makes", function()
  local KEY, IMAGE = "dev-1", "docker.io/library/alpine:3.20"
  local ONE = naming.cached_image(KEY, { "apk add git", "true" }, IMAGE)

  it("has policy's key in its name, and the digest of what it is made from", function()
    local digest = core.digest("apk add git\0true\0" .. IMAGE):match "%x+$"
    assert.equal("localhost/axosandbox/cache:dev-1-" .. digest:sub(1, 24), ONE)
  end)

  it("is another one for other commands, for another order of them and in another image", function()
    for _, case in ipairs {
      { KEY, { "apk add gir", "true" }, IMAGE }, { KEY, { "true", "apk add git" }, IMAGE },
      { KEY, { "apk add git true" }, IMAGE }, { KEY, { "apk add git", "true" }, "alpine:3.21" },
      { "dev-2", { "apk add git", "true" }, IMAGE },
    } do
      assert.are_not.equal(ONE, naming.cached_image(table.unpack(case)))
    end
    assert.equal(ONE, naming.cached_image(KEY, { "apk add git", "true" }, IMAGE))
  end)

  it("has a name with the longest key that policy may give", function()
    local name = naming.cached_image(("k"):rep(100), { "true" }, IMAGE)
    assert.equal(name, assert(core.reference.parse(name)).text)
  end)
end)

describe("a token", function()
  it("is as long as it is asked for, and never the same", function()
    assert.matches("^%x+$", naming.token())
    assert.equal(32, #naming.token())
    assert.equal(12, #naming.token(6))
    assert.are_not.equal(naming.token(), naming.token())
  end)
end)
