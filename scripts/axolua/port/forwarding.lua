--- What `axolua port ID PORT...` does: ports of this host that lead into a session, until ^C.
local audit_log = require "axolua.audit.log"
local axo = require "axosandbox"
local cli = require "axolua.cli"
local signals = require "axolua.cli.signals"

local forwarding = {}

local function port_of(text, least)
  local port = text:find "^%d+$" and #text <= 5 and math.tointeger(tonumber(text))
  return port and port >= least and port <= 65535 and port or nil
end

--- A word of the command line as a forward: N, N:HOST, and N:0 for one that is free.
---@param word string
---@return { port: integer, host_port: integer }?
function forwarding.read(word)
  local inside, outside = word:match "^(%d+):?(%d*)$"
  local port = inside and port_of(inside, 1)
  local host_port = port and (outside == "" and word == inside and port or port_of(outside, 0))
  return host_port and { port = port, host_port = host_port } or nil
end

local function open(sb, wanted)
  local list = {}
  for i, it in ipairs(wanted) do
    local forward, err = sb:forward(it)
    if not forward then return nil, err end
    list[i] = forward
  end
  return list
end

local function listens(sb)
  local ports = {}
  for _, it in ipairs(sb:listening() or {}) do ports[it.port] = true end
  return ports
end

local function tell(sb, list, as_json)
  local open_now = listens(sb)
  for _, it in ipairs(list) do
    if as_json then
      cli.print_json { id = sb:id(), port = it.port, host_port = it.host_port,
        address = it.address, listens = open_now[it.port] or false }
    else
      cli.print(("%s:%d -> port %d of %s%s\n"):format(it.address, it.host_port, it.port, sb:id(),
        open_now[it.port] and "" or ", where nothing listens yet"))
    end
  end
  if not as_json then cli.say "^C ends it" end
end

local function wait(list, guard)
  axo.async.first(function(done)
    guard:on_signal(function() done(nil, true) end)
    list[1]:wait(function() done(nil, true) end)
    return true
  end)
end

--- Opens them, says where they are, and waits for a signal or the session's end; in a coroutine.
---@param id string
---@param wanted { port: integer, host_port: integer }[]
---@param as_json boolean?
---@return integer code
function forwarding.run(id, wanted, as_json)
  audit_log.begin "port forward"
  local guard = signals.guard()
  local sb <close>, err = axo.open(id)
  if not sb then
    guard:close()
    return cli.fail(err)
  end
  local list
  list, err = open(sb, wanted)
  local code
  if list then
    tell(sb, list, as_json)
    wait(list, guard)
    code = guard:code()
    if not code then cli.say(("the session %s has ended"):format(id)) end
  else
    code = cli.fail(err)
  end
  guard:close()
  return code or 0
end

return forwarding
