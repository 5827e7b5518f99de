--- Tools: waiting until something listens on a port, and having the user reach it.
local axo = require "axosandbox"
local hints = require "axolua.mcp.tools.hints"
local reply = require "axolua.mcp.reply"
local text = require "axolua.mcp.text"
local work = require "axolua.mcp.tools.work"

local MAX_TIMEOUT = 600
local LAST_OUTPUT = 4096

-- The kernel's own tables, so that nothing needs to be installed and nobody is connected to.
-- $1: the port as four hexadecimal digits; $2: "once" or "until".
local SCRIPT = [[
listening() {
  found=1
  for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$table" ] || continue
    while read -r slot address peer state rest; do
      case $state:$address in 0A:*:"$1") echo "$address"; found=0 ;; esac
    done <"$table"
  done
  return $found
}
if [ "$2" = once ]; then listening "$1"; exit; fi
until listening "$1"; do sleep 0.1 2>/dev/null || sleep 1; done
]]

local function look(call, port, how, timeout, on_started)
  return call:await(function(done)
    local handle, err = call.sandbox:exec({ "sh", "-c", SCRIPT, "sh", ("%04X"):format(port), how },
      { timeout = timeout }, done)
    if handle and on_started then on_started(handle) end
    return handle, err
  end)
end

-- Bytes: the container says them, and some kilobytes are many addresses.
local MAX_LISTED = 4096

local LOOPBACK = { ["0100007F"] = true, ["00000000000000000000000001000000"] = true,
  ["0000000000000000FFFF00000100007F"] = true }

local function reachable_note(call, port, addresses)
  for address in addresses:sub(1, MAX_LISTED):gmatch "%f[%x](%x+):" do
    if not LOOPBACK[address] then return nil end
  end
  for _, published in ipairs(call.sandbox:ports()) do
    if published == port then
      return "it listens on the loopback address only, so the published port does not reach it: "
        .. "have it listen on 0.0.0.0"
    end
  end
end

local function found(call, port, addresses)
  return reply.text(("Something listens on port %d."):format(port),
    reachable_note(call, port, addresses))
end

local function task_over(call, task, port)
  local result, err = look(call, port, "once", 10)
  if not result then return nil, err end
  if result.code == 0 then return found(call, port, result.stdout) end
  local output = text.plain(text.tail(task:log(), LAST_OUTPUT))
  return reply.failure(output, ("the task %s has ended (%s) and nothing listens on port %d; %s: "
    .. "mend that and start it again"):format(task.id, task:status(), port,
    output == "" and "it printed nothing" or "its last output is above"))
end

local function too_late(port, timeout)
  return reply.refusal(("nothing listens on port %d after %g s"):format(port, timeout),
    "read_background shows what the server says; check its port, or wait longer by timeout")
end

local function wait_for_port(arguments, call)
  local port, task = arguments.port, nil
  if arguments.task then
    local problem
    task, problem = call.sandbox:get_task(arguments.task)
    if not task then return nil, problem end
    if not task:is_running() then return task_over(call, task, port) end
  end
  function call.activity() return ("waiting for port %d"):format(port) end
  local has_ended, forget = false, nil
  local result, err = look(call, port, "until", arguments.timeout, function(handle)
    forget = task and work.on_end(task, function()
      has_ended = true
      handle:cancel()
    end)
  end)
  if forget then forget() end
  if not result then return nil, err end
  if result.code == 0 and not result.cancelled then return found(call, port, result.stdout) end
  if has_ended then return task_over(call, task, port) end
  if result.timed_out then return too_late(port, arguments.timeout) end
  return reply.refusal("the sandbox cannot tell who listens: "
    .. (axo.text.last_line(result.stderr) or "exit code " .. tostring(result.code)),
    "Try to connect to the port by bash.")
end

-- One that there is already serves, unless another number was asked for.
local function opened(sb, port, host_port)
  for _, it in ipairs(sb:forwards()) do
    if it.port == port and (not host_port or it.host_port == host_port) then return it end
  end
end

local function is_privileged(port) return port > 0 and port < 1024 end

-- The same number if that is free.
local function open(sb, port, host_port)
  local before = opened(sb, port, host_port)
  if before then return before end
  if not host_port and is_privileged(port) then host_port = 0 end
  local forward, err = sb:forward { port = port, host_port = host_port }
  if forward or host_port or (err.code ~= "EADDRINUSE" and err.code ~= "EACCES") then
    return forward, err
  end
  return sb:forward { port = port, host_port = 0 }
end

local function listens_note(call, port)
  local list = call:await(function(done) return call.sandbox:listening(done) end)
  for _, it in ipairs(list or {}) do
    if it.port == port then return nil end
  end
  return list and "nothing listens on it yet: wait_for_port tells when something does"
end

-- Where this runs as root it could have them, and an agent is not to stand in for a service.
local function privileged(host_port)
  return reply.refusal(("the port %d of the user's machine is not given to an agent"):format(
    host_port), "Take one from 1024 on, or leave host_port out.")
end

local function expose_port(arguments, call)
  if is_privileged(arguments.host_port or 0) then return privileged(arguments.host_port) end
  local forward, err = open(call.sandbox, arguments.port, arguments.host_port)
  if not forward then return nil, err end
  return reply.text(
    ("Port %d of the sandbox is reached on the user's machine at 127.0.0.1:%d, until the sandbox "
      .. "ends: http://127.0.0.1:%d for a web server."):format(
      forward.port, forward.host_port, forward.host_port),
    listens_note(call, arguments.port))
end

local EXPOSE = {
  name = "expose_port", title = "Let the user reach a port", call = expose_port,
  description = "Makes a TCP port of the sandbox reachable on the user's machine, at 127.0.0.1, "
    .. "also where the sandbox has no network and where the server listens on its loopback only.",
  input = {
    required = { "port" },
    properties = {
      port = { type = "integer", minimum = 1, maximum = 65535, description = "In the sandbox." },
      host_port = {
        type = "integer", minimum = 0, maximum = 65535, description = "On the user's machine; "
          .. "the same by default, or one that is free where that is taken.",
      },
    },
  },
  hints = hints.SETTLES,
}

return function()
  return { {
    name = "wait_for_port", title = "Wait for a port", call = wait_for_port,
    description = "Waits until something in the sandbox listens on a TCP port. With the id of the "
      .. "task that shall do so it fails as soon as that task has ended, and shows its last "
      .. "output.",
    input = {
      required = { "port" },
      properties = {
        port = { type = "integer", minimum = 1, maximum = 65535, description = "The port." },
        task = {
          type = "string", minLength = 1, description = "The background task that opens it.",
        },
        timeout = {
          type = "number", exclusiveMinimum = 0, maximum = MAX_TIMEOUT, default = 30,
          description = "Seconds.",
        },
      },
    },
    hints = hints.READS,
  }, EXPOSE }
end
