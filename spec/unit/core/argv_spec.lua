local core = require "axosandbox.core"
local temp = require "spec.support.temp"
local argv = core.argv

local profile = temp.lasting_dir() .. "/profile"

local function run_spec(changes)
  local spec = {
    podman = "podman", name = "axo-ses-x", image = "alpine", command = { "sleep" },
    seccomp = profile,
  }
  for key, value in pairs(changes) do spec[key] = value end
  return spec
end

local function index_of(items, wanted)
  for i, item in ipairs(items) do
    if item == wanted then return i end
  end
end

describe("core.argv", function()
  it("builds each request", function()
    assert.equal("podman", assert(argv.run(run_spec {}))[1])
    for name, spec in pairs {
      exec = { container = "c", command = { "ls", "-l" } },
      rm = { container = "c" },
      rm_all = { containers = { "c", "d" } },
      stop = { container = "c", timeout = 3 },
      ps = { label = "axosandbox.id" },
      inspect = { kind = "container", name = "c" },
      pull = { image = "alpine" },
      image_exists = { image = "alpine" },
      import = { image = "localhost/x:1" },
      commit = { container = "c", image = "localhost/x:1" },
    } do
      spec.podman = "/usr/bin/podman"
      local items = assert(argv[name](spec))
      assert.equal("/usr/bin/podman", items[1], name)
      assert.is_true(#items > 2, name)
      for _, item in ipairs(items) do assert.equal("string", type(item)) end
    end
  end)

  it("turns the numbers of users and groups, and leaves none out", function()
    local function maps(changes)
      local found = {}
      for _, item in ipairs(assert(argv.run(run_spec(changes)))) do
        local map = item:match "^%-%-([ug]idmap=.*)$"
        if map then found[#found + 1] = map end
      end
      return found
    end
    assert.same({}, maps {})
    assert.same({
      "uidmap=1000:0:1", "uidmap=0:1:1000", "uidmap=1001:1001:64536",
      "gidmap=0:0:1", "gidmap=1:1:65536",
    }, maps { users_id = 1000, users_count = 65537, groups_id = 0, groups_count = 65537 })
    assert.same({ "uidmap=9:0:1", "uidmap=0:1:9", "gidmap=0:0:1" },
      maps { users_id = 9, users_count = 10, groups_id = 0, groups_count = 1 })
    for _, wrong in ipairs {
      { users_id = 10, users_count = 10, groups_id = 0, groups_count = 1 },
      { users_id = 1, users_count = 10 },
    } do
      local items, err = argv.run(run_spec(wrong))
      assert.is_nil(items)
      assert.equal("EINVAL", err.code)
    end
  end)

  it("emits maps in the order of their keys", function()
    local env = {}
    for i = 1, 50 do env[("K%02d"):format(i)] = tostring(i) end
    local items = assert(argv.exec {
      podman = "podman", container = "c", command = { "env" }, env = env })
    local last = 0
    for i = 1, 50 do
      local at = index_of(items, ("--env=K%02d=%d"):format(i, i))
        or index_of(items, ("K%02d=%d"):format(i, i))
      assert.is_true(at ~= nil and at > last, "K" .. i)
      last = at
    end
  end)

  it("names variables whose values podman has itself", function()
    local items = assert(argv.exec {
      podman = "podman", container = "c", command = { "env" }, env_names = { "TOKEN" } })
    assert.is_truthy(index_of(items, "--env=TOKEN"))
  end)

  it("passes everything that a run can be told", function()
    local items = assert(argv.run(run_spec {
      workdir = "/w", user = "1000:1000", network = "bridge", runtime = "runc",
      pull = "missing", pidfile = "/r/pid", cidfile = "/r/cid",
      mounts = { { source = "/a b", target = "/c", read_only = true } },
      env = { A = "1" }, labels = { ["axosandbox.id"] = "x" },
      ports = { { address = "127.0.0.1", host = 3000, container = 3000 } },
      ulimits = { { name = "nofile", soft = 100, hard = 200 } },
      memory = 2 << 30, cpus = 1.5, pids = 512, init = true, http_proxy = false,
    }))
    local text = table.concat(items, "\n")
    for _, wanted in ipairs { "runc", "missing", "/r/pid", "/a b", "A=1", "axosandbox.id=x",
      "127.0.0.1:3000:3000", "nofile=100:200", "2147483648", "1.5", "512", "no-new-privileges" } do
      assert.is_truthy(text:find(wanted, 1, true), wanted)
    end
  end)

  it("returns what C refuses", function()
    for _, changes in ipairs {
      { name = "--privileged" }, { image = "--privileged" }, { name = "a\0b" },
      { command = { "a\0b" } }, { env = { ["a b"] = "1" } }, { env = { A = "\0" } },
      { env = { ["A\0"] = "1" } }, { workdir = "relative" }, { network = "host" },
      { mounts = { { source = "a", target = "/b" } } }, { memory = -1 }, { memory = 1.5 },
      { ports = { { address = "127.0.0.1", host = 70000, container = 1 } } },
      { ports = { { address = "127.0.0.1", host = -1, container = 1 } } },
      { cpus = 0 / 0 },
    } do
      local items, err = argv.run(run_spec(changes))
      assert.is_nil(items)
      assert.equal("EINVAL", err.code)
      assert.is_true(#err.message > 0)
    end
  end)

  it("raises on what is no spec", function()
    local function mistake(pattern, changes)
      local ok, err = pcall(argv.run, run_spec(changes))
      assert.is_false(ok)
      assert.matches(pattern, err)
    end
    mistake("run: unknown key 'privileged' %(known: podman, name", { privileged = true })
    mistake("run.name: expected string, got number", { name = 1 })
    mistake("run.command: expected a sequence, got string", { command = "sleep 1" })
    mistake("run.env: keys must be strings", { env = { "A=1" } })
    mistake("run.env.A: expected string, got number", { env = { A = 1 } })
    local mount = { source = "/a", target = "/a" }
    mistake("run.mounts%[2%]: expected table, got string", { mounts = { mount, "x" } })
    mistake("run.mounts%[1%]: unknown key 'ro'",
      { mounts = { { source = "/a", target = "/a", ro = true } } })
    mistake("run.ports%[1%].host is required", { ports = { { address = "::1", container = 1 } } })
    mistake("run.init: expected boolean, got string", { init = "yes" })
    mistake("run.cpus: expected number", { cpus = "2" })
    assert.has_error(function() argv.run() end)
    assert.has_error(function() argv.rm {} end, "rm.podman is required")
    assert.has_error(function() argv.rm { podman = "podman", container = "c", force = true } end,
      "rm: unknown key 'force' (known: podman, container)")
  end)
end)
