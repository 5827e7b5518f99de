--- The options of a command in a session, and what they say.
local cli = require "axolua.cli"
local env_file = require "axolua.cli.env_file"
local terminal = require "axolua.view.terminal"
local writable = require "axolua.cli.writable"

local command_options = {}

--- Collects the words of an option that may be repeated. For argparse's :action.
function command_options.append(result, target, word)
  local list = result[target] or {}
  list[#list + 1] = word
  result[target] = list
end

local function read_env(word)
  local name, value = word:match "^([A-Za-z_][A-Za-z0-9_]*)=(.*)$"
  if name then return { name, value } end
  if not word:find "^[A-Za-z_][A-Za-z0-9_]*$" then
    return nil, ("--env: %q is neither NAME=VALUE nor the name of a variable"):format(word)
  end
  return { word, os.getenv(word) }
end

-- An option that stands for many words.
local function append_file(result, target, words)
  for _, word in ipairs(words) do command_options.append(result, target, word) end
  command_options.append(result, "env_files", words.from)
end

--- --env and --env-file
---@param parser table
function command_options.env(parser)
  parser:option("-e --env", "A variable for the command; without a value, this shell's.")
    :argname "K[=V]":count "*":action(command_options.append):convert(read_env)
  parser:option("--env-file", "A file of variables for the command, a line each: K=V, where "
    .. "quotes are part of V, or K for this shell's; may be repeated, and --env goes before it.")
    :argname "FILE":count "*"
    :action(append_file):convert(env_file.read)
end

--- --timeout
---@param parser table
---@param description string?
function command_options.timeout(parser, description)
  parser:option("--timeout", description
    or "End the command after S seconds, with exit status 124.")
    :argname "S":convert(cli.number("--timeout", 0.001))
end

--- --quiet and --verbose
---@param parser table
function command_options.verbosity(parser)
  parser:flag("-q --quiet", "On stderr no progress, and warnings only of what you asked for "
    .. "and do not get.")
  parser:flag("--verbose", "Everything that the engine has to say.")
end

--- --cwd and --user
---@param parser table
function command_options.place(parser)
  parser:option("-w --cwd", "The directory to run it in (--workdir, too)."):argname "DIR"
    :hidden_name "--workdir":convert(cli.name "--cwd")
  parser:option("-u --user", "The user to run it as."):argname "USER"
    :convert(cli.name "--user")
end

--- What docker's and podman's users type, and is so anyway.
---@param parser table
function command_options.streams(parser)
  parser:flag("-i --interactive", "Always so: stdin goes to the command.")
  -- As docker's users say it: a session's first process reaps what others leave behind.
  parser:flag("--init"):hidden(true)
  parser:flag("-t --tty", "Always so where our stdin and stdout are a terminal; elsewhere the "
    .. "command has none.")
end

--- Says that -t has no effect where it has none.
---@param args table
function command_options.explain_streams(args)
  if not args.tty or args.quiet or args.detach or terminal.is_there() then return end
  cli.say "warning: -t: stdin or stdout is no terminal here, so the command has none"
end

--- Adds the options of a command in a session that is there already.
function command_options.add(parser)
  command_options.env(parser)
  command_options.timeout(parser)
  command_options.place(parser)
  command_options.streams(parser)
  command_options.verbosity(parser)
end

--- The variables that --env-file and --env named; of two of a name the later one counts.
---@param args table
---@return { [1]: string, [2]: string? }[]
function command_options.variables(args)
  local list = table.move(args.env_file or {}, 1, #(args.env_file or {}), 1, {})
  return table.move(args.env or {}, 1, #(args.env or {}), #list + 1, list)
end

--- The same as a table. What has no value here is said.
---@param args table
---@param dir string the session's directory
---@param mounts axo.ExtraMount[]? its others
---@return table<string, string>
function command_options.environment(args, dir, mounts)
  env_file.check(args.env_files, writable.of(dir, mounts))
  local env = {}
  for _, pair in ipairs(command_options.variables(args)) do
    if pair[2] == nil then
      cli.say(("warning: %s is not set here, so it is not set there either"):format(pair[1]))
    else
      env[pair[1]] = pair[2]
    end
  end
  return env
end

return command_options
