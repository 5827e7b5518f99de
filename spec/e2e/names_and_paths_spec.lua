-- @runs native-user
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local podman, temp = e2e.podman, e2e.temp

describe("a directory with an odd name", function()
  e2e.housekeeping(_ENV)

  local NAMES = {
    "with space", 'comma,"quote",eq=ual', "it's a colon:ro", "--mount", "ünïcödé 日本",
    "back\\slash $HOME `id` *", '-, of: it="x",src=etc \'y\' -z',
  }
  for _, name in ipairs(NAMES) do
    it("mounts and works: " .. name, function()
      local dir = temp.dir(name)
      temp.write(dir .. "/seen", "yes")
      local sb = e2e.start { dir = dir }
      local r = assert(sb:exec { "sh", "-c", "pwd; cat seen; echo written > out" })
      assert.equal(dir .. "\nyes", r.stdout)
      assert.equal("written\n", temp.read(dir .. "/out"))
      assert.equal(dir, sb:root())
      assert.equal("yes", assert(sb:read_file "seen"))
      assert(sb:stop())
    end)
  end
end)

describe("what is never passed to podman as it stands", function()
  e2e.housekeeping(_ENV)

  -- Returns what failed; podman must not have been asked to run or to pull anything.
  local function refused(changes)
    local options = e2e.options()
    for key, value in pairs(changes) do options[key] = value end
    local program, calls = podman.recording()
    local failure = podman.with(program, function()
      local ok, sb, err = pcall(axo.start, options)
      if ok and sb then
        sb:stop()
        error("the session started", 0)
      end
      return ok and err or sb
    end)
    for _, call in ipairs(calls()) do
      assert(not call:find "^run " and not call:find "^pull ", "podman was asked: " .. call)
    end
    assert.truthy(failure)
    return tostring(failure)
  end

  for _, image in ipairs { "--privileged", "-v/:/host", "", " ", "UPPER/case", "a b", "x:y:z",
    "image\n--privileged", "../etc", "alpine@sha256:short" } do
    it(("an image such as %q"):format(image), function()
      refused { image = image }
    end)
  end

  for _, id in ipairs { "", "-x", "--privileged", ".hidden", "_x", "a b", "a/b", "../x", "a\nb",
    "a;b", "ü", ("x"):rep(64), "a\0b" } do
    it(("a session id such as %q"):format(id), function()
      refused { id = id }
    end)
  end

  for _, user in ipairs { "-x", "--privileged", "" } do
    it(("a user such as %q"):format(user), function()
      local options = e2e.options()
      refused { policy = { network = "none", allow_untrusted_image = true, user = user },
        dir = options.dir }
    end)
  end

  it("a directory with a line feed or a NUL in its name", function()
    for _, name in ipairs { "a\nb", "a\0b" } do
      refused { dir = "/tmp/" .. name }
    end
    -- Where somebody stands is no mistake of a program's.
    local sb, err = axo.start { id = e2e.new_id(), dir = "/tmp/a\nb" }
    assert.is_nil(sb)
    assert.same({ "INVALID", true }, { err.code, err.message:find("/tmp/a\\nb", 1, true) ~= nil })
  end)

  it("a directory that is missing, relative, or a file", function()
    local file = temp.write(temp.dir() .. "/file", "")
    assert.matches("/tmp/no/such/directory", refused { dir = "/tmp/no/such/directory" }, 1, true)
    refused { dir = "tmp" }
    refused { dir = file }
  end)

  it("a directory that holds the system or a home", function()
    for _, dir in ipairs { "/", "/etc", "/usr/bin", "/proc", "/root", "/home", "/tmp/..",
      "/tmp/../etc", "//etc" } do
      refused { dir = dir }
    end
    local home = require("luv").os_homedir()
    assert.matches(home, refused { dir = home }, 1, true)
  end)

  it("the same by way of a symbolic link", function()
    local link = temp.dir() .. "/link"
    assert(require("luv").fs_symlink("/etc", link))
    refused { dir = link }
  end)

  it("a name of a variable that is none", function()
    for _, name in ipairs { "A=B", "", "-x", "A B", "1A" } do
      refused { env = { [name] = "x" } }
    end
  end)

  it("a container to attach to, such as --help", function()
    for _, name in ipairs { "--help", "-a", "", "a b", "x\ny" } do
      local program, calls = podman.recording()
      podman.with(program, function()
        local ok, sb = pcall(axo.attach, name, temp.dir())
        assert(not ok or sb == nil, "attached to " .. name)
      end)
      assert.same({}, calls())
    end
  end)
end)
