-- @runs native-root
-- A container carries the labels of its image, which anybody may have written.
local uv = require "luv"
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local guest = require "axosandbox.way.native.guest"
local images, podman, temp = e2e.images, e2e.podman, e2e.temp

local count = 0

-- Labels as a session has them; its host is from another boot, and so dead.
local function labels_for(id, changes)
  local labels = {
    id = id, dir = "/", version = "0.1.0", owner = "1:1:0-0:1", instance = ("ab"):rep(16),
    image = "", ports = "3000", limits = "memory=1024", path = "native", secrets = "",
  }
  for key, value in pairs(changes or {}) do labels[key] = value end
  local full = {}
  for key, value in pairs(labels) do full["axosandbox." .. key] = value end
  return full
end

local function image_of(labels, volume)
  count = count + 1
  return images.labelled(tostring(count), labels, volume)
end

-- A container of that image, as somebody without this library starts one.
local function run(name, image)
  local argv = { "run", "-d", "--init", "--name", name, "--network", "none" }
  table.move(podman.run_flags(), 1, #podman.run_flags(), #argv + 1, argv)
  table.move({ image, "sleep", "1000" }, 1, 3, #argv + 1, argv)
  podman.must(table.unpack(argv))
  return name
end

local function is_listed(id)
  for _, session in ipairs(assert(axo.list())) do
    if session.id == id then return true end
  end
  return false
end

-- Everything but what these specs made is left alone.
local function reap()
  local known = {}
  for _, session in ipairs(assert(axo.list())) do
    if session.id:find(temp.run_name(), 1, true) ~= 1 then known[#known + 1] = session.id end
  end
  return assert(axo.reap_orphans(known))
end

describe("labels that an image brings along", function()
  e2e.housekeeping(_ENV)

  it("make no session of a container with another name", function()
    local live = e2e.start()
    local instance = podman.inspect(live:container()).Config.Labels["axosandbox.instance"]
    local name = podman.start(nil, image_of(labels_for(live:id(), { instance = instance })))
    do
      local sb <close> = assert(axo.attach(name, "/"))
      assert.equal("portable", sb:path())
      assert.same({}, sb:ports())
      assert.is_nil((sb:limits().memory or {}).asked)
      assert.matches("not taken for a session: its labels are those of the container axo%-ses%-",
        sb:warnings()[1])
      assert.matches("not taken for a session", e2e.logged "warn")
      assert.equal("in\n", assert(sb:exec { "echo", "in" }).stdout)
      assert(sb:stop())
    end
    assert.is_true(podman.exists(name))
    -- What they named goes on.
    local again <close> = assert(axo.open(live:id()))
    assert.equal(live:path(), again:path())
    assert(live:stop())
  end)

  it("that are malformed make none of one with a session's name", function()
    local outside = temp.dir "outside"
    for _, changes in ipairs {
      { instance = "../../../.." .. outside }, { instance = "" }, { path = "other" },
      { owner = "nobody" }, { dir = "relative" }, { ports = "all" }, { version = "" },
    } do
      local id = e2e.new_id()
      local name = run("axo-ses-" .. id, image_of(labels_for(id, changes)))
      local sb = assert(axo.attach(name, "/"))
      assert.equal("portable", sb:path())
      assert.matches("its label axosandbox%.%a+ is not one of a session", sb:warnings()[1])
      assert(sb:stop())

      local opened, err = axo.open(id)
      assert.is_nil(opened)
      assert.equal("NOT_FOUND", err.code)
      assert.matches("is not one of a session", err.message)

      e2e.forget_messages()
      assert.is_false(is_listed(id))
      assert.matches(name .. " is not taken for a session", e2e.logged "warn", 1, true)
      reap()
      assert.is_true(podman.exists(name))

      local before = podman.id(name)
      local started
      started, err = axo.start(e2e.options { id = id })
      assert.is_nil(started)
      assert.equal("IN_USE", err.code)
      assert.equal(before, podman.id(name))
      podman.must("rm", "-f", "-t", "0", name)
    end
    assert.is_nil(uv.fs_scandir_next(uv.fs_scandir(outside)))
  end)

  it("lead to no socket that is not mounted there, and remove nobody's", function()
    local live = e2e.start()
    local instance = podman.inspect(live:container()).Config.Labels["axosandbox.instance"]
    local link = assert(guest.link_dir(instance))
    local had_link = uv.fs_stat(link) ~= nil
    local id = e2e.new_id()
    -- The most that an image can do: a volume of its own in the place of our directory.
    local image = image_of(labels_for(id, { instance = instance }), guest.LINK_TARGET)
    local name = run("axo-ses-" .. id, image)
    local sb = assert(axo.open(id))
    assert.equal("portable", sb:path())
    assert.matches("does not look for sockets where we make them",
      table.concat(sb:warnings(), "\n"))
    assert(sb:stop())
    assert.is_false(podman.exists(name))
    assert.equal(had_link, uv.fs_stat(link) ~= nil)
    assert.equal("on\n", assert(live:exec { "echo", "on" }).stdout)
    assert(live:stop())
  end)

  it("change nothing about a session of that image", function()
    local options = e2e.options {
      image = image_of(labels_for("other", { dir = "/etc", secrets = "TOKEN" })),
    }
    local sb <close> = assert(axo.start(options))
    local opened <close> = assert(axo.open(options.id))
    assert.equal(options.dir, opened:root())
    assert.equal(sb:path(), opened:path())
    assert.is_nil(table.concat(opened:warnings(), "\n"):find("secrets", 1, true))
    assert.is_true(is_listed(options.id))
    assert.is_false(is_listed "other")
  end)
end)
