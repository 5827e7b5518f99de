-- @runs native-root native-user
-- `axolua image pull`, from a registry of the spec's own.
local uv = require "luv"
local e2e = require "spec.support.e2e"
local registry = require "spec.support.registry"
local support = require "spec.support.cli"
local axo = require "axosandbox"
local podman, temp = e2e.podman, e2e.temp

describe("axolua image pull", function()
  e2e.housekeeping(_ENV)

  local server
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  -- What is in podman's store already is not downloaded again: it goes from there first.
  local function serve(bytes)
    local dir, name = temp.dir(), "localhost/axotest-" .. temp.token() .. ":1"
    temp.write(dir .. "/content", assert(uv.random(bytes)))
    e2e.proc.must { "tar", "-C", dir, "-cf", dir .. "/root.tar", "content" }
    e2e.janitor.made("image", name)
    podman.must("import", "--quiet", dir .. "/root.tar", name)
    server = registry.start(name)
    podman.must("rmi", name)
    e2e.janitor.made("image", server.name)
    return server.name
  end

  local function pull(name, ...)
    return support.run({ "image", "pull", name, ... }, { env = server.environment })
  end

  it("gets the image, and allows nobody to run it", function()
    local name = serve(64 * 1024)
    local result = pull(name)
    assert.equal(0, result.code, result.stderr)
    assert.matches(name .. " (sha256:", result.stdout, 1, true)
    assert.equal(0, podman.run("image", "exists", name).code)
    result = support.run { "run", "--dir", temp.dir "project", "--network", "none",
      "--image", name, "--", "true" }
    assert.equal(125, result.code)
    assert.matches("is not trusted here", result.stderr)
  end)

  it("shows on a terminal how far it is", function()
    local name = serve(3 * 1024 * 1024)
    server:stall(2 * 1024 * 1024)
    local screen = support.on_terminal('"$AXOLUA" image pull "$1"; echo "status=$?"', { name },
      { 24, 120 }, server.environment)
    screen.shows "pulling [^\r\n]*%[##*%-+%] [%d.]+ [KM]iB of 3 MiB"
    server:go_on()
    screen.shows "status=0"
    screen.wait()
    assert.is_nil(screen.text:find "Copying blob")
  end)

  it("is ended by a signal", function()
    local name = serve(3 * 1024 * 1024)
    server:stall(1)
    local screen = support.on_terminal('trap : INT; "$AXOLUA" image pull "$1"; echo "status=$?"',
      { name }, { 24, 120 }, server.environment)
    screen.shows "pulling "
    e2e.eventually(function() return table.concat(server.asked):find "/blobs/" end)
    screen.type "\3"
    screen.shows "status=130"
    screen.wait()
    assert.not_equal(0, podman.run("image", "exists", name).code)
  end)

  it("gives up in time, with and without a terminal", function()
    local name = serve(3 * 1024 * 1024)
    server:stall(1)
    local screen = support.on_terminal('"$AXOLUA" image pull --timeout 2 "$1"; echo "status=$?"',
      { name }, { 24, 120 }, server.environment)
    local result = pull(name, "--timeout", "2")
    assert.equal(125, result.code)
    assert.matches("was not pulled: it took too long\n        .*%-%-timeout", result.stderr)
    screen.shows "took too long"
    screen.shows "status=125"
    screen.wait()
  end)

  it("says what the registry has not, which one is not reached, and what none has", function()
    local name = serve(1024)
    local result = pull((name:gsub(":1$", ":missing")))
    assert.equal(125, result.code)
    assert.matches("has no such image", result.stderr)
    server:stop()
    result = pull(name)
    assert.equal(125, result.code)
    assert.matches("the registry 127.0.0.1:%d+ cannot be reached from here", result.stderr)
    assert.matches("axolua image make", result.stderr)
    local pulled, err = axo.images.pull { image = "localhost/mine:1" }
    assert.is_nil(pulled)
    assert.matches("no registry has it", err.message)
  end)
end)
