--- axolua port: what the sessions publish, and where.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local selection = require "axolua.cli.selection"
local style = require "axolua.view.style"
local text = require "axolua.view.text"

local json = axo.json

local function parser()
  local p = cli.parser("port", "Lists the ports that sessions publish, where they are reached "
    .. "from this host, and whether anything in the session listens on them.")
  p:argument("id", "The sessions; all that run by default."):args "*":convert(cli.session_id)
  p:flag("--json", "As JSON, for scripts.")
  return p
end

-- What a program in the session must do so that its port can be reached.
local STATES = {
  any = "open", loopback = "listens on 127.0.0.1 only, inside; let it listen on 0.0.0.0",
  none = "nothing listens yet", unknown = "-", unpublished = "not published",
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

-- Those that the session asked for and did not get are told of as well.
local function rows_of(session)
  local rows, is_there = published_rows(session, axo.usage.listeners(session.pid))
  for _, port in ipairs(session.ports) do
    if not is_there[port] then
      rows[#rows + 1] = { id = session.id, container_port = port, protocol = "tcp",
        published = false, state = "unpublished" }
    end
  end
  table.sort(rows, function(a, b) return a.container_port < b.container_port end)
  return rows
end

-- A wildcard is no address that one can go to.
local function where(row)
  if not row.published then return "-" end
  local address = row.address
  if address == "0.0.0.0" or address == "::" then return "every address, port " .. row.port end
  if address:find(":", 1, true) then address = "[" .. address .. "]" end
  return ("%s:%d"):format(address, row.port)
end

local function show(rows)
  if #rows == 0 then
    return "no port is published; `axolua run --port N` publishes one\n"
  end
  local cells = {}
  for i, row in ipairs(rows) do
    cells[i] = { row.id, ("%d/%s"):format(row.container_port, text.visible(row.protocol)),
      text.visible(where(row)), STATES[row.state] }
  end
  return text.columns(HEADER, cells, { paint = style.table_paint(PAINT, HEADER) })
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
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

return { summary = "list the published ports, and where they are", parser = parser, main = main }
