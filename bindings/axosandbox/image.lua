--- Which image a session runs, and getting it.
local core = require "axosandbox.core"
local errors = require "axosandbox.errors"
local log = require "axosandbox.log"
local naming = require "axosandbox.naming"

local image = {}

image.DEFAULT = "docker.io/library/alpine:3.20"

local PULL_TIMEOUT = 300

local function denied(set, reason)
  return nil, errors.new {
    code = "POLICY", op = "image", message = "the image is refused: " .. reason,
    hint = "see " .. set:source "image_trust",
  }
end

--- Asks the image policy.
---@param set axo.Policy
---@param asked string? the reference that was asked for; nil is the default image
---@param optional boolean? another one may run where policy refuses it
---@return axo.policy.ImageDecision? decision, axo.Error?
function image.decide(set, asked, optional)
  local reference, err
  if asked ~= nil then
    reference, err = core.reference.parse(asked)
    if not reference then return nil, err end
  end
  local decision
  decision, err = set:decide("image_trust", {
    image = asked,
    optional = optional or nil,
    reference = reference,
    default = image.DEFAULT,
    embedded = naming.EMBEDDED_IMAGE,
    fields = set:fields(),
  })
  if not decision then return nil, err end
  if decision.deny then return denied(set, decision.deny) end
  if not asked or optional then return decision end
  -- Who named an image gets that image, or an error.
  if not (decision.replaces or image.same(decision.image, asked)) then
    return denied(set, ("%s was asked for, and policy would run %s"):format(
      reference.text, decision.image))
  end
  decision.fallback = nil
  return decision
end

--- Whether two references name the same image; text such as "alpine" is normalised first.
---@param a string?
---@param b string?
---@return boolean
function image.same(a, b)
  if a == b then return true end
  local left, right = a and core.reference.parse(a), b and core.reference.parse(b)
  return left ~= nil and right ~= nil and left.text == right.text
end

--- True for the embedded image.
---@param name string?
---@return boolean
function image.is_embedded(name)
  return name ~= nil and image.same(name, naming.EMBEDDED_IMAGE)
end

local function progress(name)
  return function(bytes)
    for line in bytes:gmatch "[^\r\n]+" do
      -- A complaint is the error's to tell, or the warning's that comes of it.
      local level = line:find "^Error:" and "debug" or "info"
      log.emit(level, line, { op = "pull", image = name })
    end
  end
end

--- The request that pulls `name` under a deadline of its own: `argv, options` for a client.
--- podman itself waits two minutes on a registry that answers "too many requests".
---@param client axo.Client
---@param name string
---@param timeout number? seconds
---@return string[]? argv, table|axo.Error
function image.pull_request(client, name, timeout)
  local argv, err = core.argv.pull { podman = client.program, image = name }
  if not argv then return nil, err end
  log.emit("info", "pulling " .. name, { op = "pull", image = name })
  return argv, { op = "pull", timeout = timeout or PULL_TIMEOUT, progress = progress(name) }
end

return image
