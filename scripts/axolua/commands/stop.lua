--- axolua stop: ends sessions and removes their containers.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local confirm = require "axolua.sandbox.confirm"
local console = require "axolua.view.console"

local json = axo.json

local function parser()
  local p = cli.parser("stop", "Ends sessions, with everything that runs in them, and removes "
    .. "their containers, paused and exited ones too. The directories stay.")
  p:argument("id", "The sessions; `axolua ps` lists them."):args "*":convert(cli.session_id)
  p:flag("-a --all", "All sessions of this user. Where programs that are alive use some, it is "
    .. "asked, and without a terminal refused.")
  p:flag("-y --yes", "With --all: do not ask.")
  p:flag("--json", "As JSON, for scripts.")
  return p
end

local AT_ONCE = 8

local function names_of(sessions)
  local names = {}
  for i, session in ipairs(sessions) do names[i] = session.id end
  return table.concat(names, ", ")
end

-- Whether those that other programs work with may end, too.
local function may_end(used, count)
  local what = ("%d of %d sessions are used by programs that are alive: %s"):format(
    #used, count, names_of(used))
  if not confirm.is_possible() then
    cli.fail { message = what .. "; nothing was ended",
      hint = "axolua stop --all --yes ends them too; axolua reap ends those that nobody uses" }
    return false
  end
  return axo.async.call(function(done)
    confirm.put(("axolua: %s\naxolua: end them all? [y/N] "):format(what),
      function(agreed) done(nil, agreed) end)
    return true
  end)
end

-- The ids of all sessions; nil and the exit code where they are not to end.
local function all(args)
  local sessions, err = axo.list()
  if not sessions then return nil, cli.fail(err) end
  local ids, used = {}, {}
  for i, session in ipairs(sessions) do
    ids[i] = session.id
    if session.owner_alive or session.in_use then used[#used + 1] = session end
  end
  if used[1] and not args.yes and not may_end(used, #sessions) then return nil, cli.FAILED end
  return ids
end

local function choose(p, args)
  if args.yes and not args.all then cli.usage(p, "--yes goes with --all") end
  if args.all and args.id[1] then cli.usage(p, "--all, or the ids of sessions, and not both") end
  if args.all then return all(args) end
  if not args.id[1] then cli.usage(p, "which session? give its id, or --all") end
  return args.id
end

local function main(arguments)
  local p = parser()
  local args = cli.parse(p, arguments)
  console.open {}
  local ids, failed = choose(p, args)
  if not ids then return failed end
  local ended = {}
  console.during({}, "ending " .. table.concat(ids, ", "), function()
    axo.async.each(ids, AT_ONCE, function(id)
      local ok, err = axo.stop(id)
      ended[id] = { ok = ok, err = err }
    end)
  end)
  local code, report = 0, json.array {}
  for _, id in ipairs(ids) do
    local ok, err = ended[id].ok, ended[id].err
    if not ok then code = cli.fail(err) end
    report[#report + 1] = {
      id = id, stopped = ok and true or false, error = err and err.message, code = err and err.code,
    }
  end
  if args.json then cli.print_json(report) end
  return code
end

return { summary = "end sessions and remove their containers", parser = parser, main = main }
