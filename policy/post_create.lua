-- Whether the commands that a repository brings along run in a fresh container (for example
-- "npm ci" from a project's settings), in which order, for how long, and what a failure means.
--
-- They were written by whoever wrote the repository, so they are off unless the calling program
-- says `allow_post_create = true`.
--
-- Asked once, after the container has started. `request` holds: commands (a list of shell
-- commands), image, id, dir, fields = what the calling program set in its `policy` table.
-- The answer: { run, ask, commands, timeout, on_failure, warning }. With ask = true instead of
-- run = true, whoever started the session is asked first, and where nobody can be asked, nothing
-- runs.
--
-- For a project's devcontainer.json it is asked once for each of its events, and `event` says
-- which: "onCreateCommand", "updateContentCommand", "postCreateCommand" (each once in a
-- container), "postStartCommand", "postAttachCommand". An answer with other commands than the
-- request's is run as shell commands, one after the other.

-- Seconds for each command.
local TIMEOUT = 600

-- "warn": the session starts all the same and carries a warning. "fail": it does not start.
local ON_FAILURE = "warn"

local function count(commands)
  return #commands == 1 and "1 post-create command was" or #commands .. " post-create commands were"
end

local function why_not(request)
  local what = request.event and "devcontainer.json's commands were"
    or count(request.commands)
  return what .. " skipped, because a repository's commands do not run "
    .. "unless you say so; to run them, set allow_post_create = true in the policy table"
    .. (request.event and " (axolua run --allow-post-create)" or "")
end

return function(request)
  local commands = request.commands or {}
  local decision = { run = false, commands = {}, timeout = TIMEOUT, on_failure = ON_FAILURE }
  if #commands == 0 then return decision end
  if not (request.fields or {}).allow_post_create then
    decision.warning = why_not(request)
    return decision
  end
  decision.run, decision.commands = true, commands
  return decision
end
