-- The same files, read by @devcontainers/cli: what both make of them must agree.
local e2e = require "spec.support.e2e"
local policies = require "spec.support.policies"
local proc = require "spec.support.proc"
local projects = require "spec.support.devcontainers"
local axo = require "axosandbox"
local jsonc = require "axosandbox.base.jsonc"
local session = require "axosandbox.session"
local cjson = require "cjson"
local uv = require "luv"
local temp = e2e.temp

local HERE = "spec/devcontainer/"
local CLI = HERE .. "node_modules/@devcontainers/cli/devcontainer.js"
local VARIABLES = { "AXO_TEST_IMAGE", "AXO_TEST_SET", "AXO_TEST_UNSET", "AXO_TEST_DOLLARS" }

local function with_variables(fn)
  policies.with_env({
    AXO_TEST_IMAGE = e2e.images.base(), AXO_TEST_SET = "set: ü", AXO_TEST_UNSET = false,
    AXO_TEST_DOLLARS = "$& $1",
  }, fn)
end

local function project(fixture, change)
  local text = assert(temp.read(HERE .. "fixtures/" .. fixture .. ".jsonc"))
  local dir = projects.with(change and change(text) or text)
  assert(uv.fs_mkdir(dir .. "/sub", tonumber("755", 8)))
  return dir
end

local function load(dir)
  return assert(axo.devcontainer.load(dir, {
    id = e2e.new_id(),
    policy = {
      network = "none", local_env = VARIABLES, allow_untrusted_image = true,
      allow_post_create = true,
    },
  }))
end

--- What the other one makes of it; with a container, what is known only then too.
local function reference(dir, container)
  local argv = {
    "node", CLI, "read-configuration", "--workspace-folder", dir, "--docker-path",
    e2e.podman.program(), "--mount-workspace-git-root", "false",
  }
  if container then
    table.move({
      "--include-merged-configuration", "--container-id", container,
      "--id-label", "devcontainer.local_folder=" .. dir,
      "--id-label", "devcontainer.config_file=" .. dir .. "/.devcontainer.json",
    }, 1, 7, #argv + 1, argv)
  end
  local found = cjson.decode(proc.must(argv))
  found.configuration.configFilePath = nil
  return found.configuration, found.mergedConfiguration
end

-- As cjson has it.
local function plain(value)
  if value == jsonc.null then return cjson.null end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, item in pairs(value) do copy[key] = plain(item) end
  return copy
end

-- Our ${devcontainerId} is known at once, theirs once there is a container.
local function with_id(value, id)
  return cjson.decode((cjson.encode(value):gsub("%${devcontainerId}", id)))
end

local function without_nulls(object)
  local copy = {}
  for key, value in pairs(object or {}) do
    if value ~= cjson.null then copy[key] = value end
  end
  return copy
end

local function argv_of(command)
  return type(command) == "string" and { "sh", "-c", command } or command
end

local function is_empty(command)
  return type(command) == "table" and next(command) == nil or command == ""
end

-- Theirs, in the form of ours.
local function commands_of(merged)
  local events = {}
  for _, name in ipairs {
    "onCreateCommand", "updateContentCommand", "postCreateCommand", "postStartCommand",
    "postAttachCommand",
  } do
    local command = merged[name .. "s"][1]
    if command and not is_empty(command) then
      local list = {}
      if type(command) == "table" and not command[1] then
        for key, value in pairs(command) do list[key] = argv_of(value) end
      else
        list[1] = argv_of(command)
      end
      events[#events + 1] = { event = name, commands = list }
    end
  end
  return events
end

local function own_commands(description)
  local events = {}
  for i, it in ipairs(description.lifecycle) do
    local list = {}
    for at, command in ipairs(it.commands) do list[command.name or at] = command.argv end
    events[i] = { event = it.event, commands = list }
  end
  return events
end

local function numbers_of(ports)
  local list = {}
  for _, port in ipairs(ports or {}) do
    if type(port) == "number" then list[#list + 1] = port end
    if type(port) == "string" and port:find "^localhost:" then
      list[#list + 1] = tonumber(port:match "%d+$")
    end
  end
  return list
end

local function compare_merged(description, merged, sb)
  local remote = session.record(sb).defaults
  assert.same(merged.containerEnv, description.options.env)
  assert.same(without_nulls(merged.remoteEnv), remote.env)
  assert.equal(merged.containerUser, description.options.user)
  assert.equal(merged.remoteUser, remote.user)
  assert.equal(merged.workspaceFolder, remote.cwd)
  assert.same(numbers_of(merged.forwardPorts), description.options.ports)
  local wanted = merged.hostRequirements or {}
  assert.same({
    cpus = wanted.cpus ~= 0 and wanted.cpus or nil, memory = tonumber(wanted.memory),
    storage = tonumber(wanted.storage),
  }, description.requirements)
  assert.same(commands_of(merged), own_commands(description))
  for _, entry in ipairs(description.ports) do
    local attributes = merged.portsAttributes[tostring(entry.port)]
    if attributes then assert.equal(attributes.label, entry.label) end
  end
end

describe("@devcontainers/cli and we", function()
  e2e.housekeeping(_ENV)
  setup(function()
    assert(uv.fs_stat(CLI), "missing: npm --prefix spec/devcontainer ci")
  end)

  for _, fixture in ipairs { "plain", "variables", "commands", "ports", "text" } do
    it("agree on " .. fixture .. ".jsonc, and on what becomes of it in a session", function()
      with_variables(function()
        local dir = project(fixture)
        local description = load(dir)
        assert.same(with_id(reference(dir), description.id), plain(description.config))
        local sb <close>, result = axo.devcontainer.start(description)
        assert(sb, tostring(result))
        assert.is_nil(result.failed)
        local _, merged = reference(dir, sb:container())
        compare_merged(description, merged, sb)
      end)
    end)
  end

  it("agree on what a project wants and does not get", function()
    with_variables(function()
      local dir = project "build"
      assert.same((reference(dir)), plain(load(dir).config))
    end)
  end)

  it("agree on the ends of lines, and on a BOM", function()
    with_variables(function()
      for _, change in ipairs {
        function(text) return (text:gsub("\n", "\r\n")) end,
        function(text) return "\xEF\xBB\xBF" .. text end,
      } do
        local dir = project("plain", change)
        assert.same((reference(dir)), plain(load(dir).config))
      end
    end)
  end)

  it("agree on a folder of its own", function()
    with_variables(function()
      local dir = projects.dir {
        [".devcontainer/devcontainer.json"] = '{"image":"a"}',
        [".devcontainer.json"] = '{"image":"b"}',
      }
      assert.same((reference(dir)), plain(load(dir).config))
    end)
  end)
end)
