--- The face of the support code: what nearly every spec uses.
local uv = require "luv"
local host = require "spec.support.host"
local images = require "spec.support.images"
local janitor = require "spec.support.janitor"
local podman = require "spec.support.podman"
local probe = require "spec.support.probe"
local proc = require "spec.support.proc"
local state = require "spec.support.state"
local styles = require "spec.support.styles"
local temp = require "spec.support.temp"

-- What the engine remembers about a host belongs to the run, not to the user; scripts/test
-- has seen to that already.
if not state.isolated then
  if not os.getenv "XDG_STATE_HOME" then
    uv.os_setenv("XDG_STATE_HOME", temp.lasting_dir())
  end
  uv.os_unsetenv "AXOSANDBOX_POLICY_PATH"
  state.isolated = true
end

local axo = require "axosandbox"

local e2e = {
  host = host, images = images, janitor = janitor, podman = podman, probe = probe,
  proc = proc, styles = styles.all, temp = temp, eventually = proc.eventually,
}

local messages = {}

--- Everything that the engine logged since the last `forget_messages`.
---@return { level: string, message: string, fields: table }[]
function e2e.messages() return messages end
function e2e.forget_messages() messages = {} end

--- Seconds on a clock that never goes back.
---@return number
function e2e.now() return uv.hrtime() / 1e9 end

--- The messages of a level, joined.
function e2e.logged(level)
  local lines = {}
  for _, entry in ipairs(messages) do
    if entry.level == level then lines[#lines + 1] = entry.message end
  end
  return table.concat(lines, "\n")
end

function e2e.listen()
  messages = {}
  axo.set_logger(function(level, message, fields)
    messages[#messages + 1] = { level = level, message = message, fields = fields }
  end)
end

--- Runs `fn` with sessions on the portable path, whatever the suite runs on: for what only
--- that path has, podman clients and their files.
---@return any what `fn` returns
function e2e.on_portable(fn)
  local before = os.getenv "AXOSANDBOX_PATH"
  uv.os_setenv("AXOSANDBOX_PATH", "portable")
  local results = table.pack(pcall(fn))
  if before then uv.os_setenv("AXOSANDBOX_PATH", before) else uv.os_unsetenv "AXOSANDBOX_PATH" end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- A session id of this run; its container is registered for removal.
function e2e.new_id()
  local id = "axotest-" .. temp.token()
  janitor.made("container", "axo-ses-" .. id)
  return id
end

local function with_defaults(given, defaults)
  local merged = {}
  for key, value in pairs(defaults) do merged[key] = value end
  for key, value in pairs(given or {}) do merged[key] = value end
  return merged
end

--- The options of a session for a test: a fresh id and directory, the busybox image, no
--- network. `changes` overrides; its `policy` is merged.
function e2e.options(changes)
  changes = changes or {}
  local options = with_defaults(changes, {
    id = changes.id or e2e.new_id(), dir = changes.dir or temp.dir "project",
    image = changes.image or images.base(),
  })
  options.policy = with_defaults(changes.policy,
    { network = "none", allow_untrusted_image = true })
  return options
end

--- A provisioning policy for sessions with a network that shall start quickly.
function e2e.no_provisioning()
  return { run = false, commands = {}, timeout = 1, cache = false }
end

--- Lets the loop run for a moment.
function e2e.pause(seconds)
  local over = false
  local timer = uv.new_timer()
  timer:start(math.ceil(seconds * 1000), 0, function()
    over = true
    timer:close()
  end)
  while not over do uv.run "once" end
end

--- Starts a session that must start.
function e2e.start(changes)
  return assert(axo.start(e2e.options(changes)))
end

--- Tries to start one that must not; returns the error, after making sure that no
--- container of that id is left.
function e2e.refused(changes)
  local options = e2e.options(changes)
  local sb, err = axo.start(options)
  if sb then
    sb:stop()
    error("the session started", 2)
  end
  if podman.exists("axo-ses-" .. options.id) then
    error("a container was left behind: " .. tostring(err), 2)
  end
  return err
end

--- Registers a spec file's housekeeping; call it first inside the outermost describe.
--- Errors that the engine logged fail the test that caused them, unless the test has read
--- and forgotten them.
function e2e.housekeeping(hooks)
  local mark
  hooks.setup(function()
    mark = janitor.mark()
    e2e.listen()
  end)
  hooks.before_each(function() messages = {} end)
  hooks.after_each(function()
    local errors = e2e.logged "error"
    assert(errors == "", "the engine logged errors: " .. errors)
  end)
  hooks.teardown(function()
    janitor.sweep(mark)
    axo.set_logger(nil)
  end)
end

return e2e
