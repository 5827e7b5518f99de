--- axolua version: what runs here.
local uv = require "luv"
local axo = require "axosandbox"
local cli = require "axolua.cli"

local function parser()
  local p = cli.parser("version", "Prints the version, as `axolua --version` does.")
  p:flag("--json", "As JSON, for scripts.")
  return p
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  if args.json then
    cli.print_json { version = axo.version, lua = _VERSION, libuv = uv.version_string() }
  else
    cli.print(("axolua %s (%s, libuv %s)\n"):format(axo.version, _VERSION, uv.version_string()))
  end
  return 0
end

return { summary = "print the version", parser = parser, main = main }
