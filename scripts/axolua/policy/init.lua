--- axolua policy: looks at policy, tries a file of it, makes files to begin with.
local cli = require "axolua.cli"
local policy_check = require "axolua.policy.check"
local policy_init = require "axolua.policy.starter"
local policy_show = require "axolua.policy.show"

local function parser()
  local p = cli.parser("policy", "What sessions may be and do is decided by policy files, plain "
    .. "Lua that an operator can override: share/axosandbox/policy/README.md, beneath where this "
    .. "is installed, says how.")
  p:command_target "action"
  policy_show.options(cli.subcommand(p, "show",
    "Shows what would be decided here, by which file, and where it differs from what was shipped."))
  policy_check.options(cli.subcommand(p, "check",
    "Loads a policy file, tries it on sample requests, and shows what it decides otherwise than "
    .. "the shipped one. Exit status 1 when it has a mistake."))
  policy_init.options(cli.subcommand(p, "init",
    "Writes commented overrides into your policy directory; what is there already stays."))
  return p
end

local ACTIONS = { show = policy_show.main, check = policy_check.main, init = policy_init.main }

return { summary = "show, check and begin policy files", parser = parser,
  main = cli.main_of(parser, ACTIONS) }
