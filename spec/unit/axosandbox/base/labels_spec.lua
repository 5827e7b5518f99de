-- A session's labels: what anybody may write there, and what is believed.
local naming = require "axosandbox.base.naming"
local guest = require "axosandbox.way.native.guest"
local temp = require "spec.support.temp"
local uv = require "luv"

local LABELS = naming.labels {
  id = "demo", dir = "/project", root = { dev = 66, ino = 1234 },
  version = "0.1.0", owner = "12:345:ab-cd:678",
  instance = ("0af9"):rep(8), image = "ghcr.io/x/y:1@sha256:00", ports = { 3000, 80 },
  limits = { memory = 1024, cpus = 0.5, pids = 7 }, path = "native", secrets = { "TOKEN", "_K2" },
  keep = true, given_back = { "setuid", "nested_namespaces" }, user = "node:1000",
  address = "::1",
}

local function with(key, value)
  local labels = {}
  for name, text in pairs(LABELS) do labels[name] = text end
  labels["axosandbox." .. key] = value
  return labels
end

describe("labels", function()
  it("come back as they were written", function()
    assert.same({
      id = "demo", dir = "/project", root = { dev = 66, ino = 1234 },
      version = "0.1.0", owner = "12:345:ab-cd:678",
      instance = ("0af9"):rep(8), image = "ghcr.io/x/y:1@sha256:00", ports = { 3000, 80 },
      limits = { memory = 1024, cpus = 0.5, pids = 7 }, path = "native",
      secrets = { "TOKEN", "_K2" }, keep = true, given_back = { "setuid", "nested_namespaces" },
      user = "node:1000", address = "::1", mounts = {},
    }, naming.parse_labels(LABELS))
    assert.is_false(naming.parse_labels(with("keep", "no")).keep)
    assert.is_false(naming.parse_labels(with("keep", nil)).keep) -- of an older version
    assert.is_nil(naming.parse_labels(with("root", nil)).root)
    assert.same({}, naming.parse_labels(with("given-back", "none")).given_back)
    assert.is_nil(naming.parse_labels(with("given-back", nil)).given_back) -- likewise
  end)

  it("leave nothing out, which an image could say instead", function()
    local full, bare = {}, {}
    for key in pairs(LABELS) do full[#full + 1] = key end
    for key in pairs(naming.labels {
      id = "demo", dir = "/", version = "1", owner = "1:2:3:4", instance = "ab", ports = {},
      limits = {},
    }) do bare[#bare + 1] = key end
    table.sort(full)
    table.sort(bare)
    assert.same(full, bare)
  end)

  it("that are not there claim nothing", function()
    for _, labels in ipairs { {}, { other = "x" }, { ["axosandbox.owner"] = "1:2:3:4" } } do
      assert.same({}, { naming.parse_labels(labels) })
    end
    assert.same({}, { naming.parse_labels(nil) })
  end)

  local WRONG = {
    id = { "", "../x", "a b", ("x"):rep(64), "-x", 7 },
    dir = { false, "", "project", "/a\nb", "/a\0b" },
    version = { false, "", "1 2", "1\n" },
    root = { "1", "1:", ":2", "a:b", "1:2:3", "-1:2", "1:2\n", "1:99999999999999999999999" },
    owner = { false, "", "me", "1:2:3", "x:2:3:4", "1:2:3:4:5", "1:2:3:4\n" },
    instance = { false, "", "xyz", "../../etc", "abc/def", "/", "ab\n", "." },
    image = { "a b", "a\nb", "a\27[2J" },
    ports = { "0", "65536", "http", "80;443", "-1", "1e3", "123456" },
    address = { "localhost", "127.0.0.1 " },
    user = { "-x", "a b", "a:b:c" },
    ["given-back"] = { "all", "setuid;x", "setuid,other" },
    limits = { "memory", "memory=x", "memory=1.2.3", "swap=1", "memory=1;pids=2" },
    path = { false, "", "other", "/native" },
    secrets = { "A B", "1A", "A=B", "A\nB" },
    keep = { "maybe", "YES", "yes\n" },
  }
  for key, values in pairs(WRONG) do
    it("are no session's when " .. key .. " is malformed", function()
      for _, value in ipairs(values) do
        local session, problem = naming.parse_labels(with(key, value or nil))
        assert.is_nil(session, ("%s=%q"):format(key, tostring(value)))
        assert.matches("axosandbox." .. key, problem, 1, true)
      end
      assert.is_nil(naming.parse_labels(with(key, ("7"):rep(70000))))
    end)
  end

  it("are those of one container name only", function()
    assert.equal("demo", naming.session_of("axo-ses-demo", LABELS).id)
    local session, problem = naming.session_of("axo-ses-other", LABELS)
    assert.is_nil(session)
    assert.matches("axo%-ses%-demo", problem)
    assert.same({}, { naming.session_of("axo-ses-demo", {}) })
  end)
end)

describe("a link directory", function()
  it("lies in our runtime directory, or nowhere", function()
    local path = assert(guest.link_dir "abc")
    assert.matches("/axosandbox[^/]*/%.links/abc$", path)
    for _, instance in ipairs { "", "..", "../../etc", "/etc", "abc/../../x", "xyz", "ab\n" } do
      local found, err = guest.link_dir(instance)
      assert.is_nil(found)
      assert.equal("INVALID", err.code)
    end
  end)

  it("is where the guest of an older version looks, and else has a part that is taken out of it",
    function()
      local path = temp.dir()
      local function within(name) return assert(uv.fs_stat(path .. name)).type end
      assert.equal(path, guest.socket_dir(path, "1:2"))
      assert.is_true(guest.hide(path, "1:2"))
      assert(uv.fs_mkdir(path .. "/in", 448))
      assert.equal(path .. "/in", guest.socket_dir(path, "1:2"))
      assert.is_true(guest.hide(path, "1:2"))
      assert.equal(path .. ".in", guest.socket_dir(path, "1:2"))
      assert.is_true(guest.hide(path, "1:2"))
      assert.equal(path, guest.socket_dir(path, "9:9")) -- a container that was restarted
      assert.equal("directory", within ".in")
      assert(uv.fs_unlink(path .. ".in/guest"))
      assert(uv.fs_rmdir(path .. ".in"))
    end)
end)

describe("a guest that has ended", function()
  it("says why only where its exit status does", function()
    for _, status in ipairs { 0, 111, 137 } do assert.is_nil(guest.ending(status)) end
    assert.is_nil(guest.ending())
    local err = guest.ending(112)
    assert.equal("NO_GUEST", err.code)
    assert.matches("inotify", err.message)
    assert.matches("sysctl", err.hint)
  end)
end)
