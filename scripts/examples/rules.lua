--- axolua rules.lua DIR: a session with rules of its own. No command pushes, and none takes longer
--- than ten seconds; what was refused is in the log.
local axo = require "axosandbox"

local function exec(request, default)
  if request.argv[1] == "git" and request.argv[2] == "push" then
    return { allow = false, reason = "people push here, not programs" }
  end
  local decision = default(request)
  decision.timeout = 10
  return decision
end

axo.set_audit(function(event)
  if event.event == "denied" then print("log:", table.concat(event.argv, " ")) end
end)

local sb <close> = assert(axo.start {
  id = "example-rules-" .. os.time(), dir = arg[1], policy = { network = "none", exec = exec },
})
print(assert(sb:exec { "echo", "allowed" }).stdout)
local _, err = sb:exec { "git", "push" }
print(err.code, err.message)
