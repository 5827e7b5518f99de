--- Where this host installs its packages from: the archive that an image is made from.
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local host = require "axosandbox.host"

local sources = {}

local OP = "image make"

local FORMAT = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(CODENAME) $(SIGNED_BY)"

---@class axo.ImageSources
---@field suite string
---@field url string of the archive
---@field keyring string "" is the tool's own
---@field lines string[] for the image's sources.list

---@class axo.AptTarget
---@field url string
---@field release string
---@field component string
---@field codename string
---@field keyring string

--- The lines of `apt-get indextargets`.
---@param text string
---@return axo.AptTarget[]
function sources.parse(text)
  local targets = {}
  for line in text:gmatch "[^\n]+" do
    local url, release, component, codename, rest =
      line:match "^(%S+) (%S+) (%S+) (%S+) ?(.*)$"
    if url then
      targets[#targets + 1] = {
        url = url, release = release, component = component, codename = codename,
        -- A key that stands in the sources themselves is no file.
        keyring = rest:match "^/[^ ]+$" or "",
      }
    end
  end
  return targets
end

local function has_secret(url) return url:find "^%a[%w+.-]*://[^/]*@" ~= nil end

-- A release has others beside it, with what came later.
local function belongs(target, suite)
  return target.codename == suite or target.codename:sub(1, #suite + 1) == suite .. "-"
end

local function lines_of(targets, suite)
  local lines, seen = {}, {}
  for _, target in ipairs(targets) do
    local line = ("deb %s %s %s"):format(target.url, target.codename, target.component)
    if belongs(target, suite) and not seen[line] then
      seen[line] = true
      lines[#lines + 1] = line
    end
  end
  return lines
end

--- What an image of a release is made from.
---@param targets axo.AptTarget[]
---@param own string? the release of this host
---@param suite string? which is wanted; this host's by default
---@return axo.ImageSources? from, string? problem
function sources.choose(targets, own, suite)
  suite = suite or own
  if not suite then return nil, "which release this host is, is not known: name one (--suite)" end
  local found
  for _, wanted in ipairs { suite, own or suite } do
    for _, target in ipairs(targets) do
      if not found and target.codename == wanted and target.component == "main" then
        found = target
      end
    end
  end
  if not found then
    return nil, "this host's apt knows no archive: name one (--mirror)"
  end
  local lines = lines_of(targets, suite)
  if #lines == 0 then lines[1] = ("deb %s %s main"):format(found.url, suite) end
  for _, line in ipairs { found.url, table.unpack(lines) } do
    if has_secret((line:gsub("^deb ", ""))) then
      return nil, "the address of this host's archive holds a password, which would stay in the "
        .. "image: name another (--mirror)"
    end
  end
  return { suite = suite, url = found.url, keyring = found.keyring, lines = lines }
end

--- Which release this host is; nil where it is not said.
---@return string?
function sources.own_suite()
  local text = host.read_file "/etc/os-release" or ""
  return ("\n" .. text):match "\nVERSION_CODENAME=\"?([a-z][a-z0-9-]*)"
end

--- What an image is made from: this host's archive, unless another is named. In a coroutine.
---@param self axo.ImageErrand
---@param suite string?
---@param mirror string?
---@return axo.ImageSources
function sources.find(self, suite, mirror)
  local own = sources.own_suite()
  if mirror then
    suite = suite or own
    if suite then
      return { suite = suite, url = mirror, keyring = "",
        lines = { ("deb %s %s main"):format(mirror, suite) } }
    end
  end
  local targets = {}
  if not mirror and host.has_program "apt-get" then
    local result = errors.must(self:run(
      { "apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages" },
      { cwd = "/", timeout = 60, env = host.podman_env() }))
    targets = sources.parse(result.stdout)
  end
  local from, problem = sources.choose(targets, own, suite)
  if from then return from end
  errors.raise { code = "NOT_FOUND", op = OP, message = problem,
    hint = hints.TABLE.make_from.lua }
end

return sources
