--- The defaults of the user and of the project, put where the command line says nothing: it goes
--- before the project's, and the project's before the user's, which it may only narrow.
local axo = require "axosandbox"
local cli = require "axolua.cli"

local defaults = {}

-- Of the user's, those that are an option's own value.
local PLAIN = {
  "network", "memory", "cpus", "pids", "shm_size", "user", "image", "timeout",
  "allow_untrusted_image", "allow_post_create", "require_resource_limits", "local_env",
  "project_env",
}

--- Adds the option that does without.
---@param parser table
function defaults.options(parser)
  parser:flag("--no-defaults", "Take neither your config.lua nor the project's "
    .. ".axosandbox/config.json.")
end

-- Before all others: of two of a name the later one counts.
local function add_env(args, env)
  local list, typed = {}, args.env_file or {}
  for name, value in pairs(env or {}) do list[#list + 1] = { name, value } end
  args.env_file = table.move(typed, 1, #typed, #list + 1, list)
end

-- Without a network there are no ports: those that nobody typed are left out.
local function add_ports(args, own, narrow)
  local has_network = (args.network or narrow.network) ~= "none"
  if not has_network then return end
  for _, name in ipairs { "port", "optional_port" } do
    if not args[name] or #args[name] == 0 then args[name] = own[name] end
  end
end

-- What was typed goes before what the project takes away.
local function narrowed(narrow, args)
  local most = {}
  for name, value in pairs(narrow) do
    if args[name] == nil then most[name] = value end
  end
  return next(most) and most or nil
end

--- Puts them into a parsed command line.
---@param args table
---@param dir string the session's
---@return axo.Narrow? narrow what the project takes away, for `axo.start`
---@return axo.Error? err
function defaults.apply(args, dir)
  if args.no_defaults or args.has_defaults then return args.narrow end
  local found, err = axo.defaults(dir)
  if not found then return nil, err end
  args.has_defaults, args.narrow = true, narrowed(found.narrow, args)
  local narrow, own = args.narrow or {}, found.user
  if args.timeout == nil then args.timeout = found.timeout end
  for _, name in ipairs(PLAIN) do
    -- A wish that the project takes back is none.
    if args[name] == nil and not (name == "network" and narrow.network == "none") then
      args[name] = own[name]
    end
  end
  if own.devcontainer == false and not args.devcontainer then args.no_devcontainer = true end
  add_env(args, own.env)
  add_ports(args, own, narrow)
  for _, notice in ipairs(args.quiet and {} or found.notices) do cli.say("warning: " .. notice) end
  return args.narrow
end

return defaults
