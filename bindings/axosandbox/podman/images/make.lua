--- Making an image from the distribution's own packages, where no container registry answers or
--- none is wanted. Either the whole image gets its name, or nothing of it is left.
local uv = require "luv"
local cjson = require "cjson.safe"
local audit = require "axosandbox.audit"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local consent = require "axosandbox.podman.images.consent"
local errand = require "axosandbox.podman.images.errand"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local host = require "axosandbox.host"
local image = require "axosandbox.podman.image"
local last_line = require "axosandbox.base.text.last_line"
local log = require "axosandbox.base.log"
local make_progress = require "axosandbox.podman.images.make_progress"
local naming = require "axosandbox.base.naming"
local options = require "axosandbox.base.options"
local recipe = require "axosandbox.podman.images.recipe"
local sources = require "axosandbox.podman.images.sources"

local make = {}

local OP = "image make"

local must = errors.must

local DEFAULT_TIMEOUT = 3600
local IMPORT_TIMEOUT = 900
local MAX_TAIL = 64 * 1024 -- bytes of what the tools say
local MAX_PACKAGES = 1000
local MIN_FREE = 2 ^ 20 -- bytes: with less nothing can be unpacked
local TOOLS = { "mmdebstrap", "debootstrap" }
local NAMESPACES = {
  "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
  "--mount-proc",
}

-- ---- what is asked for -----------------------------------------------------------------

local function check_packages(list)
  if #list == 0 then return "at least one is needed" end
  if #list > MAX_PACKAGES then return ("at most %d"):format(MAX_PACKAGES) end
  for _, name in ipairs(list) do
    if not name:find "^[a-z0-9][a-z0-9+.-]+$" or #name > 128 then
      return ("%q is not the name of a package"):format(name)
    end
  end
end

local function check_suite(suite)
  if not suite:find "^[a-z][a-z0-9-]*$" or #suite > 64 then
    return ("%q is not the name of a release, such as bookworm"):format(suite)
  end
end

local function check_mirror(url)
  if not url:find "^https?://[%w.:/~%[%]-]+$" and not url:find "^file:///[%w./-]+$" then
    return ("%q is not the address of an archive, http:// or https:// and without a password")
      :format(url)
  end
end

local OPTIONS = {
  name = { type = "string", required = true },
  packages = { type = "table", items = "string", check = check_packages, required = true },
  suite = { type = "string", check = check_suite },
  mirror = { type = "string", check = check_mirror },
  timeout = { type = "number", min = 1, max = 7 * 24 * 3600 },
  on_progress = "function",
}

-- Where it is pulled from nowhere: localhost is no registry.
local function name_of(asked)
  local reference = must(core.reference.parse(asked))
  if reference.registry ~= "localhost" then
    local own = core.reference.parse("localhost/" .. asked)
    local is_short = own and (reference.repository == own.repository
      or reference.repository == "library/" .. own.repository)
    if reference.registry ~= "docker.io" or not is_short then
      errors.raise {
        code = "INVALID", op = OP, message = asked .. " is the name of a registry's image",
        hint = "give a name without a registry, such as mine or tools:2",
      }
    end
    reference = own
  end
  local is_ours = reference.text:sub(1, #"localhost/axosandbox/") == "localhost/axosandbox/"
  if reference.digest or is_ours then
    errors.raise {
      code = "INVALID", op = OP, message = asked .. " cannot be the name of an image of your own",
      hint = "give a name without a digest, such as mine or tools:2",
    }
  end
  return reference.text
end

-- $AXOSANDBOX_BOOTSTRAP names another mmdebstrap or debootstrap.
local function find_tool()
  local path = host.program_path((os.getenv "PATH" or "") .. ":/usr/sbin:/usr/bin:/sbin:/bin")
  local own = os.getenv "AXOSANDBOX_BOOTSTRAP" or ""
  if own:sub(1, 1) == "/" then return own, path end
  for _, name in ipairs(TOOLS) do
    for dir in path:gmatch "[^:]+" do
      if uv.fs_access(dir .. "/" .. name, "X") then return dir .. "/" .. name, path end
    end
  end
  return nil, path
end

--- The program that `make` runs: mmdebstrap or debootstrap.
---
---     print(axo.images.tool() or "no image can be made here")
---@return string? path nil: neither is installed
function make.tool()
  return (find_tool())
end

local function require_tool()
  local tool, path = find_tool()
  if tool then return tool, path end
  errors.raise {
    code = "ENOENT", op = OP, message = "neither mmdebstrap nor debootstrap is installed, "
      .. "and one of them makes the image",
    hint = "install mmdebstrap: apt-get install mmdebstrap (dnf install debootstrap, ...)",
  }
end

-- ---- where it is made ------------------------------------------------------------------

-- As root of the files that are there, which belong to many users.
local function as_root(self, argv)
  if uv.getuid() == 0 then return argv end
  return table.move(argv, 1, #argv, 3, { self.client.program, "unshare" })
end

local function remove_tree(self, path)
  local argv = as_root(self, { "rm", "-rf", "--", path })
  -- Also where the errand was cancelled.
  return await.call(function(done)
    return core.spawn(argv, { env = self.client.env, cwd = "/", timeout = 300 }, function(result)
      done(nil, result.code == 0)
    end)
  end)
end

-- What one left that was killed goes, too: who makes an image holds the lock.
local function remove_stale(self, base)
  for name, kind in uv.fs_scandir_next, must(uv.fs_scandir(base)) do
    if kind == "directory" and name:find "^work%." then remove_tree(self, base .. "/" .. name) end
  end
end

local function take_turn(base)
  local lock, err = core.lock(base .. "/lock", true)
  if lock then return lock end
  if err.code ~= "EBUSY" then error(err, 0) end
  errors.raise {
    code = "EBUSY", op = OP, message = "another image is being made by this user",
    hint = "wait until it is done",
  }
end

-- ---- making it -------------------------------------------------------------------------

-- What the tools say goes to who wants to see everything, the stages to everybody. Also: the last
-- of what was said.
local function listener(name, on_progress)
  local rest, said, read = "", "", on_progress and make_progress.reader()
  return function(bytes)
    said = (said .. bytes):sub(-MAX_TAIL)
    local whole, tail = (rest .. bytes):match "^(.*\n)([^\n]*)$"
    rest = (tail or rest .. bytes):sub(-MAX_TAIL)
    for line in (whole or ""):gmatch "[^\r\n]+" do
      local stage = line:match "^axo: (.*)"
      log.emit(stage and "info" or "debug", stage or line, { op = "make", image = name })
      local progress = read and read(line)
      if progress then on_progress(progress) end
    end
  end, function() return said end
end

local COMPLAINTS = {
  { "E: Unable to locate package (%S+)", "there is no package %s in %s" },
  { "E: Package '(%S+)' has no installation candidate", "the package %s is not in %s" },
}

local function free_space(dir)
  local found = uv.fs_statfs(dir)
  return found and found.bavail * found.bsize
end

-- What the tools say of a full disk is about what they wrote just then.
local function disk_is_full(said, work)
  local free = free_space(work)
  if not said:find("No space left on device", 1, true) and (not free or free > MIN_FREE) then
    return nil
  end
  return errors.new {
    code = "ENOSPC", op = OP, stderr = said, hint = hints.TABLE.cache_dir.lua,
    message = ("the disk is full on which the image is made: %s (%d MiB are free)"):format(
      work:match "^(.*)/[^/]*$", (free or 0) // 2 ^ 20),
  }
end

local function explained(err, said, plan, work)
  local all, suite = "\n" .. said, plan.from.suite
  if err.code == "TIMEOUT" then
    return errors.new {
      code = "TIMEOUT", op = OP, stderr = said, hint = hints.TABLE.more_time.lua,
      message = ("the image was not made within %g s"):format(plan.timeout),
    }
  end
  for _, it in ipairs(COMPLAINTS) do
    local name = all:match(it[1])
    if name then
      return errors.new {
        code = "NOT_FOUND", op = OP, message = it[2]:format(name, suite),
        hint = "apt-cache search WORD looks for packages", stderr = said,
      }
    end
  end
  if err.code ~= "FAILED" then return err end
  local full = disk_is_full(said, work)
  if full then return full end
  -- linear: of a bounded text
  local why = all:match ".*\n(E: [^\n]*)" or last_line(said)
  return errors.new {
    code = "FAILED", op = OP, message = "the image could not be made: " .. (why or "unknown"),
    hint = hints.TABLE.all_said.lua, stderr = said,
  }
end

local function bootstrap(self, plan, work)
  local from = plan.from
  local argv = table.move({
    "sh", "-c", recipe, "sh", plan.tool, work, from.suite, from.url, from.keyring,
  }, 1, 9, #NAMESPACES + 1, { table.unpack(NAMESPACES) })
  table.move(plan.packages, 1, #plan.packages, #argv + 1, argv)
  local hear, said = listener(plan.name, plan.on_progress)
  local result, err = self:run(as_root(self, argv), {
    env = host.podman_env { PATH = plan.path, TMPDIR = work,
      AXO_SOURCES = table.concat(from.lines, "\n") },
    cwd = "/", timeout = plan.timeout, grace = 5,
    on_output = function(_, bytes) if bytes then hear(bytes) end end,
  })
  if not result then error(explained(err, said(), plan, work), 0) end
end

local function import_argv(self, plan, archive)
  local argv = { self.client.program, "import", "--quiet" }
  for _, change in ipairs {
    "ENV LANG=C.UTF-8", 'CMD ["/bin/bash"]',
    ("LABEL %smade=%s"):format(naming.LABEL, core.version),
    ("LABEL %ssuite=%s"):format(naming.LABEL, plan.from.suite),
    ("LABEL %spackages=%s"):format(naming.LABEL, table.concat(plan.packages, ",")),
  } do
    argv[#argv + 1] = "--change"
    argv[#argv + 1] = change
  end
  argv[#argv + 1] = archive
  return argv
end

-- The image that had the name is dropped where it has no other, and no container uses it.
local function drop(self, digest)
  local id = digest:match "^sha256:(%x+)$"
  local argv = core.argv.inspect { podman = self.client.program, kind = "image", name = id }
  local answer = argv and self:ask(argv)
  local list = answer and cjson.decode(answer.stdout)
  local names = type(list) == "table" and type(list[1]) == "table" and list[1].RepoTags
  if type(names) == "table" and #names == 0 then
    self:ask { self.client.program, "image", "rm", "--", id }
  end
end

-- From here on it is whole: the consent is written before the name is given, so that nobody meets
-- an image that is half agreed to.
local function give_name(self, plan, digest)
  local before = image.digest(self, plan.name)
  consent.change(function(all)
    all.made[digest] = { name = plan.name, packages = plan.packages, at = os.time() }
    if before and before ~= digest then all.made[before] = nil end
  end)
  must(self:ask { self.client.program, "tag", digest:match "^sha256:(%x+)$", plan.name })
  audit.emit("image_make", nil, { image = plan.name, digest = digest, packages = plan.packages })
  if before and before ~= digest then drop(self, before) end
end

local function import(self, plan, archive)
  log.emit("info", "importing the image", { op = "make", image = plan.name })
  if plan.on_progress then plan.on_progress { stage = "importing the image" } end
  local result = must(self:ask(import_argv(self, plan, archive), { timeout = IMPORT_TIMEOUT }))
  local id = result.stdout:match "(%x+)%s*$" -- linear: podman prints an id
  if not id or #id ~= 64 then
    errors.raise { code = "PODMAN", op = OP, message = "podman imported the image and did not "
      .. "name it" }
  end
  return "sha256:" .. id
end

local function build(self, plan)
  local base = must(host.private_dir(must(host.cache_dir()) .. "/images"))
  local lock = take_turn(base)
  local _ <close> = errors.finally(function() lock:close() end)
  remove_stale(self, base)
  local work = must(uv.fs_mkdtemp(base .. "/work.XXXXXX"))
  local _ <close> = errors.finally(function() remove_tree(self, work) end)
  uv.fs_chmod(work, 493)
  bootstrap(self, plan, work)
  local digest = import(self, plan, work .. "/image.tar")
  local ok, err = pcall(give_name, self, plan, digest)
  if not ok then
    self.cancelled = false -- what is begun here ends at once
    drop(self, digest)
    error(err, 0)
  end
  return { name = plan.name, digest = digest, packages = plan.packages, suite = plan.from.suite }
end

---@class axo.MakeImage
---@field name string such as "mine" or "tools:2": it becomes localhost/NAME
---@field packages string[] of the distribution
---@field suite string? the release, such as "bookworm"; this host's by default
---@field mirror string? the archive's address; the one that this host installs from by default
---@field timeout number? seconds, 3600 by default
---@field on_progress fun(progress: axo.MakeProgress)? is called as it goes on; must not wait

---@class axo.MadeImageInfo
---@field name string in full
---@field digest string
---@field packages string[]
---@field suite string

--- Makes an image from the distribution's own packages, with mmdebstrap or debootstrap, and trusts
--- it on this machine, by its digest. An image of that name is replaced when the new one is whole.
--- Takes a minute or more; with a callback the result can be cancelled: `handle:cancel()`.
---
---     local made = assert(axo.images.make { name = "tools:2", packages = { "python3", "git" } })
---     print(made.name, made.digest)
---@param opts axo.MakeImage
---@param callback fun(err: axo.Error?, made: axo.MadeImageInfo?)?
---@return axo.MadeImageInfo? made, axo.Error? code "NOT_FOUND" (a package, an archive), "ENOENT" (no tool), "EBUSY", "TIMEOUT", "ENOSPC", "CANCELLED", "FAILED"
function make.make(opts, callback)
  options.check(OPTIONS, opts, "axosandbox.images.make", 2)
  local asked, packages = opts.name, table.move(opts.packages, 1, #opts.packages, 1, {})
  local suite, mirror, timeout = opts.suite, opts.mirror, opts.timeout or DEFAULT_TIMEOUT
  local on_progress = opts.on_progress
  return errand.begin(OP, function(self)
    if self.client:is_remote() then
      errors.raise { code = "UNSUPPORTED", op = OP, message = "podman runs on another machine, "
        .. "where no image can be made", hint = "make it there" }
    end
    local plan = { name = name_of(asked), packages = packages, timeout = timeout,
      on_progress = on_progress }
    plan.tool, plan.path = require_tool()
    plan.from = sources.find(self, suite, mirror)
    return build(self, plan)
  end, callback)
end

return make
