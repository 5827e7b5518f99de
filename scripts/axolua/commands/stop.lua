--- axolua stop: ends sessions and removes their containers.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"

local json = axo.json

local function parser()
  local p = cli.parser("stop", "Ends sessions, with everything that runs in them, and removes "
    .. "their containers, paused and exited ones too. The directories stay.")
  p:argument("id", "The sessions; `axolua ps` lists them."):args "+":convert(cli.session_id)
  p:flag("--json", "As JSON, for scripts.")
  return p
end

local AT_ONCE = 8

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  console.open {}
  local ended = {}
  axo.async.each(args.id, AT_ONCE, function(id)
    local ok, err = axo.stop(id)
    ended[id] = { ok = ok, err = err }
  end)
  local code, report = 0, json.array {}
  for _, id in ipairs(args.id) do
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
