--- axolua reap: removes what dead processes left.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local selection = require "axolua.cli.selection"

local json = axo.json

local function parser()
  local p = cli.parser("reap", "Removes the sessions whose process has died, and those "
    .. "that were kept (run --keep, run -d), with the tasks in them. One that anybody uses, or "
    .. "whose owner may be alive, stays.")
  p:option("--except", "Leave this session alone; may be repeated."):argname "ID"
    :count "*":convert(cli.session_id)
  p:flag("-n --dry-run", "Only say what would be removed.")
  p:flag("--json", "As JSON, for scripts.")
  return p
end

local function foresee(except)
  local list, err = axo.list()
  if not list then return nil, err end
  local spared, report = selection.set(except), { removed = {}, skipped = {} }
  for _, session in ipairs(list) do
    local reason = spared[session.id] and "known"
      or session.owner_alive and "its owner is alive" or session.in_use and "in use" or nil
    local into = reason and report.skipped or report.removed
    into[#into + 1] = { id = session.id, container = session.container, reason = reason }
  end
  return report
end

local function show(report, is_dry)
  for _, session in ipairs(report.removed) do
    cli.print(("%s %s\n"):format(is_dry and "would remove" or "removed", session.id))
  end
  for _, session in ipairs(report.skipped) do
    cli.print(("left alone %s: %s\n"):format(session.id, session.reason))
  end
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  local report, err
  if args.dry_run then
    report, err = console.during({}, "looking at the sessions", function()
      return foresee(args.except or {})
    end)
  else
    report, err = console.during({}, "removing what dead processes left", function()
      return axo.reap_orphans(args.except or {})
    end)
  end
  if not report then return cli.fail(err) end
  if args.json then
    cli.print_json {
      removed = json.array(report.removed), skipped = json.array(report.skipped),
      dry_run = args.dry_run or false,
    }
  else
    show(report, args.dry_run)
  end
  return 0
end

return {
  summary = "remove the sessions that no program owns, kept ones too",
  parser = parser,
  main = main,
}
