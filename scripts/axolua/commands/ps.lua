--- axolua ps: this user's sessions.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local style = require "axolua.view.style"
local text = require "axolua.view.text"

local json = axo.json

local function parser()
  local p = cli.parser("ps", "Lists this user's sessions: what state they are in, and whether "
    .. "the process that started them is alive, gone, or has left them on purpose (kept).")
  p:flag("--tasks", "Their background tasks and terminals too.")
  p:mutex(p:flag("--json", "As JSON, for scripts."),
    p:flag("-q --quiet", "Only their ids, a line each."))
  p:flag("-a --all", "Always so: those that do not run are listed too.")
  return p
end

local function describe_work(work, kind)
  return json.object({
    id = work.id, kind = kind, status = work:status(), started = work.started,
    command = work.argv and json.array(work.argv) or nil,
  }, "command")
end

local AT_ONCE = 16 -- sessions that are entered side by side

-- A session that ends while it is being looked at has no work any more.
local function work_of(session)
  local list = json.array {}
  if not session.running then return list end
  local sb <close>, err = axo.open(session)
  if not sb then return list, err.code == "POLICY" and err or nil end
  for _, task in ipairs(sb:list_tasks() or {}) do
    list[#list + 1] = describe_work(task, "task")
  end
  for _, term in ipairs(sb:list_terminals() or {}) do
    list[#list + 1] = describe_work(term, "terminal")
  end
  return list
end

-- What runs in each, by its id.
local function all_work(found)
  local work, problem = {}, nil
  axo.async.each(found, AT_ONCE, function(session)
    local err
    work[session.id], err = work_of(session)
    problem = problem or err
  end)
  return work, problem
end

local function owner_of(session)
  if session.owner_alive then return "alive" end
  local owner = session.kept and "kept" or "gone"
  return session.in_use and owner .. ", in use" or owner
end

local function age_of(started)
  return started and math.max(0, os.time() - math.floor(started)) or nil
end

local function describe(session, work)
  return {
    id = session.id, container = session.container, state = session.state,
    image = session.image, dir = session.dir, ports = json.array(session.ports),
    mounts = json.array(session.mounts),
    created = session.created, age = age_of(session.created), version = session.version,
    owner_alive = session.owner_alive, in_use = session.in_use, kept = session.kept,
    given_back = session.given_back and json.array(session.given_back) or nil,
    tasks = work and (work[session.id] or json.array {}) or nil,
  }
end

local HEADER = { "ID", "STATE", "AGE", "OWNER", "PORTS", "IMAGE", "DIRECTORY" }
local TASKS_HEADER = { "SESSION", "TASK", "KIND", "STATUS", "AGE", "COMMAND" }

local function state_colour(state)
  if state == "running" then return "green" end
  if state:find "^exited" or state:find "^created" then return "yellow" end
  return "red"
end

local function painted(column, header)
  return { paint = style.table_paint({ [column] = state_colour }, header) }
end

local function sessions_table(list)
  local rows = {}
  for _, session in ipairs(list) do
    rows[#rows + 1] = {
      session.id, text.visible(session.state), text.age(session.age),
      owner_of(session), #session.ports > 0 and table.concat(session.ports, ",") or "-",
      text.visible(session.image), text.visible(session.dir),
    }
  end
  return text.columns(HEADER, rows, painted(2, HEADER))
end

local function tasks_table(list)
  local rows = {}
  for _, session in ipairs(list) do
    for _, work in ipairs(session.tasks) do
      rows[#rows + 1] = {
        session.id, work.id, work.kind, text.visible(work.status), text.age(age_of(work.started)),
        text.visible(text.command(work.command or {})),
      }
    end
  end
  if #rows == 0 then return "" end
  return "\n" .. text.columns(TASKS_HEADER, rows, painted(4, TASKS_HEADER))
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  local found, err = console.during({}, "asking podman for the sessions", axo.list)
  if not found then return cli.fail(err) end
  if args.quiet then
    for _, session in ipairs(found) do cli.print(session.id .. "\n") end
    return 0
  end
  local work
  if args.tasks then work, err = all_work(found) end
  if err then return cli.fail(err) end
  local list = json.array {}
  for _, session in ipairs(found) do list[#list + 1] = describe(session, work) end
  if args.json then
    cli.print_json(list)
  else
    cli.print(sessions_table(list) .. (args.tasks and tasks_table(list) or ""))
  end
  return 0
end

return { summary = "list the sessions", parser = parser, main = main }
