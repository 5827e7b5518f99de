--- An event of the audit log as a line for people.
local text = require "axolua.view.text"

local audit_text = {}

-- Who came before "axolua audit" may have been anybody: nothing is taken for granted.
local function word(value)
  if value == nil then return nil end
  return type(value) == "table" and "..." or tostring(value)
end

-- Of a command that is a whole program, such as those of the MCP tools; --json has it all.
local COMMAND_MAX = 160

local function cut(line)
  local length = utf8.len(line)
  if (length or #line) <= COMMAND_MAX then return line end
  local stop = length and utf8.offset(line, COMMAND_MAX + 1) or COMMAND_MAX + 1
  return line:sub(1, stop - 1) .. " ..."
end

local function argv_of(event)
  if type(event.argv) ~= "table" then return "" end
  local words = {}
  for i, item in ipairs(event.argv) do words[i] = word(item) end
  return cut(text.command(words))
end

local function failure_of(event)
  if type(event.error) ~= "table" then return nil end
  return ("failed: %s"):format(word(event.error.message))
end

local function outcome(event)
  local parts = { failure_of(event) }
  local function add(value) parts[#parts + 1] = value end
  if event.signal then
    add("killed (" .. word(event.signal) .. ")")
  elseif event.code then
    add("exited (" .. word(event.code):gsub("%.0$", "") .. ")")
  end
  if event.oom_killed then add "memory ran out" end
  if event.timed_out then add "timed out" end
  if event.cancelled then add "cancelled" end
  if type(event.duration) == "number" then add(("%.3g s"):format(event.duration)) end
  if event.stdout_truncated or event.stderr_truncated then add "output cut" end
  return table.concat(parts, ", ")
end

local function with_outcome(event)
  return ("%s: %s"):format(argv_of(event), outcome(event))
end

local function session(event)
  local problem = failure_of(event)
  if problem then return problem end
  local words = {}
  words[1] = word(event.image)
  words[#words + 1] = word(event.dir) or word(event.container)
  words[#words + 1] = word(event.path)
  return table.concat(words, " ")
end

local function image(event)
  local packages = type(event.packages) == "table" and "of " .. argv_of { argv = event.packages }
  return table.concat({ word(event.image) or "", word(event.digest) or "", packages
    or word(event.dir) }, " ")
end

local function target(event)
  local port = event.port and word(event.port):gsub("%.0$", "")
  return (word(event.name) or "") .. (port and ":" .. port or "")
end

local function network(event)
  local names = type(event.names) == "table" and argv_of { argv = event.names }
  return table.concat({ word(event.verdict) or "", names or target(event),
    word(event.reason) or word(event.problem) or word(event.how) }, " ")
end

local function forward(event)
  local count = event.connections and word(event.connections):gsub("%.0$", "")
  return ("%s:%s to port %s%s"):format(word(event.address), word(event.host_port):gsub("%.0$", ""),
    word(event.port):gsub("%.0$", ""), count and (", %s connections"):format(count) or "")
end

local SAYS = {
  exec = with_outcome,
  task_start = function(event)
    return ("%s %s%s"):format(word(event.id) or "", argv_of(event),
      failure_of(event) and ": " .. failure_of(event) or "")
  end,
  task_end = function(event) return ("%s: %s"):format(word(event.id), outcome(event)) end,
  file = function(event)
    return ("%s %s%s"):format(word(event.op), word(event.path),
      failure_of(event) and ": " .. failure_of(event) or "")
  end,
  denied = function(event) return ("%s: %s"):format(argv_of(event), word(event.reason)) end,
  policy = function(event)
    return ("%s by %s%s"):format(word(event.decision), word(event.by),
      failure_of(event) and ": " .. failure_of(event) or "")
  end,
  fallback = function(event) return word(event.message) or "" end,
  kill = function(event)
    return ("%s %s %s"):format(word(event.signal), word(event.target), word(event.id) or "")
  end,
  lost = function(event)
    return ("%s events were lost since %s"):format(
      word(event.count):gsub("%.0$", ""), word(event.since))
  end,
  network = network, forward_start = forward, forward_end = forward,
  image_use = image, image_forget = image, image_make = image, image_rm = image,
  session_start = session, session_open = session, session_attach = session,
  session_failed = session, session_stop = session, session_close = session,
}
SAYS.terminal_start, SAYS.terminal_end = SAYS.task_start, SAYS.task_end

-- string.format takes no zero byte where it pads.
local function visible(value) return text.visible(word(value) or "-") end

--- One line, without its end.
---@param event table as it was read
---@return string
function audit_text.line(event)
  local says = SAYS[event.event]
  local line = text.visible(("%s  %-16s %-14s %s"):format(visible(event.time),
    visible(event.session), visible(event.event), says and says(event) or ""))
  return line:match "^.*[^ ]" or ""
end

return audit_text
