-- @runs native-root native-user
local uv = require "luv"
local core = require "axosandbox.core"
local e2e = require "spec.support.e2e"
local temp = e2e.temp

local function describe_lines(what, image)
  describe("lines of a file in " .. what, function()
    e2e.housekeeping(_ENV)
    local sb, root
    setup(function()
      sb = e2e.start { image = e2e.images[image]() }
      root = sb:root()
    end)
    teardown(function() sb:stop() end)

    local function fails(code, value, err)
      assert.is_nil(value)
      assert.equal(code, err.code, tostring(err))
    end

    it("are read by number, in their encoding, and edited as they were read", function()
      local words = "\u{FEFF}zero\none\r\ntwo ü\r\nthree\r\n"
      temp.write(root .. "/f", core.encode((words:gsub("zero\n", "zero\r\n")), "utf-16le"))
      local text, span = assert(sb:read_file("f", { first_line = 2, lines = 2 }))
      assert.equal("one\ntwo ü\n", text)
      assert.same({ first = 2, last = 3, total = 4, truncated = true, line_ends = "crlf",
        mark = true, encoding = "utf-16le" }, span)
      assert.equal(1, assert(sb:edit_file("f", text, "1\n2\n")))
      assert.equal(core.encode("\u{FEFF}zero\r\n1\r\n2\r\nthree\r\n", "utf-16le"),
        temp.read(root .. "/f"))
      temp.write(root .. "/f", "caf\xE9\nth\xE9\n")
      text = assert(sb:read_file("f", { encoding = "latin-1" }))
      assert.equal("café\nthé\n", text)
      assert(sb:edit_file("f", "thé", "the", { encoding = "latin-1" }))
      assert.equal("caf\xE9\nthe\n", temp.read(root .. "/f"))
      text, span = assert(sb:read_file("f", { numbered = true }))
      assert.same({ "     1\tcaf\u{FFFD}\n     2\tthe\n", 1 }, { text, span.invalid })
    end)

    it("are told from what is no text, no file, and not inside", function()
      local opts = { first_line = 1 }
      temp.write(root .. "/bin", "a\0b")
      fails("NOT_TEXT", sb:read_file("bin", opts))
      fails("NOT_FOUND", sb:read_file("missing", opts))
      fails("NOT_A_FILE", sb:read_file(".", opts))
      e2e.proc.must { "mkfifo", root .. "/fifo" }
      fails("NOT_A_FILE", sb:read_file("fifo", opts))
      fails("OUTSIDE", sb:read_file("../x", opts))
      assert(uv.fs_symlink("/etc/passwd", root .. "/passwd"))
      fails("OUTSIDE", sb:read_file("passwd", opts))
      temp.write(root .. "/empty", "")
      local text, span = assert(sb:read_file("empty", opts))
      assert.same({ "", 0, 0 }, { text, span.last, span.total })
      assert.has_error(function() sb:read_file("empty", { first_line = 1, offset = 0 }) end)
    end)

    -- 27 MB of lines, then a hole of 2 GiB: what is held grows with neither.
    it("are read far into a file that is larger than memory should hold", function()
      local file = assert(io.open(root .. "/big", "w"))
      for _ = 1, 800 do file:write(("a line that comes again and again\n"):rep(1000)) end
      file:write "wanted\n"
      file:seek("set", 2 ^ 31)
      file:write "end"
      file:close()
      collectgarbage()
      local before = collectgarbage "count"
      local text, span = assert(sb:read_file("big", { first_line = 800001, lines = 1 }))
      assert.same({ "wanted\n", 800001, true }, { text, span.last, span.truncated })
      assert.is_nil(span.total)
      collectgarbage()
      assert.is_true(collectgarbage "count" < before + 8 * 1024)
      assert(sb:remove "big")
    end)
  end)
end

describe_lines("a busybox image", "base")
describe_lines("an image of dash and GNU tools", "debian")
