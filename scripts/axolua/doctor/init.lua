--- axolua doctor: what this host can do, what it cannot, and how to fix that.
local uv = require "luv"
local axo = require "axosandbox"
local checks = require "axolua.doctor.checks"
local cli = require "axolua.cli"
local probe = require "axolua.doctor.probe"
local status = require "axolua.view.status"
local style = require "axolua.view.style"
local text = require "axolua.view.text"

local json = axo.json

local function parser()
  local p = cli.parser("doctor", "Examines this host, starts a short-lived session to see what "
    .. "really works, and names the command that fixes each thing. Exit status 1 when no "
    .. "session can start, or a policy file cannot decide.")
  p:flag("--no-probe", "Start no session.")
  p:flag("--json", "As JSON, for scripts.")
  return p
end

local COLOURS = { ok = "green", warn = "yellow", fail = "red" }

local function mark(word)
  return style.painter(1)(COLOURS[word], ("%-4s"):format(word))
end

local function show(row)
  status.aside(function()
    cli.print(("%s  %-17s %s\n"):format(mark(row.status), row.name, text.printable(row.detail)))
    if row.fix then
      cli.print(("      %-17s to fix it: %s\n"):format("", text.printable(row.fix)))
    end
  end)
end

-- It may take long, and has nothing to say meanwhile.
local function try_session(report)
  if status.is_possible() then status.show "starting a session, to look at it" end
  probe.run(report)
  status.hide()
end

local function examine(report, args)
  report:add("ok", "axolua", ("%s, %s, libuv %s"):format(
    axo.version, _VERSION, uv.version_string()))
  checks.directories(report)
  checks.policy(report)
  checks.defaults(report)
  local found = checks.podman(report)
  if not found then return end
  checks.images(report)
  checks.seccomp(report)
  checks.runtime(report, found)
  checks.cgroups(report, found)
  checks.rootless(report, found)
  checks.login(report, found)
  if not args.no_probe then try_session(report) end
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  local report = checks.report()
  if not args.json then report.on_row = show end
  axo.set_logger(function(level, message)
    if level == "error" then cli.say(message) end
  end)
  examine(report, args)
  local ok = not report:has_failed()
  if args.json then
    cli.print_json { ok = ok, checks = json.array(report.rows) }
  end
  return ok and 0 or 1
end

return { summary = "examine this host", parser = parser, main = main }
