local core = require "axosandbox.core"
local json = require "axosandbox.base.json"
local written = require "axosandbox.base.text.written"
local uv = require "luv"

describe("names that text cannot hold", function()
  it("are written as text that nothing else is, and read back", function()
    for name, text in pairs {
      ["caf\xE9"] = [[caf\xe9]], [ [[a\xe9]] ] = [[a\\xe9]], ["a\nb"] = [[a\x0ab]],
      ["ü"] = "ü", ["\u{200B}"] = [[\xe2\x80\x8b]], [""] = "",
    } do
      assert.equal(text, written.write(name))
      assert.equal(name, written.read(text))
    end
    for _ = 1, 200 do
      local name = assert(uv.random(50))
      local text = written.write(name)
      assert.is_truthy(utf8.len(text))
      assert.equal(core.unseen(text, "hex"), text)
      assert.equal(name, written.read(text))
    end
  end)

  it("are not guessed", function()
    for _, text in ipairs { [[\]], [[\x]], [[\x1]], [[\xg1]], [[\n]], [[\101]], [[a\\\]] } do
      local name, problem = written.read(text)
      assert.is_nil(name)
      assert.is_string(problem)
    end
  end)

  it("are told in an object, all of a list alike, and text is left alone", function()
    local plain = { path = [[a\xe9]], argv = { "a", [[\]] }, count = 1, nested = { x = "\xE9" } }
    assert.equal(plain, written.object(plain))
    local object = written.object {
      path = "\xE9", to = [[\]], argv = json.array { [[\]], "\xFF", 5 }, event = "file",
    }
    assert.same([[{"argv":["\\\\","\\xff",5],"escaped":["argv","path"],"event":"file",]]
      .. [["path":"\\xe9","to":"\\"}]], json.encode(object))
    assert.same({ a = "\xE9", b = [[\xe9]], escaped = { "b" } },
      written.object({ a = "\xE9", b = "\xE9" }, "b"))
  end)

  it("cost no more than their length", function()
    local text = ([[\x5c]]):rep(1024 * 1024)
    assert.equal(1024 * 1024, #written.read(text))
    assert.is_nil((written.read(("a"):rep(16 * 1024 * 1024) .. [[\]])))
  end)
end)
