--- Tool: what this session is.
local axo = require "axosandbox"
local devcontainer = require "axolua.sandbox.devcontainer"
local hints = require "axolua.mcp.tools.hints"
local reply = require "axolua.mcp.reply"
local text = require "axolua.view.text"
local work = require "axolua.mcp.tools.work"

local FORM = {
  memory = text.size,
  cpus = function(count) return ("%g"):format(count) end,
  pids = function(count) return ("%d"):format(count) end,
}

local function limit_of(limit, form)
  if limit.applied then return form(limit.applied) end
  if limit.asked then return form(limit.asked) .. " (asked for, and not in force)" end
  return "none"
end

local function limits_of(sb)
  local limits, parts = sb:limits(), {}
  for i, name in ipairs { "memory", "cpus", "pids" } do
    parts[i] = ("%s %s"):format(name, limit_of(limits[name] or {}, FORM[name]))
  end
  return table.concat(parts, ", ")
end

local function running(list)
  local count = 0
  for _, one in ipairs(list) do
    if work.is_running(one) then count = count + 1 end
  end
  return ("%d running, %d ended"):format(count, #list - count)
end

local function ports_of(sb)
  local ports, labels, address = {}, sb:port_labels(), sb:publish_address() or "127.0.0.1"
  for i, port in ipairs(sb:ports()) do
    local label = labels[port] and text.visible(labels[port])
    ports[i] = axo.text.with_port(address, port) .. (label and (" (%s)"):format(label) or "")
  end
  return #ports > 0 and table.concat(ports, ", ") or "none"
end

local function mounts_of(sb)
  local list = sb:mounts()
  for i, it in ipairs(list) do
    list[i] = ("%s (%s)"):format(it.target, it.writable and "read-write" or "read-only")
  end
  return #list > 0 and table.concat(list, ", ") .. "; reached by bash, not by the file tools"
    or "none"
end

local function info(_, call)
  local sb = call.sandbox
  local lines = {
    "directory: " .. sb:root(),
    "session: " .. tostring(sb:id()),
    "container: " .. sb:container(),
    "image: " .. sb:image(),
    "network: " .. (sb:network() or "unknown"),
    "published ports: " .. ports_of(sb),
    "other directories: " .. mounts_of(sb),
    "limits: " .. limits_of(sb),
    "path into the container: " .. sb:path(),
    "background tasks: " .. running(sb:list_tasks()),
    "terminals: " .. running(sb:list_terminals()),
  }
  local unmet = devcontainer.lines("devcontainer.json", sb:unmet_properties())
  table.move(unmet, 1, #unmet, #lines + 1, lines)
  for _, warning in ipairs(sb:warnings()) do lines[#lines + 1] = "warning: " .. warning end
  for i, line in ipairs(lines) do lines[i] = text.visible(line) end
  return reply.text(table.concat(lines, "\n") .. "\n")
end

return function()
  return { {
    name = "session_info", title = "What this sandbox is", call = info,
    description = "Tells the session's directory, container, image, network, published ports, "
      .. "other directories, limits, warnings, what of a devcontainer.json is not so here, and how "
      .. "many tasks and terminals there are.",
    input = {},
    hints = hints.READS,
  } }
end
