--- What earlier starts on this host found out, applied to the first plan of the next one.
---
--- Two kinds. Adaptations (the OCI runtime, ulimits) cost nothing and are kept for weeks.
--- Concessions (limits dropped, no network, the fallback image) give something up: they are
--- kept for minutes, each start that makes them warns, and then they are tried again.
local host = require "axosandbox.host"
local plan = require "axosandbox.start.plan"

local learnt = {}

local WEEKS = 21 * 24 * 3600
local MINUTES = 10 * 60

-- Complaints that have nothing to do with how this host was adapted to.
local UNRELATED = {
  IMAGE_NOT_FOUND = true, IMAGE_DENIED = true, REGISTRY_UNREACHABLE = true, RATE_LIMIT = true,
  NAME_IN_USE = true, PORT_CONFLICT = true, NO_SPACE = true, MOUNT_SOURCE_MISSING = true,
  MACHINE_NOT_RUNNING = true, STORAGE_LOCKED = true,
}

local function recall(start, key)
  local value = host.recall(key, start.client.program)
  return type(value) == "table" and value or {}
end

local function adapt(start)
  local known = start.client.adaptations
  local p = start.plan
  p.runtime = type(known.runtime) == "string" and known.runtime or nil
  p.ulimits = known.ulimits == "host" and "host" or nil
  p.firewall = start.client.firewall
  start.remembered = next(plan.adaptations(p)) ~= nil
end

local CONCESSIONS = {
  { key = "drop_limits", value = true,
    text = "resource limits are not applied: this host refused them a moment ago" },
  { key = "network", value = "none",
    text = "no network: this host could not provide one a moment ago" },
  { key = "init", value = false,
    text = "no reaper as PID 1: this host could not provide one a moment ago" },
}

local function concede(start)
  local known = recall(start, "concessions")
  for _, it in ipairs(CONCESSIONS) do
    if known[it.key] == it.value and start.plan[it.key] ~= it.value then
      -- A plan that requires its limits refuses this, as it should.
      local changed = plan.apply(start.plan, { [it.key] = it.value })
      if changed then
        start.plan, start.conceded = changed, true
        start:warn(it.text, it.key == "network"
          or it.key == "drop_limits" and start.set:fields().limits ~= nil)
      end
    end
  end
end

local function retract(start)
  for i = #start.warnings, 1, -1 do
    for _, it in ipairs(CONCESSIONS) do
      if start.warnings[i] == it.text then table.remove(start.warnings, i) break end
    end
  end
end

local function fall_back(start)
  local p = start.plan
  if not p.fallback then return end
  local known = recall(start, "fallback:" .. p.image)
  if known.image ~= p.fallback then return end
  start:mention(("the image %s could not be downloaded: %s runs"):format(p.image, p.fallback),
    "fallback:" .. p.image)
  p.image, p.wanted_image = p.fallback, p.image
end

--- Changes a start's first plan to what is known to work here.
---@param start axo.Start
function learnt.apply(start)
  start.undisturbed = start.plan
  start.plan = assert(plan.apply(start.plan, {}))
  adapt(start)
  concede(start)
  fall_back(start)
  start.learnt_plan = start.plan
end

local function differ(one, other)
  for key, value in pairs(one) do
    if other[key] ~= value then return true end
  end
  return false
end

--- Remembers what a start that worked needed.
---@param start axo.Start
function learnt.keep(start)
  local program = start.client.program
  local adaptations = plan.adaptations(start.plan)
  local known = plan.adaptations(start.learnt_plan)
  if differ(adaptations, known) or differ(known, adaptations) then
    host.remember("adaptations", next(adaptations) and adaptations or nil, WEEKS, program)
  end
  local concessions = plan.concessions(start.plan, start.learnt_plan)
  if next(concessions) then host.remember("concessions", concessions, MINUTES, program) end
end

--- Remembers that another image had to stand in.
---@param start axo.Start
---@param wanted string
---@param used string
function learnt.fallback(start, wanted, used)
  start.plan.wanted_image = start.plan.wanted_image or wanted
  host.remember("fallback:" .. wanted, { image = used }, MINUTES, start.client.program)
end

--- Called on a failure: when what was remembered may be its cause, it is forgotten and the
--- plan made anew without it. True when there is something new to try.
---@param start axo.Start
---@param meaning { class: string }
---@return boolean
function learnt.blame(start, meaning)
  if UNRELATED[meaning.class] or not (start.remembered or start.conceded) then return false end
  host.remember("adaptations", nil, 0, start.client.program)
  host.remember("concessions", nil, 0, start.client.program)
  retract(start)
  local failed, p = start.plan, assert(plan.apply(start.undisturbed, {}))
  p.image, p.base_image, p.wanted_image = failed.image, failed.base_image, failed.wanted_image
  start.plan, start.learnt_plan = p, p
  start.remembered, start.conceded = false, false
  return true
end

--- The image that provisioning may have made earlier, in the place of the plan's. When it is
--- not there, podman says so at once; when it is old, it is made anew, since the image that it
--- is based on moves on.
---@param start axo.Start
---@param cached string
function learnt.use_cache(start, cached)
  local known = recall(start, "cache:" .. cached)
  if known.failed or (known.made and known.made + WEEKS < os.time()) then return end
  start.plan.base_image, start.plan.image = start.plan.image, cached
end

--- True when making that image failed a moment ago: a start does not wait for that again.
---@param start axo.Start
---@param cached string
---@return boolean
function learnt.failed_lately(start, cached)
  return recall(start, "cache:" .. cached).failed == true
end

--- Remembers when the cached image was made, or that making it failed.
---@param start axo.Start
---@param cached string
---@param made boolean
function learnt.keep_cache(start, cached, made)
  local value = made and { made = os.time() } or { failed = true }
  host.remember("cache:" .. cached, value, made and 2 * WEEKS or MINUTES, start.client.program)
end

--- The cached image is not there: back to the one it is made from.
---@param start axo.Start
---@return true
function learnt.forget_cache(start)
  start.plan.image, start.plan.base_image = start.plan.base_image, nil
  return true
end

return learnt
