--- The outcome of a command as one JSON object on stdout, for programs.
local axo = require "axosandbox"
local cli = require "axolua.cli"

local json = axo.json

local record = {}

--- Prints how a command ended. Bytes of its output that are no UTF-8 become U+FFFD.
---@param sb axo.Session
---@param argv string[]
---@param result axo.Result
---@param notices string[]? what else its user should know
function record.result(sb, argv, result, notices)
  local warnings = table.move(sb:warnings(), 1, #sb:warnings(), 1, {})
  table.move(notices or {}, 1, notices and #notices or 0, #warnings + 1, warnings)
  cli.print_json(json.object({
    id = sb:id(), command = json.array(argv), code = result.code, signal = result.signal,
    timed_out = result.timed_out, oom_killed = result.oom_killed,
    left_running = result.left_running, left_output = result.left_output,
    duration = result.duration,
    stdout = result.stdout, stdout_truncated = result.stdout_truncated,
    stderr = result.stderr, stderr_truncated = result.stderr_truncated,
    warnings = json.array(warnings),
  }, "command"))
end

--- Prints why there is no result.
---@param err axo.Error
function record.failure(err)
  cli.print_json {
    error = { code = err.code, op = err.op, message = tostring(err.message),
      hint = axo.errors.hint(err, "cli") },
  }
end

return record
