local core = require "axosandbox.core"

describe("core.reference.parse", function()
  it("gives the parts and the normal form", function()
    assert.same({
      registry = "docker.io", repository = "library/alpine", tag = "latest",
      text = "docker.io/library/alpine:latest",
    }, core.reference.parse "alpine")
    assert.same({
      registry = "localhost:5000", repository = "a/b", tag = "v1",
      text = "localhost:5000/a/b:v1",
    }, core.reference.parse "localhost:5000/a/b:v1")
    local digest = "sha256:" .. ("0"):rep(64)
    local ref = assert(core.reference.parse("quay.io/x@" .. digest))
    assert.equal(digest, ref.digest)
    assert.is_nil(ref.tag)
  end)

  it("refuses what is none", function()
    for _, text in ipairs { "", "--privileged", "A", "a:", "a b", "a\0b", "a@sha256:1", "../a" } do
      local ref, err = core.reference.parse(text)
      assert.is_nil(ref, text)
      assert.equal("EINVAL", err.code)
    end
    assert.has_error(function() core.reference.parse(nil) end)
  end)
end)
