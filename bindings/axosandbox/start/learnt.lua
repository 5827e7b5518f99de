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

local function recall(job, key)
  local value = host.recall(key, job.client.program)
  return type(value) == "table" and value or {}
end

local function adapt(job)
  local known = job.client.adaptations
  local p = job.plan
  p.runtime = type(known.runtime) == "string" and known.runtime or nil
  p.ulimits = known.ulimits == "host" and "host" or nil
  p.firewall = job.client.firewall
  job.remembered = next(plan.adaptations(p)) ~= nil
end

local CONCESSIONS = {
  { key = "drop_limits", value = true,
    text = "resource limits are not applied: this host refused them a moment ago" },
  { key = "network", value = "none",
    text = "no network: this host could not provide one a moment ago" },
  { key = "init", value = false,
    text = "no reaper as PID 1: this host could not provide one a moment ago" },
}

local function concede(job)
  local known = recall(job, "concessions")
  for _, it in ipairs(CONCESSIONS) do
    if known[it.key] == it.value and job.plan[it.key] ~= it.value then
      -- A plan that requires its limits refuses this, as it should.
      local changed = plan.apply(job.plan, { [it.key] = it.value })
      if changed then
        job.plan, job.conceded = changed, true
        job:warn(it.text, it.key == "network"
          or it.key == "drop_limits" and job.set:fields().limits ~= nil)
      end
    end
  end
end

local function retract(job)
  for i = #job.warnings, 1, -1 do
    for _, it in ipairs(CONCESSIONS) do
      if job.warnings[i] == it.text then table.remove(job.warnings, i) break end
    end
  end
end

local function fall_back(job)
  local p = job.plan
  if not p.fallback then return end
  local known = recall(job, "fallback:" .. p.image)
  if known.image ~= p.fallback then return end
  job:mention(("%s could not be had a moment ago: using %s"):format(p.image, p.fallback),
    "fallback:" .. p.image)
  p.image, p.wanted_image = p.fallback, p.image
end

--- Changes a job's first plan to what is known to work here.
---@param job axo.Job
function learnt.apply(job)
  job.undisturbed = job.plan
  job.plan = assert(plan.apply(job.plan, {}))
  adapt(job)
  concede(job)
  fall_back(job)
  job.learnt_plan = job.plan
end

local function differ(one, other)
  for key, value in pairs(one) do
    if other[key] ~= value then return true end
  end
  return false
end

--- Remembers what a start that worked needed.
---@param job axo.Job
function learnt.keep(job)
  local program = job.client.program
  local adaptations = plan.adaptations(job.plan)
  local known = plan.adaptations(job.learnt_plan)
  if differ(adaptations, known) or differ(known, adaptations) then
    host.remember("adaptations", next(adaptations) and adaptations or nil, WEEKS, program)
  end
  local concessions = plan.concessions(job.plan, job.learnt_plan)
  if next(concessions) then host.remember("concessions", concessions, MINUTES, program) end
end

--- Remembers that another image had to stand in.
---@param job axo.Job
---@param wanted string
---@param used string
function learnt.fallback(job, wanted, used)
  job.plan.wanted_image = job.plan.wanted_image or wanted
  host.remember("fallback:" .. wanted, { image = used }, MINUTES, job.client.program)
end

--- Called on a failure: when what was remembered may be its cause, it is forgotten and the
--- plan made anew without it. True when there is something new to try.
---@param job axo.Job
---@param meaning { class: string }
---@return boolean
function learnt.blame(job, meaning)
  if UNRELATED[meaning.class] or not (job.remembered or job.conceded) then return false end
  host.remember("adaptations", nil, 0, job.client.program)
  host.remember("concessions", nil, 0, job.client.program)
  retract(job)
  local p = assert(plan.apply(job.undisturbed, {}))
  p.image, p.base_image, p.wanted_image = job.plan.image, job.plan.base_image, job.plan.wanted_image
  job.plan, job.learnt_plan = p, p
  job.remembered, job.conceded = false, false
  return true
end

--- The image that provisioning may have made earlier, in the place of the plan's. When it is
--- not there, podman says so at once; when it is old, it is made anew, since the image that it
--- is based on moves on.
---@param job axo.Job
---@param cached string
function learnt.use_cache(job, cached)
  local known = recall(job, "cache:" .. cached)
  if known.failed or (known.made and known.made + WEEKS < os.time()) then return end
  job.plan.base_image, job.plan.image = job.plan.image, cached
end

--- True when making that image failed a moment ago: a start does not wait for that again.
---@param job axo.Job
---@param cached string
---@return boolean
function learnt.failed_lately(job, cached)
  return recall(job, "cache:" .. cached).failed == true
end

--- Remembers when the cached image was made, or that making it failed.
---@param job axo.Job
---@param cached string
---@param made boolean
function learnt.keep_cache(job, cached, made)
  local value = made and { made = os.time() } or { failed = true }
  host.remember("cache:" .. cached, value, made and 2 * WEEKS or MINUTES, job.client.program)
end

--- The cached image is not there: back to the one it is made from.
---@param job axo.Job
---@return true
function learnt.forget_cache(job)
  job.plan.image, job.plan.base_image = job.plan.base_image, nil
  return true
end

return learnt
