-- @runs native-root native-user
-- Commands that only look write nothing into this user's directories.
local uv = require "luv"
local e2e = require "spec.support.e2e"
local support = require "spec.support.cli"
local proc, temp = e2e.proc, e2e.temp

describe("a command that only looks", function()
  e2e.housekeeping(_ENV)

  local function own_files(dir)
    return proc.must { "find", dir, "-path", "*axosandbox*" }
  end

  it("makes no directory and no file of axosandbox's", function()
    local home = temp.dir "home"
    local runtime = temp.dir "run"
    assert(uv.fs_chmod(runtime, tonumber("700", 8)))
    local env = {
      HOME = home, XDG_RUNTIME_DIR = not e2e.podman.is_root() and runtime or nil,
      XDG_STATE_HOME = false, XDG_CACHE_HOME = false, XDG_CONFIG_HOME = false,
      XDG_DATA_HOME = false,
    }
    for _, list in ipairs {
      { "ps" }, { "ps", "--tasks", "--json" }, { "stats", "--json" }, { "port", "--json" },
      { "audit" }, { "policy", "show" }, { "policy", "check" },
      { "completion", "bash" }, { "help" }, { "env" },
    } do
      support.run(list, { env = env })
      for _, dir in ipairs { home, runtime } do
        assert.equal("", own_files(dir), table.concat(list, " "))
      end
    end
    -- Who opens a session holds its lock in the runtime directory.
    support.run({ "logs", "nobody-here", "x" }, { env = env })
    assert.equal("", own_files(home))
  end)
end)
