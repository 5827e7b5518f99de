--- What becomes of a user's processes when its last login ends, where systemd's logind decides.
local uv = require "luv"

local login = {}

local function is_directory(path)
  local stat = uv.fs_stat(path)
  return stat ~= nil and stat.type == "directory"
end

--- The name of the user that this process runs as; its number where it has none.
---
---     print(axo.host.login.user())
---@return string
function login.user()
  local ok, passwd = pcall(uv.os_get_passwd)
  return ok and passwd and passwd.username or tostring(uv.getuid())
end

--- How long this user's processes may run. "lingering": as long as the machine; "login": until
--- its last logout, since its own service manager runs what podman starts and ends then; "none":
--- it has no such manager, so that it has no cgroups to give to a container. nil for root, and
--- where systemd is not in charge: nothing ends then.
---
---     print(axo.host.login.state())
---@param where { root: string?, uid: integer?, user: string? }? for tests: another machine's files
---@return "lingering"|"login"|"none"|nil
function login.state(where)
  where = where or {}
  local root, uid = where.root or "", where.uid or uv.getuid()
  if uid == 0 or not is_directory(root .. "/run/systemd/system") then return nil end
  if uv.fs_stat(("%s/var/lib/systemd/linger/%s"):format(root, where.user or login.user())) then
    return "lingering"
  end
  return is_directory(("%s/run/user/%d/systemd"):format(root, uid)) and "login" or "none"
end

--- What makes this user's processes independent of its logins.
---
---     print(axo.host.login.remedy())
---@return string command
function login.remedy()
  return "sudo loginctl enable-linger " .. login.user()
end

--- Why a session that was kept may have ended, to put behind words that it does not run.
---
---     print("the session is gone" .. axo.host.login.reminder())
---@param where { root: string?, uid: integer?, user: string? }? as for `state`
---@return string
function login.reminder(where)
  if login.state(where) ~= "login" then return "" end
  return ("; this user's last logout ends what it keeps, unless it lingers: `%s`")
    :format(login.remedy())
end

return login
