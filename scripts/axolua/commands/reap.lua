--- axolua reap: removes what dead processes left.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local text = require "axolua.view.text"

local json = axo.json

local function parser()
  local p = cli.parser("reap", "Removes the sessions whose process has died, and those "
    .. "that were kept (run --keep, run -d) and in which nothing runs any more. One that anybody "
    .. "uses, or whose owner may be alive, stays.")
  p:option("--except", "Leave this session alone; may be repeated."):argname "ID"
    :count "*":convert(cli.session_id)
  p:flag("--force", "Also those that were kept and in which something runs.")
  p:flag("-n --dry-run", "Only say what would be removed.")
  p:flag("--json", "As JSON, for scripts.")
  return p
end

local function show(report, is_dry)
  for _, session in ipairs(report.removed) do
    cli.print(("%s %s\n"):format(is_dry and "would remove" or "removed", session.id))
  end
  for _, session in ipairs(report.skipped) do
    cli.print(("left alone %s: %s%s\n"):format(session.id, text.printable(session.reason),
      session.busy and "; --force removes it, too" or ""))
  end
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  local what = args.dry_run and "looking at the sessions" or "removing what dead processes left"
  local report, err = console.during({}, what, function()
    return axo.reap_orphans(args.except or {}, { force = args.force, dry_run = args.dry_run })
  end)
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
  summary = "remove the sessions that no program owns, and idle ones that were kept",
  parser = parser,
  main = main,
}
