--- The ports of a start whose container has no network: forwards of the process that starts it, or an
--- error.
local errors = require "axosandbox.base.errors"
local forward = require "axosandbox.network.forward"
local hints = require "axosandbox.base.hints"
local ports = require "axosandbox.podman.ports"

local forwards = {}

local function required_of(asked, list)
  local required = {}
  for _, port in ipairs(list) do
    if asked.required_ports[port] then required[#required + 1] = tostring(port) end
  end
  return required[1] and required
end

-- Without a network podman publishes no port: who asked for one gets it, or an error.
local function tell_of_missing(start)
  local asked, is_own = start.asked, start.set:fields().network == "none"
  local is_narrow = asked.narrow ~= nil and asked.narrow.network == "none"
  local why = is_own and "no network was asked for"
    or is_narrow and "the project's defaults give its sessions no network"
    or "the sandbox policy gives this session no network"
  local required = required_of(asked, asked.ports)
  if not required then return start:warn("no port is published: " .. why, true) end
  errors.raise {
    code = (is_own or is_narrow) and "INVALID" or "POLICY", op = "start",
    port = tonumber(required[1]),
    message = ("the port %s was asked for and cannot be published: %s"):format(
      table.concat(required, ", "), why),
    hint = hints.TABLE[is_own and "port_and_no_network" or is_narrow and "port_and_narrow"
      or "port_without_network"].lua,
  }
end

local function cannot_forward()
  errors.raise {
    code = "UNSUPPORTED", op = "start",
    message = "a forward needs the native path, and this session would have the portable one",
    hint = hints.TABLE.forward_path.lua,
  }
end

--- What becomes of the ports that were asked for, now that there is a plan. Raises.
---@param start axo.Start
function forwards.check(start)
  local p, asked = start.plan, start.asked
  if #p.ports + #p.forwards == #asked.ports then return end
  if asked.publish == "forward" and p.network ~= "none" then return cannot_forward() end
  tell_of_missing(start)
end

local function held(start, port, address, why)
  local is_asked_for = start.asked.required_ports[port]
  local message = why or ("the port %d is in use on %s"):format(port, address)
  if not is_asked_for then return start:warn("not published: " .. message, true) end
  errors.raise {
    code = "PORT", op = "start", class = "PORT_CONFLICT", port = port, message = message,
    hint = hints.TABLE.port_taken.lua,
  }
end

--- Refuses ports that another program holds, before anything runs. Raises.
---@param start axo.Start
function forwards.refuse_taken(start)
  local p = start.plan
  local busy = ports.busy(p.publish_address, p.forwards)
  for _, port in ipairs(p.forwards) do
    if busy[port] and start.asked.required_ports[port] then
      held(start, port, p.publish_address)
    end
  end
end

-- One that could not be had; a session that ran before this start is not lost for it.
local function missing(start, record, port, err)
  if record.kind == "started" then return held(start, port, nil, err.message) end
  local message = "not published: " .. err.message
  record.warnings[#record.warnings + 1] = message
  start:warn(message, true)
end

-- Raises for one that was asked for and cannot be had.
local function open(start, sb, record)
  local list, is_there = {}, {}
  for i, port in ipairs(record.ports) do list[i], is_there[port] = port, true end
  record.ports = list
  for _, port in ipairs(start.plan.forwards) do
    local opened, err
    if not is_there[port] then
      opened, err = forward.open(sb.way,
        { port = port, host_port = port, address = start.plan.publish_address })
    end
    if opened then
      list[#list + 1] = port
    elseif err then
      missing(start, record, port, err)
    end
  end
end

--- Opens them, in a coroutine, and adds them to the session's ports. A session without a port that
--- was asked for is none: it is ended.
---@param start axo.Start
---@param sb axo.Session
---@param record axo.Record
---@return axo.Session? sb, axo.Error? code "PORT"
function forwards.open(start, sb, record)
  local ok, err = pcall(open, start, sb, record)
  if ok then return sb end
  sb:stop()
  return nil, errors.wrap(err, "start")
end

return forwards
