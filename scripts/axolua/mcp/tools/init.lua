--- The tools: their names, in the order that clients are told, and what each is.
local json = require("axosandbox").json
local background = require "axolua.mcp.tools.background"
local bash = require "axolua.mcp.tools.bash"
local files = require "axolua.mcp.tools.files"
local info = require "axolua.mcp.tools.info"
local port = require "axolua.mcp.tools.port"
local search = require "axolua.mcp.tools.search"
local terminals = require "axolua.mcp.tools.terminals"

local tools = {}

---@class mcp.Tool
---@field name string
---@field title string
---@field description string
---@field input table JSON Schema of the arguments
---@field hints table MCP's annotations
---@field call fun(arguments: table, call: mcp.Call): table?, axo.Error?

---@class mcp.Tools
---@field private order mcp.Tool[]
---@field private by_name table<string, mcp.Tool>
local Tools = {}
Tools.__index = Tools

local GROUPS = { files, search, bash, background, port, terminals, info }

local ORDER = {
  "read_file", "write_file", "edit_file", "list_dir", "grep", "glob", "bash", "bash_background",
  "list_background", "read_background", "write_background", "stop_background", "wait_for_port",
  "expose_port", "spawn_terminal", "list_terminals", "read_terminal", "write_terminal",
  "resize_terminal", "kill_terminal", "session_info",
}

local function schema_of(tool)
  local input = { type = "object", additionalProperties = false, properties = {} }
  for name, rule in pairs(tool.input.properties or {}) do
    local shown = {}
    for key, value in pairs(rule) do shown[key] = value end
    if shown.enum then shown.enum = json.array(shown.enum) end
    input.properties[name] = shown
  end
  if tool.input.required then input.required = json.array(tool.input.required) end
  return input
end

--- All of them.
---@param settings { timeout: number } what the command line says
---@return mcp.Tools
function tools.new(settings)
  local by_name, order = {}, {}
  for _, group in ipairs(GROUPS) do
    for _, tool in ipairs(group(settings)) do
      by_name[tool.name] = tool
    end
  end
  for i, name in ipairs(ORDER) do order[i] = by_name[name] end
  return setmetatable({ by_name = by_name, order = order }, Tools)
end

---@param name string
---@return mcp.Tool?
function Tools:get(name)
  return self.by_name[name]
end

--- What tools/list tells.
---@return table[]
function Tools:list()
  local list = json.array {}
  for i, tool in ipairs(self.order) do
    list[i] = {
      name = tool.name, title = tool.title, description = tool.description,
      inputSchema = schema_of(tool), annotations = tool.hints,
    }
  end
  return list
end

---@return string
function Tools:names()
  return table.concat(ORDER, ", ")
end

return tools
