-- Numbers of the C side that Lua must not repeat.
local uv = require "luv"
local core = require "axosandbox.core"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"

describe("core.open_flags", function()
  local O = core.open_flags
  local dir, mark
  setup(function()
    mark = janitor.mark()
    dir = temp.dir()
    temp.write(dir .. "/file", "text")
    assert(uv.fs_symlink("file", dir .. "/link"))
  end)
  teardown(function() janitor.sweep(mark) end)

  local function outcome(name, flags)
    local fd, _, code = uv.fs_open(dir .. "/" .. name, flags, 0)
    if not fd then return code end
    local _, _, problem = uv.fs_read(fd, 4, 0)
    uv.fs_close(fd)
    return problem or "read"
  end

  it("are what this machine's kernel takes them for", function()
    assert.equal("read", outcome("link", O.O_RDONLY))
    assert.equal("ELOOP", outcome("link", O.O_RDONLY | O.O_NOFOLLOW))
    assert.equal("ENOTDIR", outcome("file", O.O_RDONLY | O.O_DIRECTORY))
    assert.equal("EISDIR", outcome(".", O.O_RDONLY | O.O_DIRECTORY))
    assert.equal("EBADF", outcome("file", O.O_PATH))
    assert.equal("EBADF", outcome("file", O.O_WRONLY))
    assert.equal("EEXIST", outcome("file", O.O_WRONLY | O.O_CREAT | O.O_EXCL))
  end)

  it("agree with luv's where it has them", function()
    for name, value in pairs(O) do
      assert.equal(uv.constants[name] or value, value, name)
    end
  end)
end)

describe("core.stage", function()
  it("has a number of its own for each stage", function()
    local seen = {}
    for name, value in pairs(core.stage) do
      assert.equal("integer", math.type(value), name)
      assert.is_nil(seen[value], name)
      seen[value] = name
    end
    for _, name in ipairs { "REQUEST", "LIMIT", "FORK", "USER", "CWD", "EXEC", "TERMINAL",
      "RING", "FILE", "WORK" } do
      assert.is_truthy(core.stage[name], name)
    end
  end)
end)

describe("core.system_error", function()
  it("names an errno that luv does not know", function()
    assert.same({ "ENOENT", "no such file or directory" }, { core.system_error(2) })
    assert.same({ "EDQUOT", "disk quota exceeded" }, { core.system_error(122) })
    assert.same({ "E4000", "error 4000 of the system" }, { core.system_error(4000) })
    for _, wrong in ipairs { 0, -1, 2 ^ 40 } do
      assert.error_matches(function() core.system_error(math.tointeger(wrong)) end, "errno")
    end
  end)
end)
