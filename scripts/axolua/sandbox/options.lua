--- The options of a session that is to be made: those of `run`, `shell` and `mcp`.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local command_options = require "axolua.cli.command_options"
local defaults = require "axolua.sandbox.defaults"
local devcontainer = require "axolua.sandbox.devcontainer"
local mount_options = require "axolua.sandbox.mount_options"

local start_options = {}

local function port_of(text)
  local port = text:find "^%d+$" and math.tointeger(tonumber(text))
  return port and port >= 1 and port <= 65535 and port or nil
end

-- N, and as docker and podman have it: N:N, 127.0.0.1:N:N, each with /tcp.
local function read_port(word)
  local rest = word:gsub("/tcp$", "")
  if rest:find "/udp$" then
    return nil, ("--port: %q: only TCP ports are published"):format(word)
  end
  local address, outside, inside = rest:match "^(.-):?([^:]*):([^:]*)$"
  if not outside then outside, inside, address = rest, rest, "" end
  local port = port_of(outside)
  if outside:find "^%d+%-%d+$" then
    return nil, ("--port: %q: each port is named by itself: -p 3000 -p 3001"):format(word)
  end
  if not port or not port_of(inside) then
    return nil, ("--port: %q is not a port number"):format(word)
  end
  if address ~= "" and address ~= "127.0.0.1" and address ~= "localhost" then
    return nil, ("--port: %q: policy says on which address ports are published (publish_address "
      .. "in sandbox.lua; 127.0.0.1 unless it was changed): type --port %d"):format(word, port)
  end
  if port ~= port_of(inside) then
    return nil, ("--port: a port has the same number inside and on 127.0.0.1: type --port %s, or "
      .. "--port %s and let the program listen on that"):format(inside, outside)
  end
  return port
end

-- NAME=file:PATH or NAME=cmd:COMMAND.
local function read_env_from(word)
  local name, kind, rest = word:match "^([A-Za-z_][A-Za-z0-9_]*)=(%l+):(.+)$"
  local problem = name and axo.check.secret_name(name)
  if problem then return nil, "--env-from: " .. problem end
  if kind == "file" then return { name, { file = rest } } end
  if kind == "cmd" then return { name, { command = rest } } end
  return nil, ("--env-from: %q is neither NAME=file:PATH nor NAME=cmd:COMMAND"):format(word)
end

local function read_allow(word)
  local entry, problem = axo.check.allow(word)
  if entry then return word end
  return nil, "--allow: " .. problem
end

local function add_limits(parser)
  parser:option("-m --memory", "Memory limit, such as 512m or 2g."):argname "SIZE"
    :convert(cli.size "--memory")
  parser:option("--cpus", "CPU limit, such as 1.5."):argname "N"
    :convert(cli.number("--cpus", 0.01))
  parser:option("--pids", "Limit on processes."):argname "N":hidden_name "--pids-limit"
    :convert(cli.number("--pids", 1, true))
  parser:option("--shm-size", "The size of /dev/shm, 64m by default; it counts as memory.")
    :argname "SIZE":convert(cli.size "--shm-size")
end

--- Adds the options that say what session to make.
---@param parser table
---@param timeout string? what --timeout does, if not what it does for a command
function start_options.add(parser, timeout)
  parser:option("--dir", "The directory to work in, mounted read-write at the same path; "
    .. "the current one by default."):argname "DIR":convert(cli.name "--dir")
  parser:option("--id", "The session's name (--name, too); one is made up by default.")
    :argname "ID":hidden_name "--name":convert(cli.session_id)
  parser:option("--image", "The image; policy decides whether it is trusted."):argname "REF"
    :convert(cli.name "--image")
  parser:option("--network", "bridge (outgoing connections work) or none.")
    :hidden_name "--net":choices { "bridge", "none" }
  parser:option("--allow", "Let it reach this name and no other, on the ports 443 and 80 unless "
    .. "one is given: api.example.com, *.example.org:443, @github; may be repeated.")
    :argname "NAME[:PORT]":count "*":action(command_options.append):convert(read_allow)
  parser:option("-p --port", "Publish this port on 127.0.0.1, or fail; may be repeated.")
    :argname "N":hidden_name "--publish":count "*":action(command_options.append)
    :convert(read_port)
  parser:option("--optional-port", "Publish this port, or do without where it is held; may be "
    .. "repeated."):argname "N":count "*":action(command_options.append):convert(read_port)
  mount_options.add(parser)
  command_options.env(parser)
  command_options.timeout(parser, timeout)
  parser:option("--env-from", "A secret for the session's commands, from a file or the output "
    .. "of a command on this host; may be repeated."):argname "K=file:PATH|K=cmd:COMMAND"
    :count "*":action(command_options.append):convert(read_env_from)
  add_limits(parser)
  devcontainer.options(parser)
  defaults.options(parser)
  parser:mutex(parser:flag("--keep", "Leave the session running at the end, for `axolua exec`."),
    parser:flag("--rm", "Remove it at the end, which is so without --keep."))
  parser:flag("--allow-untrusted-image", "Run --image even if policy does not know it.")
  parser:flag("--allow-post-create", "Run the project's own set-up scripts.")
  parser:flag("--require-resource-limits", "Refuse to start where a limit has no effect.")
  command_options.verbosity(parser)
end

--- Adds what `run` and `shell` have besides: how their command runs.
---@param parser table
function start_options.add_command(parser)
  parser:flag("--learn", "Let it reach every name, and tell at the end which it used, as a policy "
    .. "file.")
  command_options.place(parser)
  command_options.streams(parser)
end

return start_options
