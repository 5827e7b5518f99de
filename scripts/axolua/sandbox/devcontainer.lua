--- A project's devcontainer.json, as `run`, `shell` and `mcp` honour it.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local command_options = require "axolua.cli.command_options"
local output = require "axolua.view.output"

local devcontainer = {}

local function read_name(word)
  if word:find "^[A-Za-z_][A-Za-z0-9_]*$" then return word end
  return nil, ("--local-env: %q is not the name of a variable"):format(word)
end

local function read_pattern(word)
  if word:find "^[A-Za-z_][A-Za-z0-9_]*%*?$" then return word end
  return nil, ("--project-env: %q is neither the name of a variable nor the beginning of one "
    .. "before a star"):format(word)
end

--- Adds the options that say what to do with it.
---@param parser table
function devcontainer.options(parser)
  parser:option("--devcontainer", "Use .devcontainer/NAME/devcontainer.json.")
    :argname "NAME":convert(cli.name "--devcontainer")
  parser:flag("--no-devcontainer", "Do not look for a devcontainer.json.")
  parser:option("--local-env", "Let devcontainer.json read this variable of this shell; may be "
    .. "repeated."):argname "NAME":count "*":action(command_options.append):convert(read_name)
  parser:option("--project-env", "Let devcontainer.json set this variable, or those that begin "
    .. "so before a star; may be repeated."):argname "NAME":count "*":action(command_options.append)
    :convert(read_pattern)
end

-- ---- what became of it -----------------------------------------------------------------

local PLAIN = { honoured = true, policy = true }

-- Of what is honoured, some is worth a word: which ports.
local function named(report)
  if report.status ~= "honoured" or not report.reason then return report.property end
  return ("%s (%s)"):format(report.property, report.reason)
end

-- Properties with the same fate and reason are one line.
local function grouped(reports)
  local lines, found = {}, {}
  for _, it in ipairs(reports) do
    local key = it.status .. (PLAIN[it.status] and "" or ": " .. it.reason)
    local line = found[key]
    if not line then
      line = { status = it.status, reason = it.reason, names = {}, seen = {} }
      found[key] = line
      if not PLAIN[it.status] then lines[#lines + 1] = line end
    end
    local name = named(it)
    if not line.seen[name] then table.insert(line.names, name) end
    line.seen[name] = true
  end
  return lines, found
end

local function listed(line)
  return table.concat(line.names, ", ")
end

local function use_of(found)
  local parts = {}
  if found.honoured then parts[1] = "honoured: " .. listed(found.honoured) end
  if found.policy then parts[#parts + 1] = "left to policy: " .. listed(found.policy) end
  return #parts > 0 and table.concat(parts, "; ") or "nothing in it is honoured here"
end

local function name_of(description)
  return description.path:sub(#description.options.dir + 2)
end

local function show(description, args)
  if args.quiet then return end
  local lines, found = grouped(description.reports)
  cli.say(("%s: %s"):format(name_of(description), use_of(found)))
  for _, line in ipairs(lines) do
    cli.say(("  %s: %s: %s"):format(line.status, listed(line), line.reason))
  end
end

--- What of such a file is not as it says, for programs: a line for each reason.
---@param name string of the file
---@param reports axo.DevcontainerReport[]
---@return string[]
function devcontainer.lines(name, reports)
  local lines = {}
  for _, line in ipairs((grouped(reports))) do
    if line.status ~= "ignored" then
      lines[#lines + 1] = ("%s: %s: %s: %s"):format(name, line.status, listed(line), line.reason)
    end
  end
  return lines
end

--- The same of a description.
---@param description axo.Devcontainer? nil: there is none
---@return string[]
function devcontainer.notices(description)
  return description and devcontainer.lines(name_of(description), description.reports) or {}
end

-- ---- honouring it ----------------------------------------------------------------------

local function drop_users(description, reason)
  description.options.user, description.options.remote_user = nil, nil
  description.remote.user = nil
  for _, it in ipairs(description.reports) do
    local is_user = it.property == "containerUser" or it.property == "remoteUser"
    if is_user and it.status == "policy" then
      it.status, it.reason = "warning", "not used: " .. reason
    end
  end
end

-- The command line is the user's own, and goes before what a project says.
local function merge(options, description, args)
  local own = description.options
  local optional = { image = not options.image, ports = options.optional.ports or {} }
  options.optional = optional
  -- A user that came with an image means nothing in another one.
  if options.image and not axo.podman.same_image(options.image, own.image) then
    drop_users(description, "--image names another image than the file")
  elseif args.user then
    drop_users(description, "--user names another")
  end
  options.image = options.image or own.image
  options.user, options.remote_user = own.user, own.remote_user
  for name, value in pairs(own.env) do
    if options.env[name] == nil then options.env[name] = value end
  end
  for _, pair in ipairs(command_options.variables(args)) do
    description.remote.env[pair[1]] = nil
  end
  local known = {}
  options.ports = options.ports or {}
  for _, port in ipairs(options.ports) do known[port] = true end
  for _, port in ipairs(own.ports) do
    if not known[port] then
      table.insert(options.ports, port)
      table.insert(optional.ports, port)
    end
  end
  description.options = options
end

--- Reads it, says what was honoured and what was not, and puts it into the options.
---@param options axo.StartOptions
---@param args table the parsed command line
---@return axo.Devcontainer? description nil without an error: there is none
---@return axo.Error? err
function devcontainer.read(options, args)
  if args.no_devcontainer then return nil end
  local ok, description, err = pcall(axo.devcontainer.load, options.dir, {
    name = args.devcontainer, id = options.id, policy = options.policy,
  })
  if not ok then
    return nil, { op = "devcontainer", message = cli.without_position(description) }
  end
  if description then
    merge(options, description, args)
    show(description, args)
    return description
  end
  -- That the directory is missing, or may not be mounted, is the start's to say.
  local is_start = err.op ~= "devcontainer" and err.code ~= "AMBIGUOUS"
  if is_start or (err.code == "NOT_FOUND" and not args.devcontainer) then return nil end
  return nil, err
end

-- What its commands print is for stderr, and for those who want to see everything.
local function listener(args)
  local writer = args.verbose and output.open(2) or nil
  return writer and function(_, bytes) writer:write(bytes) end, writer
end

--- Starts a session of it, without anybody who could be asked or a signal that is waited for.
---@param description axo.Devcontainer
---@param args table
---@param done fun(err: axo.Error?, sb: axo.Session?) once its commands have run
---@return { cancel: fun() }? handle, axo.Error?
function devcontainer.start(description, args, done)
  return axo.devcontainer.start(description, { on_output = listener(args) }, done)
end

--- Applies it to a session that has started, and runs its lifecycle commands.
---@param sb axo.Session
---@param description axo.Devcontainer
---@param args table
---@param guard cli.Guard
---@return integer? code nil: go on
function devcontainer.enter(sb, description, args, guard)
  local on_output, writer = listener(args)
  local result, err = axo.async.call(function(done)
    local handle = axo.devcontainer.enter(sb, description, {
      on_output = on_output,
      confirm = description.options.confirm,
    }, done)
    guard:on_signal(function() handle:cancel() end)
    return handle
  end)
  guard:on_signal(nil)
  if writer then writer:flush(guard.signal and 1 or nil) end
  if guard:code() then return guard:code() end
  if not result then return cli.fail(err) end
end

return devcontainer
