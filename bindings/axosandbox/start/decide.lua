--- What a start is to become: policy is asked, and a plan is made of its answer.
local uv = require "luv"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local extra = require "axosandbox.host.mounts.extra"
local forwards = require "axosandbox.start.forwards"
local guest = require "axosandbox.way.native.guest"
local host = require "axosandbox.host"
local image = require "axosandbox.podman.image"
local launch = require "axosandbox.start.launch"
local lists = require "axosandbox.network.names.lists"
local narrow = require "axosandbox.start.narrow"
local own_files = require "axosandbox.host.own_files"
local places = require "axosandbox.host.mounts.places"
local plan = require "axosandbox.start.plan"
local session_user = require "axosandbox.start.user"
local tables = require "axosandbox.base.tables"
local unmet = require "axosandbox.policy.unmet"

local decide = {}

local must = errors.must

local function decide_sandbox(set, asked, remote_user)
  local mounts
  if asked.source then asked.places, mounts = places.of(asked.source) end
  local decision, err = set:decide("sandbox", {
    id = asked.id, dir = asked.dir, dir_real = asked.source,
    places = asked.places, mounts = mounts, image = asked.image,
    extra_mounts = extra.requests(asked.mounts or {}),
    ports = asked.ports, env = asked.env, env_names = tables.keys(asked.env),
    secret_names = tables.keys(asked.env_from),
    user = asked.user, remote_user = remote_user,
    host = {
      uid = uv.getuid(), home = uv.os_homedir(), os = uv.os_uname().sysname,
      rootless = uv.getuid() ~= 0,
    },
  })
  if not decision then return nil, err end
  if not decision.deny then return decision end
  return nil, errors.new {
    code = "POLICY", op = "start", message = "the session is refused: " .. decision.deny,
    hint = set:hint "sandbox",
  }
end

--- Asks the sandbox policy.
---@param set axo.Policy
---@param asked axo.Asked with `source`
---@param remote_user string? whom its commands are to run as
---@return axo.policy.SandboxDecision? decision, axo.Error? err code "POLICY" or "OWN_FILES"
function decide.sandbox(set, asked, remote_user)
  if asked.source then
    local ok, refusal = own_files.check(asked.source)
    if not ok then return nil, refusal end
  end
  return decide_sandbox(set, asked, remote_user)
end

-- A user that came with an image means nothing in another one.
local function settle_user(start, sandbox, chosen)
  local user = start.asked.user
  if not user then return end
  local is_replaced = start.asked.image and not image.may_be(start.asked.image, chosen.image)
  if is_replaced and sandbox.user == user and start.set:fields().user ~= user then
    sandbox.user = nil
  end
  if sandbox.user == user then return end
  start:warn(("the user %s was asked for, and the session runs as %s: %s"):format(
    user, sandbox.user or "the image's own", is_replaced and "another image runs" or "policy"),
    true)
end

local WAYS = { [""] = true, native = true, portable = true }

--- Which way is wanted is the user's to say; a word that says nothing must not choose one. Raises.
function decide.check_way()
  local wanted = os.getenv "AXOSANDBOX_PATH" or ""
  if WAYS[wanted] then return end
  errors.raise {
    code = "INVALID", op = "start",
    message = ("$AXOSANDBOX_PATH is %q, which is neither native nor portable"):format(wanted),
    hint = "set it to native or portable, or unset it",
  }
end

-- The native way needs our kernel under the container, and the guest's binary.
local function guest_for(start)
  if os.getenv "AXOSANDBOX_PATH" == "portable" or start.client:is_remote() or start.lost_guest then
    return nil
  end
  local binary, err = guest.binary()
  if err then start:warn("the portable path is used: " .. tostring(err)) end
  return binary
end

local function why_portable(start)
  if os.getenv "AXOSANDBOX_PATH" == "portable" then return "$AXOSANDBOX_PATH says so" end
  if start.client:is_remote() then return "podman is on another machine" end
  if start.lost_guest then return "the guest ended without a word" end
  return "there is no guest's program"
end

-- What policy gives back of the floor is said aloud. Without root it is the shipped policy's answer
-- that set-id bits may be set: what they lead to is the user, who has the directory anyway.
local function warn_of_the_floor(start)
  if start.plan.setuid and uv.getuid() == 0 then
    start:warn("policy lets this session make set-id programs (setuid): one that it leaves in its "
      .. "directory runs as root, whoever starts it")
  end
  if start.plan.nested_namespaces then
    start:warn("policy lets this session make namespaces of its own (nested_namespaces): it has "
      .. "every capability in them, reaches much more of the kernel, and may leave programs with "
      .. "capabilities in its directory")
  end
end

-- From now on without the lists that policy's names.lua tells; and whether the list is policy's own
-- choice.
local function expand_names(start, sandbox)
  local asked, wish = start.set:fields().network, start.asked.narrow and start.asked.narrow.network
  if type(sandbox.network) == "table" then
    local list = lists.expand(start.set, sandbox.network.allow)
    sandbox.network = { allow = list }
    asked = type(asked) == "table" and lists.expand(start.set, asked.allow)
    start.has_fixed_names = not asked or table.concat(asked, " ") ~= table.concat(list, " ")
  end
  if type(wish) == "table" then
    start.asked.narrow.network = { allow = lists.expand(start.set, wish.allow) }
  end
end

--- Asks policy, and sets a start's `plan`, and `sandbox`, which is the answer. Raises.
---@param start axo.Start whose `client`, `place` and directories are known
function decide.plan(start)
  local asked = start.asked
  local sandbox = must(decide_sandbox(start.set, asked, asked.remote_user))
  local chosen = image.decide(start)
  if chosen.warning then start:warn(chosen.warning, asked.image ~= nil) end
  settle_user(start, sandbox, chosen)
  session_user.prefer(start, sandbox, chosen)
  -- From now on by the name that a short one stands for.
  if image.may_be(asked.image, chosen.image) then asked.image = chosen.image end
  expand_names(start, sandbox)
  unmet.tell_of_start(start, sandbox)
  narrow.apply(sandbox, asked.narrow)
  local problem
  start.plan, problem = plan.new({
    guest = guest_for(start),
    search = not start.client:is_remote() and guest.search_binary() or nil,
    owner = host.identity(), version = core.version,
    place = start.place:path(), podman_dir = start.client:runtime_dir(),
    id = asked.id, dir = asked.dir, source = asked.source, image = asked.image,
    root = not start.client:is_remote() and asked.identity or nil,
    needs_image = asked.image ~= nil and not asked.optional_image, ports = asked.ports,
    publish = asked.publish,
    extra_mounts = must(extra.granted(asked.mounts, sandbox.mounts, start.set:source "sandbox")),
    required_ports = asked.required_ports, env = asked.env, keep = asked.keep,
    secret_names = next(asked.env_from) and tables.keys(asked.env_from) or nil,
  }, sandbox, chosen)
  if not start.plan then errors.raise { code = "POLICY", op = "start", message = problem } end
  launch.check_names(start, why_portable(start))
  forwards.check(start)
  warn_of_the_floor(start)
  start.sandbox = sandbox
end

return decide
