-- Which image a session really runs, and whether it may be downloaded.
--
-- An image is a program that somebody else made. Only the default image is used, unless the
-- calling program trusts all of them (`allow_untrusted_image = true`), the image is on the list
-- below or on the calling program's list (`allow_images`), or the operator agreed to it on this
-- machine (`request.agreed`). A name without a registry is the
-- registry's image, or the one of that name that was built on this machine; whichever it is runs
-- only if its own name is trusted. Any other image is refused: who asks for one image must not
-- get another. Only where it need not be that one (`request.optional`: a project's
-- devcontainer.json wants it, nobody typed it) the default one takes its place, with a warning.
--
-- To trust an image on this machine, do not change this file: put a file of the same name into
-- /etc/axosandbox/policy that sets request.fields.allow_images and calls `default(request)`;
-- README.md beside this file shows how.
--
-- Asked at every start. `request` holds:
--   image (as it was asked for; nil: none was), optional (another one may run), reference = its
--   parts { registry, repository, tag, digest, text }, local_reference = the parts of
--   localhost/NAME where NAME, without a registry, was asked for and of the two only that one is
--   on this machine, default (the default image), embedded (the name of the image that this
--   machine builds for itself where no registry can be reached),
--   agreed = what the operator agreed to about the image of that name that is on this machine, by
--   its digest: "made" (it was made here: `axolua image make`), "project" (it is the one for the
--   session's directory: `axolua image use`); or why that does not count: "changed" (by now
--   another image has the name), "gone" (none has),
--   fields = what the calling program set in its `policy` table.
-- The answer: { image, pull = "missing" | "never", fallback, warning } or { deny = "reason" }.
-- `fallback` is the local image to use when a download fails and no image, or an optional one,
-- was asked for. Another image than was asked for is an error, but for an optional one, unless
-- the answer says `replaces = true`: it is the same by another name (a mirror's, a digest).

local DEFAULT = {
  registry = "docker.io", repository = "library/alpine", tag = "3.20",
  text = "docker.io/library/alpine:3.20",
}
local EMBEDDED = "localhost/axosandbox/base"

-- Trusted on this machine. An image matches an entry when every part that the entry gives is
-- the same: the parts of the parsed reference, so that "debian" and "docker.io/library/debian"
-- are one and "ghcr.io.example.com" is not ghcr.io. A repository may end with "/*": everything
-- beneath it. A digest matches an image that is asked for by this digest. Examples:
--   { registry = "ghcr.io", repository = "my-company/*" },
--   { registry = "docker.io", repository = "library/debian" },
--   { registry = "registry.example.com:5000" },
--   { digest = "sha256:..." },      -- exactly this image, wherever it comes from
local TRUSTED = {}

local PARTS = { registry = true, repository = true, digest = true }

-- A mistake in an entry must not make it match more.
local function check(entry)
  if type(entry) ~= "table" then error("a list of images holds a " .. type(entry), 0) end
  for key, value in pairs(entry) do
    if not PARTS[key] then
      error(("an entry of a list of images has the unknown key %q (known: digest, registry, "
        .. "repository)"):format(tostring(key)), 0)
    end
    if type(value) ~= "string" then error(("the %s of an image is no text"):format(key), 0) end
  end
  if entry.repository and not entry.registry and not entry.digest then
    error(("the repository %s needs its registry: anybody can have one of that name elsewhere")
      :format(entry.repository), 0)
  end
end

local function parts_of(repository)
  local parts = {}
  for part in repository:gmatch "[^/]+" do parts[#parts + 1] = part end
  return parts
end

local function matches_repository(pattern, repository)
  local wanted, parts = parts_of(pattern), parts_of(repository)
  local is_open = wanted[#wanted] == "*"
  if is_open then wanted[#wanted] = nil end
  for i, part in ipairs(wanted) do
    if part ~= parts[i] then return false end
  end
  if is_open then return #parts > #wanted end
  return #parts == #wanted
end

local function matches(entry, reference)
  check(entry)
  if not (entry.registry or entry.repository or entry.digest) then return false end
  if entry.registry and entry.registry ~= reference.registry then return false end
  if entry.digest and entry.digest ~= reference.digest then return false end
  return not entry.repository or matches_repository(entry.repository, reference.repository)
end

local function is_listed(list, reference)
  for _, entry in ipairs(list or {}) do
    if matches(entry, reference) then return true end
  end
  return false
end

local function is_default(reference)
  return reference.registry == DEFAULT.registry and reference.repository == DEFAULT.repository
    and reference.tag == DEFAULT.tag and not reference.digest
end

local function embedded_name(request)
  return type(request.embedded) == "string" and request.embedded or EMBEDDED
end

local function is_embedded(reference, request)
  local registry, repository = embedded_name(request):match "^([^/]+)/([^:@]+)"
  return reference.registry == registry and reference.repository == repository
    and (reference.tag == nil or reference.tag == "latest") and not reference.digest
end

local function use_default(request, warning)
  return {
    image = DEFAULT.text, pull = "missing", fallback = embedded_name(request),
    warning = warning,
  }
end

local function use(reference)
  -- "localhost" is where images are that were built here. Nothing answers there.
  local is_local = reference.registry == "localhost"
  return { image = reference.text, pull = is_local and "never" or "missing" }
end

local AGREED = { made = true, project = true }
local DISAGREED = {
  changed = "is another image by now than the one that was agreed to for this directory",
  gone = "was agreed to for this directory and is no longer on this machine",
}

-- What is to be typed. That it is not here is known only of what was agreed to.
local function how_to_allow(reference, request)
  local name = reference.text
  local use_it = ("`axolua image use %s` allows it in this directory"):format(name)
  if request.agreed == "changed" then return use_it end
  if reference.registry ~= "localhost" then
    use_it = use_it .. (" (after `axolua image pull %s`)"):format(name)
  end
  return use_it .. ", --allow-untrusted-image (allow_untrusted_image = true) once, "
    .. "allow_images in a policy file everywhere"
end

return function(request)
  local fields, reference = request.fields or {}, request.reference
  if not request.image then return use_default(request) end
  if not reference then
    return { deny = ("%q is not an image reference"):format(request.image) }
  end
  if is_default(reference) then return use_default(request) end
  local function is_trusted(it)
    return is_listed(fields.allow_images, it) or is_listed(TRUSTED, it)
  end
  -- What was built here takes the place of nothing that is trusted by its own name.
  local own = request.local_reference
  if own and not is_trusted(reference) then reference = own end
  if is_embedded(reference, request) then
    return { image = embedded_name(request), pull = "never" }
  end
  if fields.allow_untrusted_image or is_trusted(reference) then return use(reference) end
  if AGREED[request.agreed] then return { image = reference.text, pull = "never" } end
  local how = how_to_allow(reference, request)
  if not request.optional then
    local what = DISAGREED[request.agreed] or "is not trusted here"
    return { deny = ("%s %s; %s"):format(reference.text, what, how) }
  end
  return use_default(request, ("the image %s is not trusted here, so %s runs instead; %s"):format(
    reference.text, DEFAULT.text, how))
end
