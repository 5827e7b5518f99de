--- Which image a session runs, and getting it.
local cjson = require "cjson.safe"
local core = require "axosandbox.core"
local consent = require "axosandbox.podman.images.consent"
local errors = require "axosandbox.base.errors"
local log = require "axosandbox.base.log"
local naming = require "axosandbox.base.naming"

local image = {}

local must = errors.must

image.DEFAULT = "docker.io/library/alpine:3.20"

local PULL_TIMEOUT = 300

local function denied(set, reason)
  errors.raise {
    code = "POLICY", op = "image", message = "the image is refused: " .. reason,
    hint = set:hint "image_trust",
  }
end

-- ---- short names ---------------------------------------------------------------------

-- What a name without a registry, as `podman build -t` takes it, stands for on this machine; nil
-- where it has a registry.
local function local_reading(name)
  local reference = core.reference.parse(name)
  local here = reference and core.reference.parse("localhost/" .. name)
  if not here or reference.registry ~= "docker.io" then return nil end
  local repository = reference.repository
  if repository == here.repository or repository == "library/" .. here.repository then
    return here, reference
  end
end

local function is_here(start, name)
  local argv = core.argv.image_exists { podman = start.client.program, image = name }
  return argv ~= nil and start:ask(argv, { op = "image" }) ~= nil
end

---@class axo.LocalImage
---@field reference axo.Reference localhost/...
---@field is_second boolean the registry's image of that name is here as well, and goes before it

--- The image of this machine that a short name may stand for, in a coroutine: podman's store is
--- asked.
---@param start axo.Start
---@param asked string?
---@return axo.LocalImage? found
function image.find_local(start, asked)
  if not asked then return nil end
  local here, reference = local_reading(asked)
  if not here or not is_here(start, here.text) then return nil end
  return { reference = here, is_second = is_here(start, reference.text) }
end

-- Two images have that name: whoever typed it is told which one runs.
local function tell_apart(start, asked, found, decision)
  local name = found.reference.text
  if image.same(decision.image, name) then
    start:warn(("the image %s is %s, which was made on this machine"):format(asked, name))
  elseif image.same(decision.image, asked) then
    start:warn(("the image %s is %s; %s is here, too: give that name to run it"):format(
      asked, decision.image, name))
  end
end

-- ---- what was agreed to ---------------------------------------------------------------

--- The digest in what podman says of an image, "sha256:" and 64 hexadecimal digits.
---@param description any
---@return string?
function image.digest_of(description)
  local id = type(description) == "table" and description.Id
  id = type(id) == "string" and (id:match "^sha256:(%x+)$" or id:match "^(%x+)$")
  return id and #id == 64 and "sha256:" .. id or nil
end

--- The digest of an image that is here: of its configuration, and so of all of it. In a coroutine.
---@param asker { client: axo.Client, ask: fun(self: any, argv: string[], opts: table): table?, axo.Error? }
---@param name string
---@return string? digest
function image.digest(asker, name)
  local argv = core.argv.inspect { podman = asker.client.program, kind = "image", name = name }
  local answer = argv and asker:ask(argv, { op = "image" })
  local list = answer and cjson.decode(answer.stdout)
  return type(list) == "table" and image.digest_of(list[1]) or nil
end

-- Of the image that would run: a name that is not here is nobody's.
local function agreement(start, reference, found)
  local dir = start.asked.source
  if not reference or not dir or not consent.may_know(dir) then return nil end
  local name = found and not found.is_second and found.reference.text or reference.text
  if image.same(name, image.DEFAULT) or image.is_embedded(name) then return nil end
  return consent.about(name, image.digest(start, name), dir)
end

-- ---- deciding ------------------------------------------------------------------------

--- What the image policy is asked.
---@param set axo.Policy
---@param asked string?
---@param optional boolean?
---@param reference axo.Reference? what `asked` says
---@param found axo.LocalImage?
---@param agreed string? as `consent.about` tells it
---@return table request
function image.question(set, asked, optional, reference, found, agreed)
  return {
    image = asked,
    optional = optional or nil,
    reference = reference,
    local_reference = found and not found.is_second and found.reference or nil,
    agreed = agreed,
    default = image.DEFAULT,
    embedded = naming.EMBEDDED_IMAGE,
    fields = set:fields(),
  }
end

-- Who named an image gets that image, or an error.
local function is_as_asked(decision, asked, request)
  local here = request.local_reference
  return decision.replaces or image.same(decision.image, asked)
    or here ~= nil and image.same(decision.image, here.text)
end

--- Asks the image policy, and says which image a short name stands for; in a coroutine.
--- Raises what fails, and "POLICY" where the image is refused.
---@param start axo.Start with `client`, `set` and `asked`
---@return axo.policy.ImageDecision decision
function image.decide(start)
  local set, asked, optional = start.set, start.asked.image, start.asked.optional_image
  local reference = asked and must(core.reference.parse(asked))
  local found = image.find_local(start, asked)
  local request = image.question(set, asked, optional, reference, found,
    agreement(start, reference, found))
  local decision = must(set:decide("image_trust", request))
  if decision.deny then denied(set, decision.deny) end
  if not asked then return decision end
  if not optional then
    if not is_as_asked(decision, asked, request) then
      denied(set, ("%s was asked for, and policy would run %s"):format(
        reference.text, decision.image))
    end
    decision.fallback = nil
  end
  if found then tell_apart(start, asked, found, decision) end
  return decision
end

--- Whether `name` is what was asked for: the same image, or the one of this machine that a short
--- name stands for.
---@param asked string?
---@param name string?
---@return boolean
function image.may_be(asked, name)
  local here = asked and local_reading(asked)
  return image.same(asked, name) or here ~= nil and image.same(here.text, name)
end

--- Whether two references name the same image; text such as "alpine" is normalised first.
---
---     print(axo.podman.same_image("alpine", "docker.io/library/alpine:latest"))  --> true
---@param a string?
---@param b string?
---@return boolean
function image.same(a, b)
  if a == b then return true end
  local left, right = a and core.reference.parse(a), b and core.reference.parse(b)
  return left ~= nil and right ~= nil and left.text == right.text
end

--- True for the embedded image.
---
---     print(axo.podman.is_embedded(sb:image()))
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
---@return string[] argv, axo.RequestOptions
function image.pull_request(client, name, timeout)
  local argv = must(core.argv.pull { podman = client.program, image = name })
  log.emit("info", "pulling " .. name, { op = "pull", image = name })
  return argv, { op = "pull", timeout = timeout or PULL_TIMEOUT, progress = progress(name) }
end

return image
