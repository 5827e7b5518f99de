-- @runs native-root portable-user
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local podman, proc, temp = e2e.podman, e2e.proc, e2e.temp

describe("the life of a session", function()
  e2e.housekeeping(_ENV)

  for _, style in ipairs(e2e.styles) do
    it("starts, runs a command and stops, called " .. style.name, function()
      local options = e2e.options()
      local sb = assert(style.call(axo.start, options))
      assert.equal("axo-ses-" .. options.id, sb:container())
      assert.is_true(podman.exists(sb:container()))
      local r = assert(style.call(sb.exec, sb, { "sh", "-c", "echo out; echo err >&2; exit 3" },
        {}))
      assert.equal("out\n", r.stdout)
      assert.equal("err\n", r.stderr)
      assert.equal(3, r.code)
      assert.is_false(r:ok())
      assert(style.call(sb.stop, sb))
      assert.is_false(podman.exists(options.id and "axo-ses-" .. options.id))
    end)
  end

  it("mounts the directory read-write at the same path and starts there", function()
    local sb = e2e.start()
    temp.write(sb:root() .. "/from-host", "hello")
    local r = assert(sb:exec { "sh", "-c", "pwd; cat from-host; printf back > from-inside" })
    assert.equal(sb:root() .. "\nhello", r.stdout)
    assert.equal("back", temp.read(sb:root() .. "/from-inside"))
    assert(sb:stop())
  end)

  it("tells what it is", function()
    local options = e2e.options()
    local sb = assert(axo.start(options))
    assert.equal(options.dir, sb:root())
    assert.equal(options.image, sb:image())
    assert.equal(os.getenv "AXOSANDBOX_PATH" or "native", sb:path())
    assert.same({}, sb:ports())
    assert.is_table(sb:warnings())
    assert.is_table(sb:limits())
    assert(sb:stop())
  end)

  it("passes env to every command, and the environment of the host to none", function()
    local sb = e2e.start { env = { GREETING = "hello there", LANG = "C.UTF-8" } }
    local r = assert(sb:exec { "sh", "-c", 'echo "$GREETING $LANG"; env' })
    assert.equal("hello there C.UTF-8", r.stdout:match "^[^\n]+")
    assert.is_nil(r.stdout:find("XDG_STATE_HOME", 1, true))
    assert(sb:stop())
  end)

  it("labels the container with its id, directory, version and owner", function()
    local options = e2e.options()
    local sb = assert(axo.start(options))
    local labels = podman.inspect(sb:container()).Config.Labels
    assert.equal(options.id, labels["axosandbox.id"])
    assert.equal(options.dir, labels["axosandbox.dir"])
    assert.truthy(labels["axosandbox.version"])
    assert.truthy(labels["axosandbox.owner"])
    assert(sb:stop())
  end)

  it("removes its container at the end of a <close> block, also after an error", function()
    local name
    local ok, err = pcall(function()
      local sb <close> = e2e.start()
      name = sb:container()
      assert.is_true(podman.exists(name))
      error "on purpose"
    end)
    assert.is_false(ok)
    assert.matches("on purpose", err)
    assert.is_false(podman.exists(name))
  end)

  it("may be stopped twice, and says what is wrong when used after that", function()
    local sb = e2e.start()
    assert(sb:stop())
    assert(sb:stop())
    local r, err = sb:exec { "true" }
    assert.is_nil(r)
    assert.truthy(err.code)
    assert.truthy(tostring(err):find "%w")
  end)

  it("stops without the ten seconds that a sleeping first process would be given", function()
    local bare, stops = {}, {}
    for i = 1, 3 do
      local name = podman.start()
      local before = e2e.now()
      podman.must("rm", "-f", "-t", "0", name)
      bare[i] = e2e.now() - before
      local sb = e2e.start()
      before = e2e.now()
      assert(sb:stop())
      stops[i] = e2e.now() - before
    end
    table.sort(bare)
    table.sort(stops)
    local ratio = stops[2] / bare[2]
    assert(ratio < 6, ("stop takes %.1f times a bare removal"):format(ratio))
  end)

  it("replaces a stale container without those ten seconds either", function()
    local options = e2e.options()
    local host = e2e.host.with_session(options)
    host:wait_for "started (%S+)"
    host:kill()
    host:wait(true)
    local fresh = e2e.options()
    local before = e2e.now()
    assert(assert(axo.start(fresh)):stop())
    local plain = e2e.now() - before
    before = e2e.now()
    assert(assert(axo.start(options)):stop())
    local ratio = (e2e.now() - before) / plain
    assert(ratio < 6, ("with a stale container it takes %.1f times as long"):format(ratio))
  end)

  it("reaps orphaned processes: no zombies fill the pids limit", function()
    local sb = e2e.start()
    assert(sb:exec { "sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.01 & ) ; done; sleep 0.2" })
    local view = e2e.probe.container(sb:container())
    proc.eventually(function()
      for _, process in ipairs(view.processes()) do
        if process.state:find "[ZX]" then return false end
      end
      return true
    end, "a container without zombies")
    assert(sb:stop())
  end)

  it("ends what runs in it when it is stopped", function()
    local sb = e2e.start()
    local mark = e2e.probe.unique_sleep()
    local view = e2e.probe.container(sb:container())
    local finished
    assert(sb:exec({ "sleep", mark }, function(err, r) finished = { err = err, r = r } end))
    view.await(mark)
    assert(sb:stop())
    assert.equal(0, #view.find(mark))
    e2e.eventually(function() return finished end, "the callback of the command")
  end)
end)
