-- @runs native-root native-user
-- A user with a login has a runtime directory, one without has a directory in /tmp: a session that
-- was started with the one is reached with the other. Root's is always the same.
local uv = require "luv"
local axo = require "axosandbox"
local cli = require "spec.support.cli"
local e2e = require "spec.support.e2e"
local engine_host = require "axosandbox.host"
local native = require "spec.support.native"
local podman, temp = e2e.podman, e2e.temp

local WITHOUT = { XDG_RUNTIME_DIR = false }

-- Made by a process that is gone, with that environment.
local function kept(env)
  local options = e2e.options { keep = true }
  local host = e2e.host.start([[
    local sb, err = axo.start(options)
    say(sb and "started" or tostring(err))
    wait_for_line()
  ]], { options = options, env = env })
  host:wait_for "started"
  host:kill()
  host:wait(true)
  return options.id
end

local function is_listed(id)
  for _, session in ipairs(assert(axo.list())) do
    if session.id == id then return true end
  end
  return false
end

-- Everything there is to do with it, and its end.
local function can_be_used(id, finish)
  local sb = assert(axo.open(id))
  assert.equal(os.getenv "AXOSANDBOX_PATH" or "native", sb:path())
  assert.same({}, sb:warnings())
  assert.equal("in\n", assert(sb:exec { "echo", "in" }).stdout)
  -- Another user is podman's to enter as.
  assert.equal("1\n", assert(sb:exec({ "id", "-u" }, { user = "1" })).stdout)
  getmetatable(sb).__close(sb)
  assert.is_true(is_listed(id))
  local result = cli.run { "exec", id, "--", "echo", "out" }
  assert.equal("out\n", result.stdout, result.stderr)
  finish(id)
  assert.is_false(is_listed(id))
  assert.is_false(podman.exists("axo-ses-" .. id))
end

local function stop(id) assert(axo.stop(id)) end

local function reap(id)
  local others = {}
  for _, session in ipairs(assert(axo.list())) do
    if session.id ~= id then others[#others + 1] = session.id end
  end
  assert.equal(id, assert(axo.reap_orphans(others)).removed[1].id)
end

if podman.is_root() then
  describe("a session of root's that was started with a directory of some login's", function()
    e2e.housekeeping(_ENV)
    it("is used without one", function()
      local id = kept { XDG_RUNTIME_DIR = temp.dir "runtime" }
      native.with_env(WITHOUT, function() can_be_used(id, stop) end)
    end)
  end)
end

if not podman.is_root() then
  describe("a session that was started without a login", function()
    e2e.housekeeping(_ENV)
    for how, finish in pairs { stopped = stop, reaped = reap } do
      it("is used and " .. how .. " with one", function() can_be_used(kept(WITHOUT), finish) end)
    end
  end)

  describe("podman without a login", function()
    e2e.housekeeping(_ENV)

    -- As who types it there.
    local function finds(program, id)
      local result = e2e.proc.run { "env", "-u", "XDG_RUNTIME_DIR", "-u", "TMPDIR", program, "exec",
        "axo-ses-" .. id, "echo", "found" }
      assert.equal("found\n", result.stdout, result.stderr)
    end

    it("finds a session that was started without one", function()
      local id = kept(WITHOUT)
      finds(podman.program(), id)
      assert(axo.stop(id))
    end)

    -- Which directory that is depends on its version: here is another podman.
    it("is asked where it has its files", function()
      local dir = temp.dir "elsewhere"
      local program = dir .. "/podman"
      temp.write(program, ("#!/bin/sh\nTMPDIR=%s\nexport TMPDIR\nexec %s \"$@\"\n")
        :format(dir, podman.program()))
      assert(uv.fs_chmod(program, tonumber("755", 8)))
      local env = { XDG_RUNTIME_DIR = false, AXOSANDBOX_PODMAN = program }
      local id = kept(env)
      finds(program, id)
      native.with_env(env, function() can_be_used(id, stop) end)
    end)
  end)

  describe("a session that was started with a login", function()
    e2e.housekeeping(_ENV)
    for how, finish in pairs { stopped = stop, reaped = reap } do
      it("is used and " .. how .. " without one", function()
        local id = kept {}
        native.with_env(WITHOUT, function() can_be_used(id, finish) end)
      end)
    end
  end)
end

if not podman.is_root() and not uv.fs_stat("/run/user/" .. uv.getuid()) then
  describe("a user without a login whose name in /tmp somebody else has", function()
    e2e.housekeeping(_ENV)
    local usual, aside

    setup(function()
      usual = "/tmp/axosandbox-" .. uv.getuid()
      aside = usual .. ".aside"
      uv.fs_rename(usual, aside)
    end)
    teardown(function()
      uv.fs_unlink(usual)
      uv.fs_rename(aside, usual)
    end)

    it("gets another there, always the same", function()
      local target = temp.dir "target"
      assert(uv.fs_symlink(target, usual))
      native.with_env(WITHOUT, function()
        local first = assert(engine_host.runtime_dir())
        assert.equal(first, engine_host.runtime_dir())
        assert.equal(usual, first:sub(1, #usual))
        assert.are_not.equal(usual, first)
        assert.equal(tonumber("700", 8), uv.fs_lstat(first).mode & tonumber("777", 8))
        can_be_used(kept(WITHOUT), stop)
        -- It is gone at the next boot, and made again; what stands in its place is not used.
        e2e.proc.run { "rm", "-rf", first }
        assert.equal(first, engine_host.runtime_dir())
        e2e.proc.run { "rm", "-rf", first }
        assert(uv.fs_symlink(target, first))
        local second = assert(engine_host.runtime_dir())
        assert.are_not.equal(first, second)
        assert.equal(second, engine_host.runtime_dir())
        uv.fs_unlink(first)
        e2e.proc.run { "rm", "-rf", second }
      end)
      assert.is_nil(uv.fs_scandir_next(uv.fs_scandir(target)))
    end)
  end)
end
