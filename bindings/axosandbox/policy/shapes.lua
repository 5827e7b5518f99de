--- What a decision must look like, and what a size or an address is.
---
--- A decision is checked after each file of a chain, so that a mistake is laid at the door of
--- the file that made it.
local allow = require "axosandbox.policy.allow"
local core = require "axosandbox.core"
local ip = require "axosandbox.base.text.address"
local naming = require "axosandbox.base.naming"
local options = require "axosandbox.base.options"

local shapes = {}

---@class axo.policy.Limits a missing one, or false, is no limit
---@field memory string|integer|false|nil "2g", or bytes
---@field cpus number|false|nil
---@field pids integer|false|nil

---@class axo.policy.SandboxDecision
---@field network "bridge"|"none"|{ allow: string[] } allow: names and addresses that may be reached, and nothing else
---@field limits axo.policy.Limits
---@field require_resource_limits boolean true: no start where a limit does not apply
---@field shm_size string|integer|nil of /dev/shm: "64m", or bytes; nil: podman's default
---@field publish_address string an IPv4 or IPv6 address
---@field user string? NAME|UID[:GROUP|GID]
---@field remote_user string? the one of devcontainer.json's commands
---@field local_env string[]? variables of this machine that a devcontainer.json may read
---@field project_env string[]? variables that one may set: names, or their beginnings before a "*"; nil: none
---@field exec { timeout: number?, max_output: integer? } seconds, bytes
---@field http_proxy boolean pass the host's proxy variables in
---@field mounts { source: string, target: string, writable: boolean? }[]? those of `request.extra_mounts` that are granted; nil: none
---@field timeouts { start: number, pull: number, stop: number } seconds
---@field init boolean a reaper as PID 1
---@field setuid boolean? set-id bits may be set on files; nil: they may not
---@field nested_namespaces boolean? user namespaces of its own, and mounts in them; nil: none
---@field keep_id boolean? where podman is rootless, a user other than root is made whoever runs podman, and so can write the directory; nil: it is not
---@field deny string? the reason, when the session may not start

---@class axo.policy.ImageDecision
---@field image string
---@field pull "never"|"missing"
---@field fallback string? a local image to use when the pull fails
---@field replaces boolean? the image is what was asked for by another name, such as a mirror's
---@field warning string?
---@field deny string?

---@class axo.policy.PostCreateDecision
---@field run boolean
---@field ask boolean? instead of `run`: only if whoever started the session agrees
---@field commands string[] in this order
---@field timeout number seconds, for each command
---@field on_failure "warn"|"fail"
---@field warning string?

---@class axo.policy.ProvisionDecision
---@field run boolean
---@field commands string[]
---@field timeout number seconds, for all of them
---@field cache boolean keep the result as a local image
---@field key string? names that image; a new key provisions again
---@field warning string?

---@class axo.policy.ExecDecision
---@field allow boolean
---@field reason string? why not
---@field timeout number? seconds; none when missing
---@field max_output integer? bytes kept of each stream

---@class axo.policy.NamesDecision
---@field names string[] what the list holds: entries of `allow`, and no other list

---@class axo.policy.EgressDecision one of allow, ask and need_command
---@field allow boolean?
---@field reason string? why not
---@field dial string? an address of this host's network, perhaps with a port, to connect to instead of resolving the name
---@field ask boolean? only if whoever started the session agrees, once for a name
---@field need_command boolean? to be asked again, with the command that connects in the request; the answer is kept for that command only

---@class axo.policy.Complaint
---@field class string see policy/retry/rules.lua
---@field subclass string?
---@field port integer? the published port that the complaint names
---@field alternatives string[]? other classes that the same words can stand for

---@class axo.policy.RetryDecision
---@field action "retry"|"give_up"
---@field changes axo.policy.Changes? with "retry"
---@field warning string? what the session loses by the change
---@field hint string? what a person can do about it

---@class axo.policy.Changes
---@field drop_limits boolean?
---@field ulimits "host"? state nofile and nproc at the host's hard limits
---@field runtime string? another OCI runtime
---@field firewall "iptables"|"nftables"|nil what netavark is to write its rules with
---@field drop_ports integer[]|"all"|nil
---@field remove_stale boolean? remove the container that holds the name, if nobody uses it
---@field pull boolean?
---@field image string?
---@field init boolean?
---@field network "bridge"|"none"|nil
---@field wait number? seconds to wait first

local UNITS = { b = 1, k = 1024, m = 1024 ^ 2, g = 1024 ^ 3, t = 1024 ^ 4 }
local MAX_BYTES = 2 ^ 53
-- Characters of a number, or of a size.
local MAX_NUMBER = 64

--- Converts a size to bytes: an integer, or a number with one of the suffixes b, k, m, g
--- and t (powers of 1024, an optional "b" or "ib" after it, any case): "512m", "1.5g", "2GiB".
---
---     print(axo.policy.bytes "1.5g")  --> 1610612736
---@param value any
---@return integer? bytes
---@return string? problem
function shapes.bytes(value)
  local wanted = 'a size such as "512m" or "2g", or a number of bytes'
  if type(value) == "string" then
    -- What is as long as that is no number, and takes long to be found none.
    local text = #value <= MAX_NUMBER and value:lower() or ""
    local digits, unit = text:match "^%s*(%d+%.?%d*)%s*([bkmgt]?)i?b?%s*$"
    if not digits or (unit == "" and value:find "[Ii]") then return nil, "expected " .. wanted end
    value = tonumber(digits) * UNITS[unit == "" and "b" or unit]
  end
  if type(value) ~= "number" or value ~= value then return nil, "expected " .. wanted end
  if value < 1 or value > MAX_BYTES then return nil, "out of range" end
  return math.floor(value)
end

local function check_size(value)
  if value == false then return end
  return select(2, shapes.bytes(value))
end

local function check_no_limit_is_false(value)
  if value == true then return "expected a number, or false for no limit" end
end

local function check_address(value)
  if ip.parse(value) then return end
  return ("expected an IPv4 or IPv6 address, got %q"):format(value)
end

local function check_word(value)
  if value == "" then return "must not be empty" end
  if value:sub(1, 1) == "-" then return 'must not begin with "-"' end
  if value:find "[%z\n]" then return "must not hold a NUL or a line feed" end
end

local function check_not_empty(value)
  if value == "" then return "must not be empty" end
end

local function check_key(value)
  if not value:match "^[a-z0-9][a-z0-9._-]*$" or #value > 100 then
    return "expected at most 100 of [a-z0-9._-], a letter or digit first"
  end
end

local SECONDS_MAX = 10 * 365 * 24 * 3600
local seconds = { type = "number", min = 0.001, max = SECONDS_MAX }
local seconds_required =
  { type = "number", min = 0.001, max = SECONDS_MAX, required = true }
local boolean_required = { type = "boolean", required = true }
local text = { type = "string", check = check_not_empty }
local word = { type = "string", check = check_word }
local word_required = { type = "string", check = check_word, required = true }
local allow_shape = { allow = {
  type = "table", items = "string", check = allow.check, required = true,
} }
local network_mode = { type = "string", one_of = { "bridge", "none" } }
local network = { type = "string|table", check = function(value)
  if value == "bridge" or value == "none" then return nil end
  if type(value) == "string" then
    return ('expected one of bridge, none or { allow = { "api.example.com" } }, got %q'):format(
      value)
  end
  local problem = options.validate(allow_shape, value, "")
  return problem and (problem:gsub("^%.", ""):gsub("^: ", ""))
end }
local address = { type = "string", check = check_address }
local commands = { type = "table", items = text, required = true }
local port = { type = "integer", min = 1, max = 65535 }

-- Names, or beginnings of names before a star.
local function check_env_patterns(patterns)
  local names = {}
  for _, pattern in ipairs(patterns) do
    local name = pattern:gsub("%*$", "")
    if name ~= "" then names[#names + 1] = name end
  end
  return naming.check_env_names(names)
end

local env_names = { type = "table", items = "string", check = naming.check_env_names }
local env_patterns = { type = "table", items = "string", check = check_env_patterns }

local limits = {
  memory = { type = "string|integer|boolean", check = check_size },
  cpus = { type = "number|boolean", min = 0.01, max = 65536, check = check_no_limit_is_false },
  pids = { type = "integer|boolean", min = 1, max = 2 ^ 32, check = check_no_limit_is_false },
}

local size = { type = "string|integer", check = check_size }

local function check_directories(list)
  for _, path in ipairs(list) do
    if path:sub(1, 1) ~= "/" or path:find "[%z\n]" then
      return ("%q is no absolute path of a directory"):format(path)
    end
  end
end

local directories = { type = "table", items = "string", check = check_directories }

local exec_limits = {
  timeout = seconds,
  max_output = { type = "integer", min = 1, max = 2 ^ 40 },
}

local function required(rule)
  local copy = { required = true }
  for k, v in pairs(rule) do copy[k] = v end
  return copy
end

local function check_registry(value)
  local parsed = core.reference.parse(value .. "/x/y")
  if not parsed or parsed.registry ~= value then
    return ("%q is not a registry: HOST[:PORT], such as ghcr.io"):format(value)
  end
end

local function check_repository(value)
  local plain = value:gsub("/%*$", "")
  local parsed = core.reference.parse("localhost/" .. plain)
  if not parsed or parsed.repository ~= plain or plain:find "[:@]" then
    return ("%q is not a repository: lowercase names joined by '/', perhaps with '/*' at the end")
      :format(value)
  end
end

local function check_digest(value)
  if not value:match "^sha256:%x+$" or #value ~= 71 or value:find "%u" then
    return ("%q is not a digest: sha256: and 64 lowercase hexadecimal digits"):format(value)
  end
end

local function check_image_entry(entry)
  if next(entry) == nil then return "an entry without a key would allow every image" end
  if entry.repository and not entry.registry and not entry.digest then
    return "a repository without a registry would be allowed wherever it comes from"
  end
end

local function check_names(names)
  for _, name in ipairs(names) do
    if name:sub(1, 1) == "@" then return ("%q: a list holds no other list"):format(name) end
  end
  return allow.check(names)
end

--- An address to connect to, and its port.
---@param dial string "127.0.0.1:8443", "127.0.0.1", "[::1]:8443" or "::1"
---@return string? address nil: it is none
---@return integer? port
function shapes.dial(dial)
  local host, at = dial:match "^%[([^%]]*)%]:(%d%d?%d?%d?%d?)$"
  if not host then host, at = dial:match "^([^:]*):(%d%d?%d?%d?%d?)$" end
  host = host or dial:match "^%[([^%]]*)%]$" or dial
  at = at and math.tointeger(tonumber(at))
  if not ip.parse(host) or at and (at < 1 or at > 65535) then return nil end
  return host, at
end

local function check_dial(value)
  if shapes.dial(value) then return nil end
  return ('%q is no address, perhaps with a port, such as "127.0.0.1:8443"'):format(value)
end

--- The plain fields of the `policy` table of a call.
shapes.fields = {
  network = network,
  allow_post_create = "boolean",
  allow_untrusted_image = "boolean",
  allow_images = { type = "table", items = {
    type = "table",
    shape = {
      registry = { type = "string", check = check_registry },
      repository = { type = "string", check = check_repository },
      digest = { type = "string", check = check_digest },
    },
    check = check_image_entry,
  } },
  require_resource_limits = "boolean",
  limits = { type = "table", shape = limits },
  shm_size = size,
  publish_address = address,
  user = word,
  allow_mounts = directories,
  allow_writable_mounts = directories,
  setuid = "boolean",
  nested_namespaces = "boolean",
  keep_id = "boolean",
  local_env = env_names,
  project_env = env_patterns,
  exec = { type = "table", shape = exec_limits },
}

local decisions = {
  sandbox = {
    network = required(network),
    limits = { type = "table", shape = limits, required = true },
    require_resource_limits = boolean_required,
    shm_size = size,
    publish_address = required(address),
    user = word,
    remote_user = word,
    local_env = env_names,
    project_env = env_patterns,
    guarded_env = { type = "any", check = function()
      return "what a project may not set is no longer listed, but in project_env what it may"
    end },
    exec = { type = "table", shape = exec_limits, required = true },
    http_proxy = boolean_required,
    mounts = { type = "table", items = { type = "table", shape = {
      source = word_required, target = word_required, writable = "boolean",
    } } },
    timeouts = { type = "table", required = true, shape = {
      start = seconds_required, pull = seconds_required, stop = seconds_required,
    } },
    init = boolean_required,
    setuid = "boolean",
    nested_namespaces = "boolean",
    keep_id = "boolean",
    deny = text,
  },
  image_trust = {
    image = word_required,
    pull = { type = "string", one_of = { "never", "missing" }, required = true },
    fallback = word,
    replaces = "boolean",
    warning = text,
    deny = text,
  },
  post_create = {
    run = boolean_required,
    ask = "boolean",
    commands = commands,
    timeout = seconds_required,
    on_failure = { type = "string", one_of = { "warn", "fail" }, required = true },
    warning = text,
  },
  provision = {
    run = boolean_required,
    commands = commands,
    timeout = seconds_required,
    cache = boolean_required,
    key = { type = "string", check = check_key },
    warning = text,
  },
  exec = {
    allow = boolean_required,
    reason = text,
    timeout = seconds,
    max_output = exec_limits.max_output,
  },
  names = {
    names = { type = "table", items = "string", check = check_names, required = true },
  },
  egress = {
    allow = "boolean",
    reason = text,
    dial = { type = "string", check = check_dial },
    ask = "boolean",
    need_command = "boolean",
  },
}

local class_name = { type = "string", check = function(value)
  if not value:match "^[A-Z][A-Z0-9_]*$" then return "expected a name such as PORT_CONFLICT" end
end }

local complaint = {
  class = required(class_name),
  subclass = class_name,
  port = port,
  alternatives = { type = "table", items = class_name },
}

local function check_drop_ports(value)
  if type(value) == "string" then
    return value ~= "all" and 'expected a list of ports or "all"' or nil
  end
  return options.validate(
    { ports = { type = "table", items = port } }, { ports = value }, "drop_ports")
end

local changes = {
  drop_limits = "boolean",
  ulimits = { type = "string", one_of = { "host" } },
  runtime = word,
  firewall = { type = "string", one_of = { "iptables", "nftables" } },
  drop_ports = { type = "string|table", check = check_drop_ports },
  remove_stale = "boolean",
  pull = "boolean",
  image = word,
  init = "boolean",
  network = network_mode,
  wait = { type = "number", min = 0, max = 60 },
}

local retry = {
  action = { type = "string", one_of = { "retry", "give_up" }, required = true },
  changes = { type = "table", shape = changes },
  warning = text,
  hint = text,
}

shapes.names = {
  "sandbox", "image_trust", "post_create", "provision", "exec", "names", "egress", "retry",
}

local function without_required(shape)
  local copy = {}
  for key, rule in pairs(shape) do
    if type(rule) == "table" and rule.required then
      local optional = {}
      for k, v in pairs(rule) do
        if k ~= "required" then optional[k] = v end
      end
      rule = optional
    end
    copy[key] = rule
  end
  return copy
end

local titles = {}
for _, name in ipairs(shapes.names) do titles[name] = name .. " decision" end

local function check_egress(decision)
  local count = (decision.allow ~= nil and 1 or 0) + (decision.ask and 1 or 0)
    + (decision.need_command and 1 or 0)
  if count ~= 1 then return "egress decision: one of allow, ask and need_command is required" end
  if decision.dial and decision.allow == false then
    return "egress decision: what is not allowed is not dialled"
  end
end

--- Checks a decision.
---@param name string one of `shapes.names`
---@param op string? what was asked of "retry"
---@param decision any
---@return string? problem
function shapes.check(name, op, decision)
  local shape = decisions[name] or (op == "classify" and complaint or retry)
  -- A refusal needs nothing else.
  if type(decision) == "table" and decision.deny ~= nil then shape = without_required(shape) end
  local problem = options.validate(shape, decision, titles[name])
  if problem then return problem end
  if name == "retry" and decision.action == "retry" and next(decision.changes or {}) == nil then
    return "retry decision: a retry must change something"
  end
  if name == "post_create" and decision.run and decision.ask then
    return "post_create decision: either run or ask, not both"
  end
  if name == "egress" then return check_egress(decision) end
  if name == "provision" and decision.run and decision.cache and not decision.key then
    return "provision decision: a result that is cached needs a key"
  end
end

return shapes
