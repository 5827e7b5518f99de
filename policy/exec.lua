-- Each command before it runs in a session's container: allow it, deny it, change its limits.
--
-- The container is what protects the machine, so everything is allowed here. This is the place
-- to forbid or to log a habit, not a wall: a shell can spell a command in many ways.
--
-- Asked for every command. `request` holds: argv (the command's words), kind ("exec": somebody
-- waits for it; "task": runs in the background; "terminal": interactive), cwd, user, env_names
-- (the names of its variables, not their values), timeout and max_output (what the caller
-- wants, if anything), id, dir, fields = what the calling program set in its `policy` table.
-- The answer: { allow = true, timeout, max_output } or { allow = false, reason = "..." }.
-- No timeout: it may run for ever.

-- Seconds for a command that somebody waits for, when the caller names no time.
local TIMEOUT = 600

-- Bytes kept of each output stream, when the caller names no size, and at most.
local OUTPUT = 1024 * 1024
local OUTPUT_MAX = 64 * 1024 * 1024

local NONE = {}

local function timeout(request, own)
  local asked = request.timeout
  -- The caller asks for no limit.
  if asked == 0 or asked == math.huge then return nil end
  if asked == nil and request.kind == "exec" then return own.timeout or TIMEOUT end
  return asked
end

return function(request)
  local own = request.fields and request.fields.exec or NONE
  return {
    allow = true,
    timeout = timeout(request, own),
    max_output = math.min(
      request.max_output or own.max_output or OUTPUT, own.max_output or OUTPUT_MAX),
  }
end
