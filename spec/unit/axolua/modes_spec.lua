local support = require "spec.support.cli"
support.expose_libraries()
local modes = require "axolua.view.modes"

local function left_by(text, size)
  local one = modes.new()
  for at = 1, #text, size or #text do one:feed(text:sub(at, at + (size or #text) - 1)) end
  return one:undo()
end

local CASES = {
  { "nothing for plain text", "hello\r\n\27[K\27[1;1H\27]0;title\7", "" },
  { "nothing for what the program undid",
    "\27[?1049h\27[?25l\27[?2004h\27[31mx\27[m\27[?2004l\27[?25h\27[?1049l", "" },
  { "the alternate screen, last", "\27[?1049h\27[?25l", "\27[?25h\27[?1049l" },
  { "the older ones", "\27[?47h\27[?1047h", "\27[?47l\27[?1047l" },
  { "several in one", "\27[?1000;1006;25h\27[?25l", "\27[?25h\27[?1000l\27[?1006l" },
  { "lines that do not wrap", "\27[?7l", "\27[?7h" },
  { "application keys", "\27=\27[?1h", "\27>\27[?1l" },
  { "a colour", "\27[0;1mx", "\27[0m" },
  { "a scroll region, where the cursor is", "\27[2;5r", "\0277\27[r\0278" },
  { "nothing after a reset", "\27[?1049h\27[31m\27c", "" },
  { "what a soft one leaves", "\27[?25l\27[31m\27[?1000h\27[!p", "\27[?1000l" },
  { "a title that was not ended", "\27]0;abc[?1049h", "\24" },
  { "what comes after a title that was not ended", "\27]0;abc\27[?1049h", "\27[?1049l" },
  { "no mode that is in a title", "\27]0;[?1049h\27\\", "" },
  { "no other kind of mode", "\27[25h\27[4h\27[>1049h", "" },
  { "what follows a long one", "\27[" .. ("1;"):rep(5000) .. "m\27[?25l", "\27[?25h" },
}

describe("what a killed program left on in a terminal", function()
  for _, case in ipairs(CASES) do
    it("is put back: " .. case[1], function()
      assert.equal(case[3], left_by(case[2]))
      assert.equal(case[3], left_by(case[2], 1))
      assert.equal(case[3], left_by(case[2], 7))
    end)
  end

  it("is found in linear time", function()
    for _, byte in ipairs { "\27", "[", "a", "\27[", "\27]", "\27[?1" } do
      left_by(byte:rep(4 * 1024 * 1024 // #byte), 65536)
    end
  end)
end)
