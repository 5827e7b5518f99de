-- @runs native-root native-user
local core = require "axosandbox.core"
local e2e = require "spec.support.e2e"
local images = require "spec.support.images"
local mcp = require "spec.support.mcp"
local temp = e2e.temp

describe("files by axolua mcp", function()
  e2e.housekeeping(_ENV)

  local client, dir
  setup(function()
    dir = temp.dir "project"
    client = mcp.start { "--dir", dir, "--id", e2e.new_id(), "--image", images.base(),
      "--allow-untrusted-image", "--network", "none", "--quiet" }
    client:initialize()
  end)
  teardown(function() client:finish() end)

  local function works(tool, arguments)
    local text, is_error = client:call(tool, arguments)
    assert.is_false(is_error, text)
    return text
  end

  local function fails(tool, arguments)
    local text, is_error = client:call(tool, arguments)
    assert.is_true(is_error, text)
    return text
  end

  it("are read by lines, and it is said where to go on", function()
    temp.write(dir .. "/f", "one\ntwo\nthree\n")
    assert.equal("two\n\n[lines 2 to 2 of 3; there are more: go on with first_line=3]",
      works("read_file", { path = "f", first_line = 2, lines = 1 }))
    assert.equal("     3\tthree\n\n[lines 3 to 3 of 3]",
      works("read_file", { path = "f", first_line = 3, numbered = true }))
    assert.matches("the file has 3 lines", works("read_file", { path = "f", first_line = 9 }))
    assert.matches("offset counts bytes",
      fails("read_file", { path = "f", first_line = 1, offset = 1 }))
    temp.write(dir .. "/long", ("x"):rep(100) .. "\ny\n")
    assert.matches("^x*\n%[lines 1 to 1 of 2, without the last 91 bytes.*first_line=2%]$",
      works("read_file", { path = "long", lines = 5, limit = 10 }))
    temp.write(dir .. "/bin", "\0")
    assert.matches("not text", fails("read_file", { path = "bin", lines = 1 }))
  end)

  it("are read and edited in their encoding, with their line ends", function()
    temp.write(dir .. "/wide", core.encode("\u{FEFF}grün\r\nrot\r\n", "utf-16be"))
    assert.matches("utf%-16be by its mark: encoding=auto", works("read_file", { path = "wide" }))
    local text = works("read_file", { path = "wide", encoding = "auto" })
    assert.matches("^grün\nrot\n", text)
    assert.matches("CRLF", text)
    assert.matches("utf%-16be, by its byte order mark", text)
    works("edit_file", { path = "wide", old_string = "grün\nrot", new_string = "blau" })
    assert.equal(core.encode("\u{FEFF}blau\r\n", "utf-16be"), temp.read(dir .. "/wide"))
    temp.write(dir .. "/old", "gr\xFCn\n")
    assert.matches("^gr\u{FFFD}n\n.*1 U%+FFFD character in its place",
      works("read_file", { path = "old", lines = 1 }))
    works("edit_file", { path = "old", old_string = "grün", new_string = "schön",
      encoding = "latin-1" })
    assert.equal("sch\xF6n\n", temp.read(dir .. "/old"))
    assert.matches("characters that the file's encoding has", fails("edit_file",
      { path = "old", old_string = "schön", new_string = "€", encoding = "latin-1" }))
  end)

  -- The second one is text, and looks like how the first one is written.
  local NAMES = {
    ["b\xE9\\d"] = [[b\xe9\\d]], [ [[b\xe9\\d]] ] = false, ["line\nfeed"] = [[line\x0afeed]],
  }

  it("have names that text cannot hold, which come back as they are written", function()
    for name, shown in pairs(NAMES) do
      works("write_file", { path = "odd/" .. (shown or name), content = "old",
        escaped = shown and true or nil })
      assert.equal("old", temp.read(dir .. "/odd/" .. name))
    end
    for _, text in ipairs {
      works("list_dir", { path = "odd" }), works("glob", { pattern = "odd/*" }),
      works("grep", { pattern = "old", path = "odd" }),
    } do
      local plain, escaped = text:match "^(.-)(%[names that text cannot hold.*)$"
      for name, shown in pairs(NAMES) do
        local from, other = shown and escaped or plain, shown and plain or escaped
        assert.is_truthy(from:find(shown or name, 1, true), text)
        if shown and shown:find "0a" then assert.is_nil(other:find(shown, 1, true)) end
      end
    end
    for name, shown in pairs(NAMES) do
      local path, flag = "odd/" .. (shown or name), shown and true or nil
      works("edit_file", { path = path, escaped = flag, old_string = "old", new_string = "new" })
      assert.equal("new", works("read_file", { path = path, escaped = flag }))
      assert.matches("new", works("grep", { path = path, escaped = flag, pattern = "new" }))
    end
    assert.matches("cannot be understood", fails("read_file", { path = "a\\z", escaped = true }))
    assert.matches("outside", fails("read_file", { path = "..\\x2f..\\x2fx", escaped = true }))
    assert.matches("not a path", fails("read_file", { path = "a\\x00b", escaped = true }))
    assert.matches("odd/b\\xe9:", fails("read_file", { path = "odd/b\\xe9", escaped = true }))
  end)
end)
