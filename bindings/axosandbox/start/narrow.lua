--- What a session gets at most, whatever was asked for and policy decides: a project's own word on
--- its sessions. It can only take away.
local allow = require "axosandbox.policy.allow"
local shapes = require "axosandbox.policy.shapes"

local narrow = {}

local size = { type = "string|integer", check = shapes.fields.shm_size.check }

--- The shape of the option.
narrow.SHAPE = {
  network = { type = "string|table", check = function(value)
    if value == "bridge" then return 'expected none or { allow = { "api.example.com" } }' end
    return shapes.fields.network.check(value)
  end },
  memory = size, shm_size = size,
  cpus = { type = "number", min = 0.01, max = 65536 },
  pids = { type = "integer", min = 1, max = 2 ^ 32 },
  require_resource_limits = "boolean",
}

-- No limit is more than any. podman's own for /dev/shm is what it is without.
local SHM_SIZE = "64m"

local function smaller(value, most)
  if not most then return value end
  if not value or shapes.bytes(most) < shapes.bytes(value) then return most end
  return value
end

local function lower(value, most)
  if not most then return value end
  return value and math.min(value, most) or most
end

-- Names are fewer than all, and none is fewer than names.
local function narrower(network, most)
  if network == "none" or most == "none" then return "none" end
  if network == "bridge" then return most end
  return { allow = allow.common(network.allow, most.allow) }
end

--- Takes away from a sandbox decision what a project does, as `axo.start` does with its `narrow`.
---
---     local decision = assert(policy:decide("sandbox", {
---       id = "demo", dir = "/some/project", dir_real = "/some/project",
---       ports = {}, env = {}, env_names = {}, secret_names = {},
---       host = { uid = 0, home = "/root", os = "Linux", rootless = false },
---     }))
---     axo.policy.narrow(decision, { network = "none", memory = "256m" })
---     print(decision.network, decision.limits.memory)  --> none	256m
---@param sandbox axo.policy.SandboxDecision is changed
---@param most axo.Narrow?
function narrow.apply(sandbox, most)
  if not most then return end
  if most.network then sandbox.network = narrower(sandbox.network, most.network) end
  local limits = sandbox.limits
  limits.memory = smaller(limits.memory, most.memory)
  limits.cpus = lower(limits.cpus, most.cpus)
  limits.pids = lower(limits.pids, most.pids)
  if most.shm_size then
    sandbox.shm_size = smaller(sandbox.shm_size or SHM_SIZE, most.shm_size)
  end
  if most.require_resource_limits then sandbox.require_resource_limits = true end
end

return narrow
