-- @runs native-root native-user portable-root
local e2e = require "spec.support.e2e"
local support = require "spec.support.cli"
local net = require "spec.support.net"
local uv = require "luv"
local temp = e2e.temp

local function words(...)
  local list = {}
  for _, part in ipairs { ... } do
    if type(part) == "table" then
      table.move(part, 1, #part, #list + 1, list)
    else
      for word in part:gmatch "%S+" do list[#list + 1] = word end
    end
  end
  return list
end

local function image()
  return { "--image", e2e.images.base(), "--allow-untrusted-image", "--network", "none" }
end

local function axolua(...) return support.run(words(...)) end

describe("what docker's and podman's users type", function()
  e2e.housekeeping(_ENV)

  it("runs a command without dashes before it, which keeps its own options", function()
    local dir = temp.dir "work"
    assert(uv.fs_mkdir(dir .. "/sub", 493))
    local result = axolua("run --rm -i", image(), "-e A=1 -eB=2 -w sub --name", { e2e.new_id() },
      "--dir", { dir, "sh", "-c", 'pwd; echo "$A$B$*"', "sh", "-e", "--rm" })
    assert.equal(dir .. "/sub\n12-e --rm\n", result.stdout, result.stderr)
    assert.equal(0, result.code)
  end)

  it("says how an image is named, where a command is missing", function()
    local policy = temp.dir "policy"
    temp.write(policy .. "/image_trust.lua",
      ("return function() return { image = %q, pull = 'never' } end"):format(e2e.images.base()))
    local result = support.run(words("run --rm --network none --dir", { temp.dir "work" },
      "no-such-command -x"), { env = { AXOSANDBOX_POLICY_PATH = policy } })
    assert.equal(127, result.code)
    assert.matches("if no%-such%-command is an image: axolua run %-%-image no%-such%-command",
      result.stderr)
    assert.matches("the image %S+ has no no%-such%-command; .*axolua help images", result.stderr)

    result = axolua("run --init", image(), "--dir", { temp.dir "work" }, { "echo hi" })
    assert.equal(127, result.code)
    assert.matches("typed as one", result.stderr)
    assert.not_matches("is an image", result.stderr)
    result = axolua("run --rm", image(), "--dir", { temp.dir "work" }, "sh -c",
      { "no-such-command" })
    assert.equal(127, result.code)
    assert.not_matches("axolua run", result.stderr)
  end)

  it("runs as --user, and says where -t finds no terminal", function()
    local result = axolua("run -t -u 12:34", image(), "--dir", { temp.dir "work" }, "id -u")
    assert.equal("12\n", result.stdout, result.stderr)
    assert.matches("%-t: stdin or stdout is no terminal", result.stderr)
  end)

  it("enters a session by its name", function()
    local id, dir = e2e.new_id(), temp.dir "work"
    local result = axolua("run --keep --name", { id }, image(), "--dir", { dir }, "touch made")
    assert.equal(0, result.code, result.stderr)
    result = axolua("exec -i -w / -u 7 -e A=1", { id, "sh", "-c", "pwd; id -u; echo $A" })
    assert.equal("/\n7\n1\n", result.stdout, result.stderr)
    assert.equal("made\n", axolua("exec", { id }, "ls -1 .").stdout)
    assert.equal("-- -n\n", axolua("exec", { id }, "echo -- -n").stdout)
    assert.equal(0, axolua("stop", { id }).code)
  end)

  it("publishes -p N:N", function()
    local port = net.free_port()
    local id = e2e.new_id()
    local result = axolua("run --keep --name", { id }, "--image", { e2e.images.base() },
      "--allow-untrusted-image -p", { ("127.0.0.1:%d:%d/tcp"):format(port, port) },
      "--dir", { temp.dir "work" }, "true")
    assert.equal(0, result.code, result.stderr)
    assert.matches("%s" .. port .. "/tcp%s", axolua("port", { id }).stdout)
    assert.equal(0, axolua("stop", { id }).code)
  end)
end)
