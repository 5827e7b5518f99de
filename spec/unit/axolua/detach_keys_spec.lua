require("spec.support.cli").expose_libraries()
local detach_keys = require "axolua.view.detach_keys"

describe("the keys that detach", function()
  local CASES = {
    { { "ls\n" }, "ls\n", false },
    { { "\16\17" }, "", true },
    { { "a\16", "\17b" }, "a", true },
    { { "a\16", "b" }, "a\16b", false },
    { { "\16", "\16", "\17" }, "\16", true },
    { { "\17\16" }, "\17", false },
    { { "x\16\17y" }, "x", true },
    { { "\16\16x" }, "\16\16x", false },
  }
  for i, case in ipairs(CASES) do
    it("are found among what is typed, whatever pieces it comes in: " .. i, function()
      local keys, passed, is_detached = detach_keys.new(), "", false
      for _, piece in ipairs(case[1]) do
        local some
        some, is_detached = keys:feed(piece)
        passed = passed .. some
      end
      assert.equal(case[2], passed)
      assert.equal(case[3], is_detached)
    end)
  end
end)
