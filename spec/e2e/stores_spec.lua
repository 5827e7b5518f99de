-- @runs native-root native-user
-- podman may have several stores: one knows nothing of the others' containers, and what is done
-- with one never touches a session in another.
local uv = require "luv"
local axo = require "axosandbox"
local cli = require "spec.support.cli"
local container_store = require "axosandbox.host.container_store"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"
local place = require "axosandbox.host.place"
local podman, temp = e2e.podman, e2e.temp

-- A store of its own, empty. Rootless podman goes by the second path, and not by graphroot.
local function settings()
  local dir = temp.dir "store"
  return temp.write(dir .. "/../storage.conf", ([[
[storage]
driver = "vfs"
graphroot = "%s/graph" # where it all is
rootless_storage_path = "%s/graph"
runroot = "%s/run"
]]):format(dir, dir, dir))
end

local function in_store(path, fn)
  return native.with_env({ CONTAINERS_STORAGE_CONF = path }, fn)
end

-- A podman that is told of another store by its own arguments: nothing in the environment says so.
local function wrapped()
  local dir = temp.dir "store"
  return temp.write(dir .. "/../podman", ([[
#!/bin/sh
exec %s --root %s/graph --runroot %s/run --storage-driver vfs "$@"
]]):format(podman.program(), dir, dir):gsub("^\n", ""), "755")
end

local function reap_here()
  local known = {}
  for _, session in ipairs(assert(axo.list())) do known[#known + 1] = session.id end
  return assert(axo.reap_orphans(known))
end

describe("a session in one of podman's stores", function()
  e2e.housekeeping(_ENV)
  local other
  setup(function() other = settings() end)

  -- The process that started it is gone, and nobody has it open.
  local function kept()
    local options = e2e.options { keep = true }
    local host = e2e.host.with_session(options)
    host:wait_for "started (%S+)"
    host:kill()
    host:wait(true)
    return options
  end

  local function goes_on(id, path)
    local sb <close> = assert(axo.open(id))
    assert.equal(path, sb:path())
    assert.equal("on\n", assert(sb:exec { "echo", "on" }).stdout)
  end

  it("is not touched by what is done in another", function()
    local options = kept()
    local sb = assert(axo.open(options.id))
    local path, files = sb:path(), sb.record.runtime_dir
    getmetatable(sb).__close(sb)
    in_store(other, function()
      assert.same({}, assert(axo.list()))
      reap_here()
      local opened, err = axo.open(options.id)
      assert.is_nil(opened)
      assert.equal("NOT_FOUND", err.code)
      local stopped
      stopped, err = axo.stop(options.id)
      assert.is_nil(stopped)
      assert.equal("NOT_FOUND", err.code)
      assert.equal(0, cli.run({ "reap" }).code)
    end)
    podman.with(wrapped(), reap_here)
    assert.is_truthy(uv.fs_stat(files))
    goes_on(options.id, path)
    assert(axo.stop(options.id))
    assert.is_nil(uv.fs_stat(files))
  end)

  it("has a place of its own beside one of the same id", function()
    local here = assert(place.own "twin")
    in_store(other, function()
      local there = assert(place.own "twin")
      assert.are_not.equal(here:path(), there:path())
      assert.are_not.equal(here:lock_path(), there:lock_path())
    end)
    assert.equal("", container_store.key())
  end)
end)

describe("which store it is", function()
  e2e.housekeeping(_ENV)

  local function key_with(changes) return native.with_env(changes, container_store.key) end

  it("is told by what names one, and by nothing else", function()
    local dir = temp.dir()
    local function conf(name, text) return temp.write(dir .. "/" .. name, text) end
    local one = conf("one", '[storage]\ngraphroot = "/srv/one"\n')
    local same = conf("same", "# of a colleague\n[storage]\n  graphroot='/srv/one' # the same\n")
    local two = conf("two", '[storage]\ngraphroot = "/srv/two"\n')
    local usual = conf("usual", "[engine]\nnum_locks = 4096\n")
    local key = key_with { CONTAINERS_STORAGE_CONF = one }
    assert.matches("^%x+$", key)
    assert.equal(key, key_with { CONTAINERS_STORAGE_CONF = same })
    assert.are_not.equal(key, key_with { CONTAINERS_STORAGE_CONF = two })
    assert.equal("", key_with { CONTAINERS_STORAGE_CONF = usual })
    assert.equal("", key_with { CONTAINERS_CONF = usual, AXOSANDBOX_PODMAN = podman.program() })
    assert.are_not.equal("", key_with { CONTAINERS_STORAGE_CONF = dir .. "/missing" })
    for _, name in ipairs { "CONTAINER_HOST", "CONTAINER_CONNECTION", "STORAGE_OPTS" } do
      assert.are_not.equal("", key_with { [name] = "x" })
      assert.equal("", key_with { [name] = "" })
    end
    if not podman.is_root() then
      assert.are_not.equal("", key_with { XDG_DATA_HOME = dir })
      assert.equal("", key_with { XDG_DATA_HOME = os.getenv "HOME" .. "/.local/share" })
    end
  end)
end)
