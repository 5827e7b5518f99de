-- @runs native-root native-user
-- An image by the short name that `podman build -t mine:1` gave it.
local cjson = require "cjson"
local e2e = require "spec.support.e2e"
local mcp = require "spec.support.mcp"
local policies = require "spec.support.policies"
local projects = require "spec.support.devcontainers"
local support = require "spec.support.cli"
local axo = require "axosandbox"
local podman, temp = e2e.podman, e2e.temp

describe("a short name of an image", function()
  e2e.housekeeping(_ENV)

  local function tagged(name)
    podman.must("tag", e2e.images.base(), name)
    e2e.janitor.made("image", name)
    return name
  end

  local function short(tag)
    local name = "axotest-" .. temp.token()
    tagged("localhost/" .. name .. (tag or ":1"))
    return name .. (tag or ":1")
  end

  -- No registry is waited for.
  local function gives_up(request, default)
    return request.op == "classify" and default(request) or { action = "give_up" }
  end

  local function warnings_of(sb) return table.concat(sb:warnings(), "\n") end

  it("is the local image of that name, and that is said", function()
    local name = short()
    local sb <close> = e2e.start { image = name }
    assert.equal("localhost/" .. name, sb:image())
    assert.equal("localhost/" .. name, podman.inspect(sb:container()).ImageName)
    assert.matches("the image " .. name .. " is localhost/" .. name, warnings_of(sb), 1, true)
  end)

  it("may have no tag, and a path", function()
    local bare = short ":latest":gsub(":latest$", "")
    local deep = "team/" .. bare
    tagged("localhost/" .. deep .. ":latest")
    for _, name in ipairs { bare, deep } do
      local sb <close> = e2e.start { image = name }
      assert.equal("localhost/" .. name .. ":latest", sb:image())
    end
  end)

  it("is judged by the name that it stands for", function()
    local name = short()
    local err = e2e.refused { image = name, policy = { allow_untrusted_image = false } }
    assert.equal("POLICY", err.code)
    assert.matches("localhost/" .. name .. " is not trusted here", err.message, 1, true)
    local sb <close> = e2e.start { image = name, policy = {
      allow_untrusted_image = false,
      allow_images = { { registry = "localhost", repository = name:match "^[^:]+" } },
    } }
    assert.equal("localhost/" .. name, sb:image())
  end)

  it("stays the registry's image where that is trusted by name, or is here", function()
    local name = short()
    local repository = "library/" .. name:match "^[^:]+"
    local err = e2e.refused { image = name, policy = {
      allow_untrusted_image = false,
      allow_images = { { registry = "docker.io", repository = repository } },
      retry = gives_up,
    } }
    assert.equal("IMAGE_NOT_FOUND", err.class)
    assert.matches("docker.io/" .. repository, err.stderr, 1, true)
    tagged("docker.io/library/" .. name)
    local sb <close> = e2e.start { image = name }
    assert.equal("docker.io/library/" .. name, sb:image())
    assert.matches("localhost/" .. name .. " is here, too", warnings_of(sb), 1, true)
  end)

  it("with its registry is never another one", function()
    local name = short()
    local err = e2e.refused { image = "docker.io/library/" .. name, policy = { retry = gives_up } }
    assert.equal("IMAGE_NOT_FOUND", err.class)
  end)

  it("is not decided by a policy that knows nothing of local images", function()
    local name = short()
    local err = e2e.refused { image = name, policy = { image_trust = function(request)
      return { image = request.reference.text, pull = "never" }
    end } }
    assert.equal("IMAGE_NOT_FOUND", err.class)
  end)

  it("opens the session that has it, by either name", function()
    local name = short()
    local id, dir = e2e.new_id(), temp.dir "project"
    local sb <close> = e2e.start { id = id, dir = dir, image = name }
    for _, other in ipairs { name, "localhost/" .. name } do
      local again = assert(axo.start(e2e.options {
        id = id, dir = dir, image = other, reuse = true,
      }))
      assert.equal(sb:container(), again:container())
      again:__close()
    end
  end)

  it("serves at the shell, in a devcontainer.json with its user, and over MCP", function()
    local name = short()
    local dir = projects.with(cjson.encode { image = name, remoteUser = "worker" })
    local result = support.run { "run", "--id", e2e.new_id(), "--dir", dir, "--network", "none",
      "--allow-untrusted-image", "--json", "--", "id", "-un" }
    assert.equal(0, result.code, result.stderr)
    assert.equal("worker\n", cjson.decode(result.stdout).stdout)
    assert.matches("is localhost/" .. name, result.stderr, 1, true)
    local id = e2e.new_id()
    local client = mcp.start { "--dir", temp.dir "project", "--id", id, "--network", "none",
      "--image", name, "--allow-untrusted-image" }
    client:initialize()
    assert.matches("localhost/" .. name, (client:call("session_info", {})), 1, true)
    client:finish()
  end)

  it("that a project wishes for, and nobody trusts, is replaced with a warning", function()
    local name = short()
    local dir = projects.with(cjson.encode { image = name })
    local result = support.run({ "run", "--id", e2e.new_id(), "--dir", dir, "--network", "none",
      "--", "true" }, { env = { AXOSANDBOX_POLICY_PATH = policies.dir {} } })
    assert.equal(0, result.code, result.stderr)
    assert.matches("the image localhost/" .. name .. " is not trusted here, so", result.stderr,
      1, true)
  end)
end)
