--- Where axolua's own audit log goes.
local axo = require "axosandbox"
local cli = require "axolua.cli"

local audit_log = {}

-- Commands that do something in sessions or to them, and what agrees to an image.
local RECORDED = {
  run = true, shell = true, exec = true, attach = true, cp = true, stop = true, reap = true,
  mcp = true, ["port forward"] = true, ["image use"] = true, ["image make"] = true,
  ["image rm"] = true,
}

--- The file: `$AXOSANDBOX_AUDIT`, else the default one.
---@param is_read boolean? nothing is to be made there
---@return string? path nil when it is off, or has no place
---@return string? problem
---@return boolean? is_asked_for the variable is wrong, and not the machine
function audit_log.path(is_read)
  local set = os.getenv "AXOSANDBOX_AUDIT"
  if set == "off" then return nil end
  if set and set ~= "" then
    if set:sub(1, 1) == "/" then return set end
    return nil, ("$AXOSANDBOX_AUDIT is neither off nor an absolute path: %s"):format(set), true
  end
  local path, err = axo.audit_file(is_read)
  return path, err and tostring(err)
end

--- Records what a command does. A user without a home gets a warning and no record; a record
--- that was asked for wrongly is an error.
---@param name string of the command
function audit_log.begin(name)
  if not RECORDED[name] then return end
  local path, problem, is_asked_for = audit_log.path()
  if is_asked_for then
    cli.abort("the audit log has no place: " .. problem, "set AXOSANDBOX_AUDIT")
  end
  if problem then cli.say("warning: nothing is recorded: " .. problem) end
  if path then axo.set_audit { file = path } end
end

return audit_log
