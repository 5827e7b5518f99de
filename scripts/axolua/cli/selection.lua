--- The sessions that a command line names, out of those that there are.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local text = require "axolua.view.text"

local selection = {}

--- A list's items as keys.
---@param list any[]
---@return table<any, true>
function selection.set(list)
  local set = {}
  for _, item in ipairs(list) do set[item] = true end
  return set
end

local function advice(session)
  if session.state == "paused" then return "podman unpause " .. session.container end
  return ("axolua stop %s removes it"):format(session.id)
end

local function complaint(session, id)
  if not session then
    return { message = "there is no session " .. id, hint = "axolua ps lists them" }
  end
  return {
    message = ("the session %s is not running: it is %s"):format(id, tostring(session.state))
      .. axo.host.login.reminder(),
    hint = advice(session),
  }
end

--- That nothing runs, and what there is instead.
---@param all axo.SessionInfo[] all that there are
---@return string line
function selection.nothing_runs(all)
  local parts = { "no session is running" }
  for _, session in ipairs(all) do
    if not session.running then
      parts[#parts + 1] = ("%s is %s"):format(session.id, text.visible(session.state))
    end
  end
  return table.concat(parts, "; ") .. "\n"
end

--- Those that run, of the named ones or of all. What is named and does not run is complained
--- of on stderr.
---@param all axo.SessionInfo[]
---@param ids string[] none: all
---@return axo.SessionInfo[] running, integer code of the complaints; 0 without any
function selection.running(all, ids)
  local by_id, found, code = {}, {}, 0
  for _, session in ipairs(all) do
    by_id[session.id] = session
    if #ids == 0 and session.running then found[#found + 1] = session end
  end
  for _, id in ipairs(ids) do
    local session = by_id[id]
    if session and session.running then
      found[#found + 1] = session
    else
      code = cli.fail(complaint(session, id))
    end
  end
  return found, code
end

return selection
