--- axolua port: where the ports of sessions are reached, and what listens in them; and ports of this
--- host that lead into one.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local forwarding = require "axolua.port.forwarding"
local selection = require "axolua.cli.selection"
local style = require "axolua.view.style"
local text = require "axolua.view.text"

local json = axo.json

-- A session, or a port to forward.
local function read_word(word)
  if forwarding.read(word) then return word end
  return cli.session_id(word)
end

local function parser()
  local p = cli.parser("port", "Lists the ports of sessions: those that are published or "
    .. "forwarded, where they are reached from this host, and what else listens. With PORTs after "
    .. "one ID it forwards those until ^C, also into a session without a network: PORT, or "
    .. "PORT:HOST_PORT for another number on this host's 127.0.0.1 (0: one that is free).")
  p:argument("id", "The sessions, all that run by default; or one and its ports.")
    :args "*":convert(read_word)
  p:flag("--json", "As JSON, for scripts.")
  return p
end

-- What a program in the session must do so that its port can be reached.
local STATES = {
  any = "open", loopback = "listens on 127.0.0.1 only, inside; let it listen on 0.0.0.0",
  none = "nothing listens yet", unknown = "-", unpublished = "not published",
  inside = "listens; axolua port ID PORT forwards it",
}

local HEADER = { "ID", "PORT", "REACHED AT", "STATE" }
local PAINT = {
  [4] = function(cell)
    if cell == STATES.any then return "green" end
    return cell ~= STATES.unknown and "yellow" or nil
  end,
}

local function state_of(reach, port)
  if not reach then return "unknown" end
  return reach[port] or "none"
end

local function published_rows(session, reach)
  local rows, is_there = {}, {}
  for _, entry in ipairs(session.published) do
    is_there[entry.container_port] = true
    rows[#rows + 1] = {
      id = session.id, container_port = entry.container_port, address = entry.address,
      port = entry.port, protocol = entry.protocol, published = true,
      state = state_of(reach, entry.container_port),
    }
  end
  return rows, is_there
end

local function forwarded_rows(session, reach, rows, is_there)
  for _, it in ipairs(axo.usage.forwards(session)) do
    is_there[it.port] = true
    local state = state_of(reach, it.port)
    rows[#rows + 1] = {
      id = session.id, container_port = it.port, address = it.address, port = it.host_port,
      protocol = "tcp", published = false, forwarded = true,
      state = state == "loopback" and "any" or state,
    }
  end
end

local function unreached(session, port, state)
  return { id = session.id, container_port = port, protocol = "tcp", published = false,
    state = state }
end

-- Those that the session asked for and did not get are told of as well, and what listens besides.
local function rows_of(session)
  local reach = axo.usage.listeners(session.pid)
  local rows, is_there = published_rows(session, reach)
  forwarded_rows(session, reach, rows, is_there)
  for _, port in ipairs(session.ports) do
    if not is_there[port] then rows[#rows + 1] = unreached(session, port, "unpublished") end
    is_there[port] = true
  end
  for port in pairs(reach or {}) do
    if not is_there[port] then rows[#rows + 1] = unreached(session, port, "inside") end
  end
  table.sort(rows, function(a, b)
    if a.container_port ~= b.container_port then return a.container_port < b.container_port end
    return (a.port or 0) < (b.port or 0)
  end)
  return rows
end

-- A wildcard is no address that one can go to.
local function where(row)
  if not row.published and not row.forwarded then return "-" end
  local address = row.address
  if address == "0.0.0.0" or address == "::" then return "every address, port " .. row.port end
  return axo.text.with_port(address, row.port)
end

local function show(rows)
  if #rows == 0 then
    return "no port is published, and nothing listens; `axolua run --port N` publishes one, "
      .. "`axolua port ID N` forwards one\n"
  end
  local cells = {}
  for i, row in ipairs(rows) do
    cells[i] = { row.id, ("%d/%s"):format(row.container_port, text.visible(row.protocol)),
      text.visible(where(row)), STATES[row.state] }
  end
  return text.columns(HEADER, cells, { paint = style.table_paint(PAINT, HEADER) })
end

-- The ports after the first word; nil when it is a list that is asked for.
local function wanted_of(words)
  local wanted = {}
  for i = 2, #words do
    wanted[#wanted + 1] = forwarding.read(words[i])
    if not wanted[i - 1] then return nil end
  end
  return wanted[1] and wanted
end

local function list(args)
  local sessions, err = console.during({}, "asking podman for the sessions", axo.list)
  if not sessions then return cli.fail(err) end
  local running, code = selection.running(sessions, args.id)
  local rows = json.array {}
  for _, session in ipairs(running) do
    for _, row in ipairs(rows_of(session)) do rows[#rows + 1] = row end
  end
  if args.json then
    cli.print_json(rows)
  elseif #running == 0 and code == 0 then
    cli.print(selection.nothing_runs(sessions))
  elseif #running > 0 then
    cli.print(show(rows))
  end
  return code
end

local function main(arguments)
  local p = parser()
  local args = cli.parse(p, arguments)
  local wanted = wanted_of(args.id)
  if wanted then return forwarding.run(args.id[1], wanted, args.json) end
  for _, word in ipairs(args.id) do
    if word:find(":", 1, true) then
      cli.usage(p, ("%s: a port follows the one session that it is of: axolua port ID %s")
        :format(word, word))
    end
  end
  return list(args)
end

return {
  summary = "list ports and where they are, or forward some", parser = parser, main = main,
}
