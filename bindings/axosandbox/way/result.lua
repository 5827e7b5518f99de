--- What a finished command leaves behind.
local oom = require "axosandbox.way.oom"
local signals = require "axosandbox.base.signals"

local result = {}

---@class axo.Result
---@field stdout string bytes; "" when they went to a callback
---@field stderr string
---@field code integer? the exit code; 128+n for a death by signal n; nil when it is not known
---@field signal string? the signal's name without SIG, when `code` is 129 to 159
---@field timed_out boolean the deadline passed
---@field cancelled boolean it was cancelled
---@field limit_hit boolean it was ended for its output (`on_limit = "kill"`)
---@field stdout_truncated boolean bytes beyond `max_output` were dropped
---@field stderr_truncated boolean
---@field stdout_total integer bytes that came, dropped ones included
---@field stderr_total integer
---@field left_running integer? processes that it started and that run on after it, until they or the session end. nil: not known
---@field left_output "dropped"|"closed"|nil what becomes of what those write: it is dropped; or, on the portable path, it is closed, and one that writes to it is ended by that. nil: none is left
---@field denied axo.Denial[]? what of the network was refused to it; nil: nothing was, or it is not known
---@field oom_killed "limit"|"host"|nil while it ran, the kernel killed something in the session for want of memory: its limit was met, or the host had none left. When its signal is KILL or its code 137, that was most likely the command itself. nil: nothing was, or it cannot be told, or it ended well (then nobody looks)
---@field duration number seconds
local Result = {}
Result.__index = Result

--- The class, for who has all of its fields.
result.Result = Result

--- True when the command ended by itself with exit code 0.
---
---     local r = assert(sb:exec { "test", "-e", "missing" })
---     print(r:ok(), r.code)  --> false	1
---@return boolean
function Result:ok()
  return self.code == 0 and not (self.timed_out or self.cancelled or self.limit_hit)
end

local function describe(self)
  if self.timed_out then return "timed out" end
  if self.cancelled then return "cancelled" end
  if self.limit_hit then return "ended: too much output" end
  if self.signal then return "killed (" .. self.signal .. ")" end
  return "exited (" .. tostring(self.code) .. ")"
end

function Result:__tostring()
  return ("%s%s after %.3f s"):format(describe(self), oom.suffix(self), self.duration)
end

--- Makes one from what the process reported.
---@param raw table as core.spawn gives it
---@param is_cut boolean? its exit code means nothing: we ended the podman client
---@return axo.Result
function result.new(raw, is_cut)
  local code
  if not is_cut and raw.code ~= -1 then code = raw.code end
  return setmetatable({
    stdout = raw.stdout, stderr = raw.stderr, code = code, signal = signals.of_code(code),
    timed_out = raw.timed_out or false, cancelled = raw.cancelled or false,
    limit_hit = raw.limit_hit or false,
    stdout_truncated = raw.stdout_truncated or false,
    stderr_truncated = raw.stderr_truncated or false, duration = raw.duration,
    stdout_total = raw.stdout_total or 0, stderr_total = raw.stderr_total or 0,
    left_running = raw.left_running, left_output = (raw.left_running or 0) > 0 and "closed" or nil,
  }, Result)
end

return result
