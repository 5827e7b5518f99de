--- The lifecycle commands of a devcontainer.json, in their three forms: a text runs by `sh -c`,
--- an array is an argv, an object holds several that run at the same time.
local jsonc = require "axosandbox.base.jsonc"
local shell = require "axosandbox.base.text.shell"
local unseen = require "axosandbox.base.text.unseen"

local commands = {}

local MAX_PARALLEL = 32
-- Linux takes an argument of 128 KiB.
local MAX_BYTES = 64 * 1024

---@class axo.LifecycleCommand
---@field name string? of one in an object
---@field argv string[]
---@field text string as policy and people see it

---@class axo.LifecycleEvent
---@field event string "onCreateCommand", "updateContentCommand", "postCreateCommand", "postStartCommand" or "postAttachCommand"
---@field when "create"|"start"|"attach" once in a container, at each of its starts, each time
---@field commands axo.LifecycleCommand[] that run at the same time

commands.EVENTS = {
  { event = "onCreateCommand", when = "create" },
  { event = "updateContentCommand", when = "create" },
  { event = "postCreateCommand", when = "create" },
  { event = "postStartCommand", when = "start" },
  { event = "postAttachCommand", when = "attach" },
}

local WRONG = "expected a text, an array of texts, or an object of these"
local TOO_LONG = ("longer than %d bytes"):format(MAX_BYTES)

local function of_words(words, name)
  local argv, bytes = {}, 0
  for i, word in ipairs(words) do
    if type(word) ~= "string" then return nil, WRONG end
    if word:find("\0", 1, true) then return nil, "it holds a NUL" end
    argv[i], bytes = word, bytes + #word + 1
  end
  if bytes > MAX_BYTES then return nil, TOO_LONG end
  if #argv == 0 then return false end
  if argv[1] == "" then return nil, "it names no program" end
  return { name = name, argv = argv, text = shell.command(argv) }
end

-- One command; nothing for an empty one, nil and why for what is none.
local function one(value, name)
  if type(value) == "string" then
    if value:find("\0", 1, true) then return nil, "it holds a NUL" end
    if #value > MAX_BYTES then return nil, TOO_LONG end
    if not value:find "%S" then return false end
    return { name = name, argv = shell.argv(value), text = value }
  end
  if not jsonc.is_array(value) then return nil, WRONG end
  return of_words(value, name)
end

local function several(object)
  local list = {}
  for _, name in ipairs(jsonc.keys(object)) do
    local command, problem = one(object[name], unseen.replace(name, "?"):sub(1, 80))
    if command == nil then return nil, problem end
    if command then list[#list + 1] = command end
  end
  if #list > MAX_PARALLEL then return nil, ("more than %d at once"):format(MAX_PARALLEL) end
  return list
end

local function parse(value)
  if jsonc.is_object(value) then return several(value) end
  local command, problem = one(value)
  if command == nil then return nil, problem end
  return command and { command } or {}
end

--- Reads them.
---@param config table the configuration
---@param reports axo.DevcontainerReports
---@return axo.LifecycleEvent[] those that have commands, in the order in which they run
function commands.read(config, reports)
  local events = {}
  for _, it in ipairs(commands.EVENTS) do
    local value = config[it.event]
    if value ~= nil then
      local list, problem = parse(value)
      if not list then
        reports:add(it.event, "invalid", problem)
      elseif #list > 0 then
        events[#events + 1] = { event = it.event, when = it.when, commands = list }
        reports:add(it.event, "policy", "whether a project's commands run")
      end
    end
  end
  return events
end

return commands
