--- The plan of a start: what `podman run` will be told. Pure: a plan is made from decisions,
--- changed by the retry policy, and turned into a specification for core.argv.run.
local git = require "axosandbox.base.text.git"
local guest = require "axosandbox.way.native.guest"
local limits = require "axosandbox.policy.limits"
local naming = require "axosandbox.base.naming"
local tables = require "axosandbox.base.tables"

local plan = {}

-- Some images' sleep knows no "infinity"; this is 68 years.
local COMMAND = { "sleep", "2147483647" }

---@class axo.Plan
---@field name string
---@field image string what runs
---@field fallback string? what may run instead when a registry cannot be reached
---@field pull "never"|"missing" whether the image may be pulled
---@field network "bridge"|"none"
---@field allow string[]? the names that a session with the network "none" reaches by its host
---@field ports integer[] still to be published, by podman
---@field forwards integer[] those that the process which starts it leads into it
---@field publish "podman"|"forward"|nil by whom, where the caller says so
---@field extra_mounts { source: string, target: string, writable: boolean }[]
---@field required_ports table<integer, true> those that may not be given up
---@field limits { memory: integer?, cpus: number?, pids: integer? } asked for
---@field require_limits boolean
---@field drop_limits boolean
---@field ulimits "host"?
---@field runtime string?
---@field firewall string? what netavark writes its rules with; nil: its own choice
---@field init boolean
---@field setuid boolean set-id bits may be set on files
---@field mapped { users: axo.IdMap, groups: axo.IdMap }? whom the container has for whoever runs podman; nil: root
---@field nested_namespaces boolean user namespaces of its own, and mounts in them
---@field search string? the binary of the search helper, which is mounted
---@field guest string? the binary that is the first process; nil: the portable way

---@class axo.IdMap
---@field id integer
---@field count integer of all ids in the container

local function without_ports(ports, dropped)
  local gone, kept = {}, {}
  for _, port in ipairs(dropped) do gone[port] = true end
  for _, port in ipairs(ports) do
    if not gone[port] then kept[#kept + 1] = port end
  end
  return kept
end

-- Only the native way has them.
local function forwarded(request, isolated)
  local publish = request.publish or (isolated and "forward" or "podman")
  return publish == "forward" and request.guest and request.ports or {}
end

--- Makes the first plan.
---@param request axo.Asked with `owner` and `version`
---@param sandbox table the decision of the sandbox policy
---@param image table the decision of the image policy
---@return axo.Plan? plan, string? problem
function plan.new(request, sandbox, image)
  local asked, problem = limits.normalise(sandbox.limits)
  if not asked then return nil, problem end
  local names = type(sandbox.network) == "table" and sandbox.network.allow or nil
  local isolated = names ~= nil or sandbox.network == "none"
  return {
    id = request.id,
    name = naming.container(request.id),
    dir = request.dir,
    source = request.source,
    root = request.root,
    asked_image = request.image,
    env = request.env,
    secret_names = request.secret_names,
    keep = request.keep,
    owner = request.owner,
    version = request.version,
    place = request.place,
    podman_dir = request.podman_dir,
    image = image.image,
    fallback = image.fallback,
    pull = image.pull or "never",
    network = not isolated and sandbox.network or "none",
    allow = names,
    ports = (isolated or request.publish == "forward") and {} or request.ports,
    forwards = forwarded(request, isolated),
    publish = request.publish,
    extra_mounts = request.extra_mounts or {},
    required_ports = request.required_ports or {},
    needs_image = request.needs_image or false,
    publish_address = sandbox.publish_address or "127.0.0.1",
    user = sandbox.user,
    http_proxy = sandbox.http_proxy or false,
    limits = asked,
    shm_size = sandbox.shm_size and limits.bytes(sandbox.shm_size),
    require_limits = sandbox.require_resource_limits or false,
    drop_limits = false,
    init = sandbox.init ~= false,
    guest = request.guest,
    setuid = sandbox.setuid or false,
    nested_namespaces = sandbox.nested_namespaces or false,
    search = request.search,
  }
end

local function published(p)
  local ports = {}
  for i, port in ipairs(p.ports) do
    ports[i] = { address = p.publish_address, host = port, container = port }
  end
  return ports
end

local function ulimits(hard)
  return {
    { name = "nofile", soft = hard.nofile, hard = hard.nofile },
    { name = "nproc", soft = hard.nproc, hard = hard.nproc },
  }
end

local function mounts(p, context)
  local list = {}
  if p.source then list[1] = { source = p.source, target = p.dir, read_only = false } end
  for _, it in ipairs(p.extra_mounts) do
    list[#list + 1] = { source = it.source, target = it.target, read_only = not it.writable }
  end
  if p.search then
    list[#list + 1] = { source = p.search, target = guest.SEARCH_TARGET, read_only = true }
  end
  local files = p.allow and context.network_files
  if files then
    list[#list + 1] = { source = files.resolv, target = "/etc/resolv.conf", read_only = true }
    list[#list + 1] = { source = files.hosts, target = "/etc/hosts", read_only = true }
  end
  if p.guest then
    list[#list + 1] = { source = p.guest, target = guest.TARGET, read_only = true }
    list[#list + 1] = { source = context.link_dir, target = guest.LINK_TARGET, read_only = true }
  end
  return list
end

-- The guest is an init itself.
local function first_process(p)
  if not p.guest then return COMMAND, p.init end
  return { guest.TARGET, p.dir, guest.LINK_TARGET }, false
end

--- The specification for core.argv.run.
---@param p axo.Plan
---@param context { podman: string, seccomp: string, cidfile: string?, pidfile: string?, link_dir: string?, network_files: { resolv: string, hosts: string }?, hard_limits: table? }
---@return table
function plan.spec(p, context)
  local capped = p.drop_limits and {} or p.limits
  local command, init = first_process(p)
  local users, groups = p.mapped and p.mapped.users, p.mapped and p.mapped.groups
  return {
    podman = context.podman,
    name = p.name,
    image = p.image,
    command = command,
    workdir = p.dir,
    user = p.user,
    network = p.network,
    runtime = p.runtime,
    pull = "never",
    seccomp = context.seccomp,
    setuid = p.setuid,
    nested_namespaces = p.nested_namespaces,
    pidfile = context.pidfile,
    cidfile = context.cidfile,
    mounts = mounts(p, context),
    env = p.source and git.trusting(p.env, { p.dir }) or p.env,
    labels = plan.labels(p),
    ports = published(p),
    ulimits = p.ulimits and context.hard_limits and ulimits(context.hard_limits) or {},
    memory = capped.memory,
    shm_size = p.shm_size,
    cpus = capped.cpus,
    pids = capped.pids,
    init = init,
    http_proxy = p.http_proxy,
    users_id = users and users.id, users_count = users and users.count,
    groups_id = groups and groups.id, groups_count = groups and groups.count,
  }
end

--- What the plan gives back of the floor, by the names of policy's fields.
---@param p axo.Plan
---@return string[]
function plan.given_back(p)
  local names = {}
  for _, name in ipairs { "setuid", "nested_namespaces" } do
    if p[name] then names[#names + 1] = name end
  end
  return names
end

--- The labels of the plan's container.
---@param p axo.Plan
---@return table<string, string>
function plan.labels(p)
  if p.labels then return p.labels end
  return naming.labels {
    id = p.id, dir = p.dir, root = p.root, version = p.version, owner = p.owner,
    instance = p.instance,
    image = p.asked_image, ports = p.ports, limits = p.limits,
    path = p.guest and "native" or "portable", secrets = p.secret_names,
    keep = p.keep, given_back = plan.given_back(p),
    place = p.place, podman_dir = p.podman_dir, user = p.user,
    address = p.publish_address, mounts = p.extra_mounts,
  }
end

--- The ports that the plan cannot do without, in their order.
---@param p axo.Plan
---@return integer[]
function plan.required(p)
  local list = {}
  for _, port in ipairs(p.ports) do
    if p.required_ports[port] then list[#list + 1] = port end
  end
  return list
end

--- The plan as the retry policy sees it.
---@param p axo.Plan
---@return table
function plan.summary(p)
  return {
    image = p.image,
    fallback = p.fallback,
    pull = p.pull,
    pulled = p.pulled or false,
    network = p.network,
    allow = p.allow and tables.merged(p.allow),
    ports = tables.merged(p.ports),
    required_ports = plan.required(p),
    limits = tables.merged(p.limits),
    drop_limits = p.drop_limits,
    require_resource_limits = p.require_limits,
    ulimits = p.ulimits,
    runtime = p.runtime,
    firewall = p.firewall,
    init = p.init,
  }
end

local function apply_limits(p, changes)
  if not changes.drop_limits then return nil end
  if p.require_limits then
    return "the limits are required, and the retry policy asked to drop them"
  end
  p.drop_limits = true
end

local function apply_network(p, changes)
  if not changes.network or changes.network == p.network then return nil end
  if changes.network ~= "none" then
    return ("the retry policy asked for network %q, which the sandbox policy did not allow")
      :format(changes.network)
  end
  p.network = "none"
  if p.guest and p.publish ~= "podman" then
    local forwards = tables.merged(p.forwards)
    p.forwards = table.move(p.ports, 1, #p.ports, #forwards + 1, forwards)
  end
  p.ports = {}
end

local function apply_ports(p, changes)
  if changes.drop_ports == "all" then
    p.ports = {}
  elseif changes.drop_ports then
    p.ports = without_ports(p.ports, changes.drop_ports)
  end
end

-- Who asked for a port gets it, or an error.
local function check_ports(before, after)
  local gone = without_ports(before.ports, after.ports)
  for _, port in ipairs(without_ports(gone, after.forwards)) do
    if before.required_ports[port] then
      return ("the port %d was asked for and cannot be published"):format(port)
    end
  end
end

--- Applies the changes that the retry policy decided on. A change never loosens what the
--- sandbox policy decided.
---@param p axo.Plan not modified
---@param changes table
---@return axo.Plan? changed, string? problem
function plan.apply(p, changes)
  local changed = tables.merged(p)
  local problem = apply_limits(changed, changes) or apply_network(changed, changes)
  if not problem and changes.image and p.needs_image then
    problem = ("the image %s was asked for, and the retry policy would run %s"):format(
      p.asked_image, changes.image)
  end
  if problem then return nil, problem end
  apply_ports(changed, changes)
  problem = check_ports(p, changed)
  if problem then return nil, problem end
  for _, key in ipairs { "ulimits", "runtime", "firewall", "image", "init" } do
    if changes[key] ~= nil then changed[key] = changes[key] end
  end
  return changed
end

--- What this host needed, and loses nothing by: worth doing again at the next start.
---@param p axo.Plan
---@return { runtime: string?, ulimits: string?, firewall: string? }
function plan.adaptations(p)
  return { runtime = p.runtime, ulimits = p.ulimits, firewall = p.firewall }
end

--- What was given up to make the start work: to be tried again before long.
---@param p axo.Plan
---@param first axo.Plan the plan before any change
---@return { drop_limits: boolean?, network: string?, init: boolean? }
function plan.concessions(p, first)
  local given_up = {}
  for _, key in ipairs { "drop_limits", "network", "init" } do
    if p[key] ~= first[key] then given_up[key] = p[key] end
  end
  return given_up
end

local DIFFERENCES = {
  { key = "image", text = "the image is now %s" },
  { key = "network", text = "the network is now %s" },
  { key = "runtime", text = "podman's own OCI runtime does not work on this host: using %s" },
  { key = "firewall", text = "netavark's own choice of a firewall does not work on this host: "
    .. "using %s" },
  { key = "ulimits", text = "this host refuses podman's limits for files and processes "
    .. "(ulimits): its hard limits are used" },
  { key = "drop_limits", text = "resource limits are not applied: this host refuses them" },
  { key = "init", text = "no reaper as PID 1: this host has none" },
}

--- What a change means, in words; nil when nothing changed.
---@param before axo.Plan
---@param after axo.Plan
---@return string?
function plan.difference(before, after)
  local parts = {}
  for _, it in ipairs(DIFFERENCES) do
    if before[it.key] ~= after[it.key] then
      parts[#parts + 1] = it.text:format(tostring(after[it.key]))
    end
  end
  if #after.ports < #before.ports then
    local gone = without_ports(without_ports(before.ports, after.ports), after.forwards)
    if not gone[1] then return parts[1] and table.concat(parts, "; ") end
    parts[#parts + 1] = "not published: " .. table.concat(gone, ", ")
  end
  return parts[1] and table.concat(parts, "; ")
end

return plan
