--- The ports of a devcontainer.json: `forwardPorts`, `appPort` and the labels of
--- `portsAttributes`.
local jsonc = require "axosandbox.base.jsonc"
local unseen = require "axosandbox.base.text.unseen"

local ports = {}

local MAX = 32
local ONE_TO_ONE = "TCP ports are published, and 1:1"

local function number(text)
  local port = math.tointeger(tonumber(text))
  if port and port >= 1 and port <= 65535 then return port end
end

local LOCAL = { localhost = true, ["127.0.0.1"] = true }

-- A number, or "host:number": only this container has ports here.
local function of_forward(value)
  if type(value) == "number" then return number(value), "it is not the number of a port" end
  local name, digits = tostring(value):match "^([%w.-]+):(%d+)$"
  if not name then return nil, "it is not the number of a port" end
  if not LOCAL[name] then return nil, "there is no other container that it could lead to" end
  return number(digits), "it is not the number of a port"
end

local MAX_TEXT = 64

-- A number, or what `docker run -p` takes: [[ADDRESS:]PORT:]PORT[/tcp].
local function of_app(value)
  if type(value) == "number" then return number(value), "it is not the number of a port" end
  local text = tostring(value):gsub("/tcp$", "")
  -- Nor is a pattern without an anchor tried on a megabyte of digits.
  if #text > MAX_TEXT then return nil, "it is not the number of a port" end
  local outside, inside = text:match "(%d+):(%d+)$" -- linear: it is short
  if not outside then return number(text:match "^%d+$" or ""), ONE_TO_ONE end
  if outside ~= inside then return nil, ONE_TO_ONE end
  return number(inside), "it is not the number of a port"
end

-- Ports below are the machine's own services', and root's to give away.
local FIRST = 1024
local MACHINES = "ports below 1024 are for the machine's own services; --port publishes one"

local function add(found, property, reader, value, reports)
  local port, why = reader(value)
  if not port then
    return reports:add(("%s %s"):format(property, tostring(value)), "ignored", why)
  end
  if found.seen[port] then return end
  if port < FIRST then
    return reports:add(("%s %d"):format(property, port), "denied", MACHINES)
  end
  if #found.list >= MAX then
    return reports:add(property, "ignored", ("at most %d ports are published"):format(MAX))
  end
  found.seen[port] = true
  found.list[#found.list + 1] = { port = port }
  return port
end

local function is_scalar(value)
  return type(value) == "number" or type(value) == "string"
end

local function read(config, property, reader, found, reports)
  local value = config[property]
  if value == nil then return end
  if property == "appPort" and is_scalar(value) then value = jsonc.array { value } end
  if not jsonc.is_array(value) then
    return reports:add(property, "invalid", "expected an array")
  end
  local added = {}
  for _, item in ipairs(value) do
    if is_scalar(item) then
      added[#added + 1] = add(found, property, reader, item, reports)
    else
      reports:add(property, "invalid", "expected numbers and texts")
    end
  end
  if #added == 0 then return end
  reports:add(property, "honoured", "published: " .. table.concat(added, ", "))
end

-- ---- labels ----------------------------------------------------------------------------

local function label_of(attributes)
  local label = jsonc.is_object(attributes) and attributes.label
  if type(label) ~= "string" or label == "" then return nil end
  return unseen.replace(label:sub(1, 200), " ")
end

-- A port, a range, or "host:port". The other keys are patterns for command lines.
local function range_of(key)
  local first, last = key:match "^(%d+)%-(%d+)$"
  if first then return number(first), number(last) end
  local one = number(key:match "^%d+$" or key:match "^localhost:(%d+)$" or "")
  return one, one
end

local function apply(label, first, last, list)
  for _, entry in ipairs(list) do
    -- A key for one port says more than one for a range.
    local is_better = entry.width == nil or last - first < entry.width
    if entry.port >= first and entry.port <= last and is_better then
      entry.label, entry.width = label, last - first
    end
  end
end

local function read_labels(config, list, reports)
  local attributes = config.portsAttributes
  if attributes == nil then return end
  if not jsonc.is_object(attributes) then
    return reports:add("portsAttributes", "invalid", "expected an object")
  end
  for _, key in ipairs(jsonc.keys(attributes)) do
    local first, last = range_of(key)
    local label = label_of(attributes[key])
    if not first or not last then
      reports:add("portsAttributes." .. key, "ignored", "ports are not looked for by command")
    elseif label then
      apply(label, first, last, list)
      reports:add("portsAttributes", "honoured", "labels")
    end
  end
end

--- Reads them.
---@param config table the configuration
---@param reports axo.DevcontainerReports
---@return { port: integer, label: string? }[] in the order of the file
function ports.read(config, reports)
  local found = { list = {}, seen = {} }
  local list = found.list
  read(config, "forwardPorts", of_forward, found, reports)
  read(config, "appPort", of_app, found, reports)
  read_labels(config, list, reports)
  for _, entry in ipairs(list) do entry.width = nil end
  return list
end

return ports
