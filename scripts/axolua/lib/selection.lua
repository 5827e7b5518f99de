--- The sessions that a command line names, out of those that there are.
local cli = require "axolua.lib.cli"

local selection = {}

local function complaint(session, id)
  if not session then return ("there is no session %s"):format(id) end
  return ("the session %s is not running: it is %s"):format(id, tostring(session.state))
end

--- Those that run, of the named ones or of all. What is named and does not run is complained
--- of on stderr.
---@param sessions axo.SessionInfo[]
---@param ids string[] none: all
---@return axo.SessionInfo[] running, integer code of the complaints; 0 without any
function selection.running(sessions, ids)
  local by_id, found, code = {}, {}, 0
  for _, session in ipairs(sessions) do
    by_id[session.id] = session
    if #ids == 0 and session.running then found[#found + 1] = session end
  end
  for _, id in ipairs(ids) do
    local session = by_id[id]
    if session and session.running then
      found[#found + 1] = session
    else
      code = cli.fail { message = complaint(session, id), hint = "axolua ps lists them" }
    end
  end
  return found, code
end

return selection
