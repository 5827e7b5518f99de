--- axolua stats: what the sessions use of CPU, memory and processes.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local output = require "axolua.view.output"
local screen = require "axolua.view.screen"
local selection = require "axolua.cli.selection"
local signals = require "axolua.cli.signals"
local style = require "axolua.view.style"
local text = require "axolua.view.text"

local json = axo.json

local ONE_SHOT = 0.25 -- seconds between the two readings that a share of CPU takes
local RELIST = 5 -- readings after which sessions that are new are looked for

local function parser()
  local p = cli.parser("stats", "Shows what running sessions use, read from their cgroups: CPU "
    .. "(100% is one CPU), memory without the file cache, processes and threads. With --watch "
    .. "until interrupted, which is exit status 130, as of `audit -f` and `logs -f`.")
  p:argument("id", "The sessions; all that run by default."):args "*":convert(cli.session_id)
  p:flag("-w --watch", "Go on, and refresh.")
  p:option("--interval", "Seconds between refreshes, 1 by default."):argname "S"
    :default "1":show_default(false):convert(cli.number("--interval", 0.1))
  -- As docker's users say it; without --watch it is so anyway.
  p:flag("--no-stream"):hidden(true)
  p:flag("--json", "As JSON, for scripts; with --watch a line each time.")
  return p
end

-- ---- reading ---------------------------------------------------------------------------

-- Adds a reading to each session; one that has ended meanwhile is left out.
local function read_all(sessions)
  local rows, problem = {}, nil
  for _, reading in ipairs(axo.usage.read(sessions)) do
    if reading.stats then
      rows[#rows + 1] = reading
    elseif reading.err.code ~= "GONE" then
      problem = problem or reading.err
    end
  end
  return rows, problem
end

local function share(used, limit)
  return used and limit and limit > 0 and 100 * used / limit or nil
end

local function describe(row, before)
  local now = row.stats
  local cpus = before and axo.usage.cpus(before, now)
  return {
    id = row.session.id, container = row.session.container,
    cpu_percent = cpus and 100 * cpus, cpu_seconds = now.cpu_seconds, cpus_limit = now.cpus_limit,
    memory = now.memory, memory_total = now.memory_total, memory_limit = now.memory_limit,
    memory_percent = share(now.memory, now.memory_limit), oom_kills = now.oom_kills,
    pids = now.pids, pids_limit = now.pids_limit,
  }
end

-- What changed since the readings before, which are replaced.
local function compare(rows, before)
  local list = json.array {}
  for i, row in ipairs(rows) do
    local id = row.session.container_id
    list[i] = describe(row, before[id])
    before[id] = row.stats
  end
  return list
end

-- ---- showing ---------------------------------------------------------------------------

local HEADER = { "ID", "CPU %", "OF", "MEMORY", "OF", "%", "PIDS", "OF", "KILLED" }
local RIGHT = { [2] = true, [3] = true, [4] = true, [5] = true, [6] = true, [7] = true, [8] = true }

local function shown(format, value)
  return value and format:format(value) or "-"
end

local function cells_of(row)
  return {
    row.id, shown("%.1f", row.cpu_percent), shown("%.0f", row.cpus_limit and 100 * row.cpus_limit),
    row.memory and text.size(row.memory) or "-",
    row.memory_limit and text.size(row.memory_limit) or "-",
    shown("%.1f", row.memory_percent), shown("%d", row.pids), shown("%d", row.pids_limit),
    shown("%d", row.oom_kills),
  }
end

local function pressure(used, limit)
  used, limit = tonumber(used), tonumber(limit)
  if not used or not limit or used < 0.8 * limit then return nil end
  return used >= 0.95 * limit and "red" or "yellow"
end

local PAINT = {
  [2] = function(cell, row) return pressure(cell, row[3]) end,
  [6] = function(cell) return pressure(cell, 100) end,
  [7] = function(cell, row) return pressure(cell, row[8]) end,
  [9] = function(cell) return cell ~= "0" and cell ~= "-" and "red" or nil end,
}

local function table_of(list)
  if #list == 0 then return selection.nothing_runs {} end
  local rows = {}
  for i, row in ipairs(list) do rows[i] = cells_of(row) end
  return text.columns(HEADER, rows, { right = RIGHT, paint = style.table_paint(PAINT, HEADER) })
end

local function render(list, args)
  if args.json then return json.encode(list) .. "\n" end
  return table_of(list)
end

-- ---- the two ways ----------------------------------------------------------------------

local function once(sessions, args, all)
  local before = {}
  compare(read_all(sessions), before)
  if #sessions > 0 then axo.async.sleep(ONE_SHOT) end
  local rows, problem = read_all(sessions)
  local list = compare(rows, before)
  if problem then return cli.fail(problem) end
  if #list == 0 and not args.json then
    cli.print(selection.nothing_runs(all))
  else
    cli.print(render(list, args))
  end
  return 0
end

-- Until the time is over, a signal has come, or nobody reads any more.
local function pause(seconds, guard)
  axo.async.first(function(finish)
    local cancel = axo.async.after(seconds, finish)
    guard:on_signal(function()
      cancel()
      finish()
    end)
    return true
  end)
  guard:on_signal(nil)
end

-- The sessions to look at from now on: asked of podman again when one ended, and now and then.
local function relist(sessions, args, rows, round)
  if #rows == #sessions and round % RELIST ~= 0 then return sessions end
  local all, err = axo.list()
  if not all then return nil, err end
  local wanted, found = selection.set(args.id), {}
  for _, session in ipairs(all) do
    local is_wanted = #args.id == 0 or wanted[session.id]
    if session.running and is_wanted then found[#found + 1] = session end
  end
  return found
end

local function watch(sessions, args, guard)
  local view <close> = screen.open(not args.json)
  local before, round = {}, 0
  compare(read_all(sessions), before)
  pause(ONE_SHOT, guard)
  while not guard.signal and not output.open(1).broken do
    local rows, problem = read_all(sessions)
    if problem then return cli.fail(problem) end
    view:show(render(compare(rows, before), args))
    round = round + 1
    local err
    sessions, err = relist(sessions, args, rows, round)
    if not sessions then return cli.fail(err) end
    if #sessions == 0 and #args.id > 0 then break end
    pause(args.interval, guard)
  end
  return guard:code() or 0
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  console.open {}
  local sessions, err = axo.list()
  if not sessions then return cli.fail(err) end
  local running, code = selection.running(sessions, args.id)
  if code ~= 0 and #running == 0 then
    if args.json then cli.print "[]\n" end
    return code
  end
  if not args.watch then return math.max(code, once(running, args, sessions)) end
  local guard = signals.guard(screen.restore)
  local ended = watch(running, args, guard)
  guard:close()
  return math.max(code, ended)
end

return { summary = "show what sessions use: CPU, memory, processes", parser = parser, main = main }
