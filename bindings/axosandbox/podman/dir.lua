--- The XDG_RUNTIME_DIR of a user's podman that no login gave one. Podman then takes a directory
--- whose name depends on its version. It is asked which, so that a start from cron, one after a
--- login and podman itself, typed by hand, all find the same containers.
local host = require "axosandbox.host"

local podman_dir = {}

local KEY = "runtime_dir"
local WEEKS = 28 * 24 * 3600

-- It makes the directory, too. TMPDIR would change its answer, and cron has none.
local function ask(client)
  client.env = host.podman_env { TMPDIR = false }
  local result = client:ask(
    { client.program, "info", "--format", "{{.Host.RemoteSocket.Path}}" },
    { op = "detect" })
  local path = result and result.stdout:gsub("^unix://", "")
  return path and path:match "^(/[^\n]*)/podman/podman%.sock\n*$"
end

--- Where it is; asks podman when nothing is known, or when what is known is gone.
---@param client axo.Client
---@return string? dir nil: podman has it from a login, or looks after that itself
function podman_dir.find(client)
  if client:is_remote() or host.login_dir() then return nil end
  local known = host.recall(KEY, client.program)
  if type(known) == "string" and host.is_own_dir(known) then return known end
  local dir = ask(client)
  if not dir or not host.is_own_dir(dir) then return nil end
  host.remember(KEY, dir, WEEKS, client.program)
  return dir
end

return podman_dir
