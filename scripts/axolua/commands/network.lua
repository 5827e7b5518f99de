--- axolua network: what a session reached for, as the audit log has it.
local uv = require "luv"
local async = require("axosandbox").async
local audit_log = require "axolua.audit.log"
local audit_reader = require "axolua.audit.reader"
local cli = require "axolua.cli"
local json = require("axosandbox").json
local output = require "axolua.view.output"
local signals = require "axolua.cli.signals"
local style = require "axolua.view.style"
local text = require "axolua.view.text"

-- Rows that are kept: a name and a port each.
local MOST = 4096

local function parser()
  local p = cli.parser("network", "Shows what a session with a network by names reached for, "
    .. "refused connections first, out of the audit log. Earlier sessions of that name are told "
    .. "of, too.")
  p:argument("id", "The session."):convert(cli.session_id)
  p:flag("-f --follow", "A line for each as it comes, until interrupted.")
  p:flag("--json", "As JSON, for scripts; with -f a line each.")
  return p
end

local VERDICTS = { refused = 1, failed = 2, allowed = 3 }

-- The log may hold anything.
local function word(value) return type(value) == "string" and value or "-" end
local function number(value) return type(value) == "number" and math.tointeger(value) or nil end

local function is_connection(event, id)
  return event.event == "network" and event.session == id and VERDICTS[event.verdict] ~= nil
end

local function add(table_of, event)
  local port = number(event.port)
  local key = table.concat({ event.verdict, word(event.name), port or "", word(event.by) }, "\0")
  local row = table_of.rows[key]
  if not row then
    if table_of.count >= MOST then return end
    row = { verdict = event.verdict, name = word(event.name), port = port, by = word(event.by),
      count = 0, sent = 0, received = 0 }
    table_of.rows[key], table_of.count = row, table_of.count + 1
  end
  row.count = row.count + 1
  row.last = word(event.time)
  row.reason = type(event.reason) == "string" and event.reason
    or type(event.problem) == "string" and event.problem or nil
  row.sent, row.received = row.sent + (number(event.sent) or 0),
    row.received + (number(event.received) or 0)
end

local function sorted(rows)
  local list = json.array {}
  for _, row in pairs(rows) do list[#list + 1] = row end
  table.sort(list, function(a, b)
    if a.verdict ~= b.verdict then return VERDICTS[a.verdict] < VERDICTS[b.verdict] end
    if a.name ~= b.name then return a.name < b.name end
    if a.port ~= b.port then return (a.port or 0) < (b.port or 0) end
    return a.by < b.by
  end)
  return list
end

local HEADER = { "VERDICT", "NAME", "PORT", "TIMES", "SENT", "RECEIVED", "WHY" }
local PAINT = {
  [1] = function(cell)
    return cell == "refused" and "red" or cell == "failed" and "yellow" or "green"
  end,
}

local function why(row)
  if row.reason then return ("%s (%s)"):format(row.reason, row.by) end
  return row.by
end

local function show(id, list)
  if not list[1] then
    return ("the audit log has no connection of %s; only a session with a network by names "
      .. "(--allow) has them\n"):format(id)
  end
  local cells = {}
  for i, row in ipairs(list) do
    cells[i] = { row.verdict, text.visible(row.name), row.port and tostring(row.port) or "-",
      tostring(row.count), text.size(row.sent), text.size(row.received), text.visible(why(row)) }
  end
  return text.columns(HEADER, cells, { paint = style.table_paint(PAINT, HEADER) })
end

local function line_of(event)
  local port = number(event.port)
  local row = { reason = event.reason or event.problem, by = word(event.by) }
  if type(row.reason) ~= "string" then row.reason = nil end
  return text.visible(("%s  %-8s %s%s  %s"):format(word(event.time), event.verdict,
    word(event.name), port and ":" .. port or "", why(row)))
end

-- Until we are told to stop, or our reader has had enough.
local function follow(reader, writer, guard)
  local stop, err = async.first(function(finish)
    local stop, problem = reader:watch(function() reader:read() end)
    if not stop then return nil, { op = "network", message = problem } end
    writer.on_broken = function() finish(nil, stop) end
    guard:on_signal(function() finish(nil, stop) end)
    reader:read() -- what came between the first look and the watch
    return stop
  end)
  guard:on_signal(nil)
  if not stop then return cli.fail(err) end
  stop()
  return guard:code() or 0
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  local path, problem = audit_log.path(not args.follow)
  if not path then cli.abort(problem or "the audit log is off", "unset AXOSANDBOX_AUDIT") end
  if not args.follow and not uv.fs_stat(path) then
    cli.abort("there is no audit log yet", "a session with --allow writes one")
  end
  local writer, guard, found = output.open(1), signals.guard(), { rows = {}, count = 0 }
  local is_live = false
  local reader = audit_reader.new(path, function(event, line)
    if not is_connection(event, args.id) then return end
    if not is_live then return add(found, event) end
    writer:write((args.json and line or line_of(event)) .. "\n")
  end)
  local ok
  ok, problem = reader:read()
  local code = ok and 0 or cli.fail { op = "network", message = tostring(problem) }
  if ok and args.follow then
    is_live = true
    code = follow(reader, writer, guard)
  elseif ok then
    local list = sorted(found.rows)
    if args.json then cli.print_json(list) else writer:write(show(args.id, list)) end
  end
  writer:flush(guard.signal and 1 or nil)
  guard:close()
  return code
end

return { summary = "show what a session reached for", parser = parser, main = main }
