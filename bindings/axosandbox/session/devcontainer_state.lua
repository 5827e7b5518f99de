--- What a session remembers of its devcontainer.json: which commands have run in its container,
--- and what its commands get. It lies in the session's private directory, which no container
--- sees, and ends with the container.
local cjson = require "cjson.safe"
local options = require "axosandbox.base.options"
local private_file = require "axosandbox.host.private_file"

local state = {}

local FILE = "/devcontainer.json"
local VERSION = 1
local MAX_BYTES = 16 * 1024 * 1024
local texts = { type = "table", values = "string" }

local SHAPE = {
  version = "integer",
  container = { type = "string", required = true },
  started = "string",
  events = { type = "table", values = "string", required = true },
  labels = { type = "table", values = "string", required = true },
  reports = { type = "table", items = { type = "table", shape = {
    property = { type = "string", required = true }, status = { type = "string", required = true },
    reason = "string",
  } } },
  defaults = {
    type = "table", required = true, shape = { env = texts, cwd = "string", user = "string" },
  },
}

---@class axo.DevcontainerState
---@field container string the container's id
---@field started string? at which of its starts postStartCommand ran
---@field events table<string, "begun"|"done"|"failed"> of the commands that run once
---@field labels table<string, string> of ports
---@field reports axo.DevcontainerReport[]? of what is not as the file says
---@field defaults { env: table<string, string>, cwd: string?, user: string? }

local function read(path)
  local data = cjson.decode(private_file.read(path, MAX_BYTES) or "")
  if type(data) ~= "table" or data.version ~= VERSION then return nil end
  if options.validate(SHAPE, data, "state") then return nil end
  return data
end

--- What is remembered of a record's container; a new state when nothing is.
---@param record axo.Record
---@return axo.DevcontainerState
function state.of(record)
  local found = read(record.runtime_dir .. FILE)
  if found and found.container == record.container_id then return found end
  return { container = record.container_id, events = {}, labels = {}, defaults = { env = {} } }
end

--- Keeps it.
---@param record axo.Record
---@param value axo.DevcontainerState
---@return true? kept, string? problem
function state.keep(record, value)
  value.version = VERSION
  local text, problem = cjson.encode(value)
  if not text then return nil, problem end
  return private_file.replace(record.runtime_dir .. FILE, text)
end

--- Names one start of a container; a restarted one has another first process.
---@param record axo.Record
---@return string
function state.start_of(record)
  return tostring(record.pid or "-")
end

--- Gives a record what its commands get, the labels of its ports, and what is not as the file says.
---@param record axo.Record
---@param value axo.DevcontainerState
function state.apply(record, value)
  record.defaults = value.defaults
  record.unmet_properties = value.reports
  record.port_labels = {}
  for port, label in pairs(value.labels) do
    record.port_labels[math.tointeger(tonumber(port)) or 0] = label
  end
end

--- For a session that was opened: as its host had it.
---@param record axo.Record
function state.restore(record)
  local found = read(record.runtime_dir .. FILE)
  if found and found.container == record.container_id then state.apply(record, found) end
end

return state
