--- Images on this machine: which there are and may run, and what the operator agrees to.
local uv = require "luv"
local cjson = require "cjson.safe"
local audit = require "axosandbox.audit"
local core = require "axosandbox.core"
local consent = require "axosandbox.podman.images.consent"
local errand = require "axosandbox.podman.images.errand"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local image = require "axosandbox.podman.image"
local naming = require "axosandbox.base.naming"
local options = require "axosandbox.base.options"
local policy = require "axosandbox.policy"
local tables = require "axosandbox.base.tables"

local images = {}

local must = errors.must

-- ---- which there are -------------------------------------------------------------------

---@class axo.ImageInfo
---@field name string
---@field digest string
---@field size integer bytes
---@field created integer? seconds since the epoch
---@field packages string[]? of one that was made here
---@field made boolean it was made here, by `make`
---@field is_default boolean it runs where none is asked for
---@field projects string[] the directories whose sessions run it, as the operator agreed
---@field trusted boolean policy lets any session run it that asks for it
---@field refused string? why not

local function names_of(entry)
  local names = {}
  for _, name in ipairs(type(entry.Names) == "table" and entry.Names or {}) do
    local reference = type(name) == "string" and core.reference.parse(name)
    if reference and not reference.digest then names[#names + 1] = reference.text end
  end
  return names
end

local function projects_of(all, digest)
  local dirs = {}
  for _, dir in ipairs(tables.keys(all.projects)) do
    if all.projects[dir].digest == digest then dirs[#dirs + 1] = dir end
  end
  return dirs
end

local function judged(set, name, agreed)
  local decision = must(set:decide("image_trust",
    image.question(set, name, nil, core.reference.parse(name), nil, agreed)))
  return decision.deny == nil and image.same(decision.image, name), decision.deny
end

local function describe(set, all, entry, name)
  local digest = image.digest_of(entry)
  local made = all.made[digest]
  local trusted, refused = judged(set, name, made and "made" or nil)
  return {
    name = name, digest = digest, size = math.tointeger(entry.Size) or 0,
    created = math.tointeger(entry.Created),
    made = made ~= nil, packages = made and tables.merged(made.packages) or nil,
    is_default = image.same(name, image.DEFAULT),
    projects = projects_of(all, digest), trusted = trusted, refused = refused,
  }
end

-- What provisioning keeps is no image that anybody asks for. podman has an entry for each name, with
-- all of them.
local function is_shown(name, seen)
  if seen[name] then return false end
  seen[name] = true
  return name:sub(1, #naming.CACHE_IMAGE + 1) ~= naming.CACHE_IMAGE .. ":"
end

local function listed(self)
  local answer = must(self:ask { self.client.program, "images", "--no-trunc", "--format=json" })
  local entries = cjson.decode(answer.stdout)
  if type(entries) ~= "table" then
    errors.raise { code = "PODMAN", op = self.op, message = "podman's answer is no list of images" }
  end
  return entries
end

--- The images on this machine that have a name, each with who may run it.
---
---     for _, image in ipairs(assert(axo.images.list())) do
---       if image.trusted then print(image.name, image.digest, image.size) end
---     end
---@param callback fun(err: axo.Error?, list: axo.ImageInfo[]?)?
---@return axo.ImageInfo[]? list sorted by name, axo.Error?
function images.list(callback)
  return errand.begin("image ls", function(self)
    local set, all, list, seen = must(policy.new()), consent.read(), {}, {}
    for _, entry in ipairs(listed(self)) do
      for _, name in ipairs(image.digest_of(entry) and names_of(entry) or {}) do
        if is_shown(name, seen) then list[#list + 1] = describe(set, all, entry, name) end
      end
    end
    table.sort(list, function(a, b) return a.name < b.name end)
    return list
  end, callback)
end

-- ---- agreeing --------------------------------------------------------------------------

--- The name and digest of an image that is here; a short name may stand for one that was made here.
---@param self axo.ImageErrand
---@param asked string
---@return string name, string? digest nil: it is not here
local function find(self, asked)
  local reference = must(core.reference.parse(asked))
  local found = image.find_local(self, asked)
  local name = found and not found.is_second and found.reference.text or reference.text
  return name, image.digest(self, name)
end

local function absent(self, name, advice)
  advice = advice or name:find "^localhost/" and "make_image" or "pull_image"
  errors.raise {
    code = "NOT_FOUND", op = self.op,
    message = ("the image %s is not on this machine"):format(name),
    hint = hints.TABLE[advice].lua,
  }
end

local function directory(self, dir)
  local real = uv.fs_realpath(dir)
  local stat = real and uv.fs_stat(real)
  if stat and stat.type == "directory" then return real end
  errors.raise {
    code = "ENOENT", op = self.op, message = ("there is no directory %s"):format(dir),
  }
end

-- Policy has the last word, and may say no to what was agreed to.
local function check_policy(self, name)
  local set = must(policy.new())
  local allowed, why = judged(set, name, "project")
  if allowed then return end
  errors.raise {
    code = "POLICY", op = self.op, message = "the image is refused: " .. (why or name),
    hint = set:hint "image_trust",
  }
end

local USE = { image = { type = "string", required = true }, dir = {
  type = "string", required = true } }

---@class axo.UseImage
---@field image string its name; it is on this machine
---@field dir string the project's directory

--- Agrees to an image for the sessions of a directory, by its digest: `axolua` takes it there where
--- none is asked for, and policy trusts it there. Policy may still refuse.
---
---     local agreed, err = axo.images.use { image = "tools:2", dir = "/some/project" }
---     print(agreed and agreed.digest or err.message)
---@param opts axo.UseImage
---@param callback fun(err: axo.Error?, agreed: axo.AgreedImage?)?
---@return axo.AgreedImage? agreed, axo.Error? code "NOT_FOUND", "ENOENT", "POLICY"
function images.use(opts, callback)
  options.check(USE, opts, "axosandbox.images.use", 2)
  local asked, dir = opts.image, opts.dir
  return errand.begin("image use", function(self)
    dir = directory(self, dir)
    local name, digest = find(self, asked)
    if not digest then absent(self, name) end
    check_policy(self, name)
    local agreed = { image = name, digest = digest, at = os.time() }
    consent.change(function(all) all.projects[dir] = agreed end)
    audit.emit("image_use", nil, { image = name, digest = digest, dir = dir })
    return agreed
  end, callback)
end

--- Takes that back: sessions of the directory run the default image again.
---
---     print(assert(axo.images.forget "/some/project" ~= nil))  --> true
---@param dir string
---@param callback fun(err: axo.Error?, forgotten: boolean?)?
---@return boolean? forgotten whether there was anything, axo.Error?
function images.forget(dir, callback)
  if type(dir) ~= "string" then error("axosandbox.images.forget: the directory is missing", 2) end
  return errand.begin("image use", function()
    local real, had = uv.fs_realpath(dir) or dir, nil
    consent.change(function(all)
      had = all.projects[real]
      all.projects[real] = nil
    end)
    if had then
      audit.emit("image_forget", nil, { image = had.image, digest = had.digest, dir = real })
    end
    return had ~= nil
  end, callback)
end

--- The image that was agreed to for a directory.
---@type fun(dir: string): axo.AgreedImage?
images.of = consent.of

-- ---- removing --------------------------------------------------------------------------

local function forget_image(name, digest)
  consent.change(function(all)
    if digest then all.made[digest] = nil end
    for dir, agreed in pairs(all.projects) do
      if agreed.digest == digest or agreed.image == name then all.projects[dir] = nil end
    end
  end)
end

--- Removes an image from this machine, and all that was agreed to about it. One that a container
--- uses stays, and what was agreed to with it.
---
---     print(assert(axo.images.remove "tools:2"))
---@param name string
---@param callback fun(err: axo.Error?, removed: string?)?
---@return string? removed its name in full, axo.Error? code "NOT_FOUND", or podman's complaint
function images.remove(name, callback)
  if type(name) ~= "string" then error("axosandbox.images.remove: the name is missing", 2) end
  return errand.begin("image rm", function(self)
    local whole, digest = find(self, name)
    if not digest then
      forget_image(whole)
      absent(self, whole, "list_images")
    end
    must(self:ask { self.client.program, "image", "rm", "--", whole })
    -- It may have other names, by which it goes on.
    if not image.digest(self, digest:match "^sha256:(%x+)$") then forget_image(whole, digest) end
    audit.emit("image_rm", nil, { image = whole, digest = digest })
    return whole
  end, callback)
end

return images
