--- Pulling an image, and nothing else: who may run it is another question.
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errand = require "axosandbox.podman.images.errand"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local image = require "axosandbox.podman.image"
local options = require "axosandbox.base.options"
local podman = require "axosandbox.podman"
local pull_progress = require "axosandbox.podman.images.pull_progress"

local pull = {}

local OP = "image pull"

local must = errors.must

local DEFAULT_TIMEOUT = 1800
local MAX_TIMEOUT = 7 * 24 * 3600

local OPTIONS = {
  image = { type = "string", required = true },
  timeout = { type = "number", min = 1, max = MAX_TIMEOUT },
  on_progress = "function",
}

local REASONS = {
  REGISTRY_UNREACHABLE = {
    "the registry %s cannot be reached from here",
    hints.TABLE.make_image.lua,
  },
  RATE_LIMIT = { "the registry %s wants fewer requests just now", "try again in some minutes" },
  IMAGE_DENIED = { "the registry %s gives this image to nobody it does not know",
    "podman login REGISTRY" },
  IMAGE_NOT_FOUND = { "the registry %s has no such image", "check its name and its tag" },
}

local function explained(err, reference)
  if err.code == "CANCELLED" then return err end
  local meaning = err.code == "PODMAN" and podman.classify(err.stderr or "", err.exit_code)
  local words = meaning and REASONS[meaning.class]
  if err.code ~= "TIMEOUT" and not words then return err end
  return errors.new {
    code = words and meaning.class or "TIMEOUT", op = OP,
    message = ("%s was not pulled: %s"):format(reference.text, words
      and words[1]:format(reference.registry) or "it took too long"),
    hint = words and words[2]:gsub("REGISTRY", reference.registry)
      or hints.TABLE.more_time.lua,
    stderr = err.stderr, exit_code = err.exit_code,
  }
end

local function check(reference)
  if reference.registry ~= "localhost" then return end
  errors.raise {
    code = "INVALID", op = OP, message = reference.text .. " is an image of this machine's own: "
      .. "no registry has it", hint = hints.TABLE.make_image.lua,
  }
end

---@class axo.PullImage
---@field image string
---@field timeout number? seconds, 1800 by default
---@field on_progress (fun(progress: axo.PullProgress))? is told how far it is, several times a second

---@class axo.PulledImage
---@field name string in full
---@field digest string

-- What podman draws goes to nobody but as numbers.
local function request(self, name, timeout, on_progress)
  if not on_progress then
    return self:ask(image.pull_request(self.client, name, timeout))
  end
  local argv = must(core.argv.pull { podman = self.client.program, image = name })
  local watch = pull_progress.watch()
  return self:watch(argv, {
    timeout = timeout,
    on_output = function(bytes)
      local progress = watch:feed(bytes)
      if progress then await.protect(on_progress, progress) end
    end,
  })
end

--- Pulls an image. That it is here allows nothing: see `use`. What podman says meanwhile goes to
--- `axo.set_logger`.
---
---     local pulled = assert(axo.images.pull { image = "node:22" })
---     assert(axo.images.use { image = pulled.name, dir = "/some/project" })
---@param opts axo.PullImage
---@param callback fun(err: axo.Error?, pulled: axo.PulledImage?)?
---@return axo.PulledImage? pulled, axo.Error? code "REGISTRY_UNREACHABLE", "IMAGE_NOT_FOUND", "IMAGE_DENIED", "RATE_LIMIT", "TIMEOUT", "CANCELLED" or "PODMAN"
function pull.pull(opts, callback)
  options.check(OPTIONS, opts, "axosandbox.images.pull", 2)
  local asked, timeout = opts.image, opts.timeout or DEFAULT_TIMEOUT
  local on_progress = opts.on_progress
  return errand.begin(OP, function(self)
    local reference = must(core.reference.parse(asked))
    check(reference)
    local result, err = request(self, reference.text, timeout, on_progress)
    if not result then error(explained(err, reference), 0) end
    return { name = reference.text, digest = must(image.digest(self, reference.text)) }
  end, callback)
end

return pull
