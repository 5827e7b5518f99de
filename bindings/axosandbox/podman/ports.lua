--- Published ports: which are taken before a start, and which are really there after it.
--- podman's word is not enough: some of its helpers take a busy port and say nothing.
local uv = require "luv"
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"

local ports = {}

local LISTEN = "0A"

local function is_busy(address, port)
  local server = uv.new_tcp()
  -- luv raises on an address that is none: podman will say so better.
  local called, ok, _, code = pcall(server.bind, server, address, port)
  if called and ok then ok, _, code = server:listen(1, function() end) end
  server:close()
  return called and not ok and code == "EADDRINUSE"
end

--- The ports of a list that another program on this host holds.
---@param address string IPv4 or IPv6 literal
---@param list integer[]
---@return table<integer, true>
function ports.busy(address, list)
  local busy = {}
  for _, port in ipairs(list) do
    if is_busy(address, port) then busy[port] = true end
  end
  return busy
end

--- The TCP ports with a listener in the text of /proc/net/tcp or tcp6.
---@param text string
---@param into table<integer, true>
function ports.parse_listeners(text, into)
  -- linear: these are the kernel's own words, whose runs are short.
  for port, state in text:gmatch "%d+: %x+:(%x%x%x%x) %x+:%x%x%x%x (%x%x)" do
    if state == LISTEN then into[tonumber(port, 16)] = true end
  end
end

local function listeners()
  local found, text = {}, host.read_file "/proc/net/tcp"
  if not text then return nil end
  ports.parse_listeners(text, found)
  ports.parse_listeners(host.read_file "/proc/net/tcp6" or "", found)
  return found
end

-- Loopback in the kernel's notation, of IPv4 and of both forms of IPv6.
local function is_loopback(address)
  return address:find "^%x%x%x%x%x%x7F$" ~= nil or address == ("0"):rep(24) .. "01000000"
    or address:find "^0000000000000000FFFF0000%x%x%x%x%x%x7F$" ~= nil
end

local function note_reach(text, into)
  -- linear: these are the kernel's own words, whose runs are short.
  for address, port, state in text:gmatch "%d+: (%x+):(%x%x%x%x) %x+:%x%x%x%x (%x%x)" do
    if state == LISTEN then
      port = tonumber(port, 16)
      into[port] = (into[port] == "any" or not is_loopback(address)) and "any" or "loopback"
    end
  end
end

--- Where the programs in a container listen: "any" is reached by a published port, "loopback"
--- only from inside.
---
---     for _, it in ipairs(assert(axo.list())) do
---       for port, reach in pairs(axo.usage.listeners(it.pid) or {}) do print(it.id, port, reach) end
---     end
---@param pid integer? a process of the container on this machine
---@return table<integer, "any"|"loopback">? reach by port; nil: it cannot be told
function ports.reach(pid)
  local text = pid and host.read_file(("/proc/%d/net/tcp"):format(pid))
  if not text then return nil end
  local found = {}
  note_reach(text, found)
  note_reach(host.read_file(("/proc/%d/net/tcp6"):format(pid)) or "", found)
  return found
end

local function split(list, is_published)
  local published, missing = {}, {}
  for _, port in ipairs(list) do
    local into = is_published(port) and published or missing
    into[#into + 1] = port
  end
  return published, missing
end

--- Divides the ports that podman was told to publish: those that are, and those that are not.
--- In a coroutine; asks podman only where this host's own sockets do not tell.
---@param client axo.Client
---@param container string
---@param list integer[]
---@param taken table<integer, true> held by others before the start
---@return integer[] published, integer[] missing
function ports.verify(client, container, list, taken)
  if #list == 0 then return list, {} end
  local open = not client:is_remote() and listeners()
  if open then
    return split(list, function(port) return open[port] and not taken[port] end)
  end
  local answer = client:inspect(container, "ports")
  local bindings = answer and answer.NetworkSettings and answer.NetworkSettings.Ports or {}
  return split(list, function(port)
    local binding = bindings[port .. "/tcp"]
    return type(binding) == "table" and #binding > 0
  end)
end

--- Sets `start.ports` to what is really published; in a coroutine. Raises where one that may not be missing is.
---@param start axo.Start
function ports.settle(start)
  local missing
  start.ports, missing =
    ports.verify(start.client, start.plan.name, start.plan.ports, start.taken or {})
  if #missing == 0 then return end
  local message = "not published, though podman did not complain: " .. table.concat(missing, ", ")
  for _, port in ipairs(missing) do
    if start.asked.required_ports[port] then
      errors.raise {
        code = "PODMAN", op = "start", class = "PORT_CONFLICT", port = port, message = message,
        hint = "another program holds it: choose another port, or make it optional",
      }
    end
  end
  start:warn(message, true)
end

return ports
