--- What the guest's refusals are called.
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local file_faults = require "axosandbox.way.file_faults"
local root = require "axosandbox.way.root"

local faults = {}

local STAGE = core.stage

local HINTS = {
  NO_PROCESS = hints.TABLE.no_processes.lua,
  LIMIT = "stop one of them first",
  KILL = hints.TABLE.stop_session.lua,
}

-- Of what was to be begun, in the words of core/podman/podman_judge.c.
local BEGIN_HINTS = {
  NOT_FOUND = "install it there, or check its spelling and the PATH inside",
  NOT_EXECUTABLE = "make it executable (chmod +x), or run it with its interpreter",
  NO_USER = "name a user of the container's /etc/passwd, or give UID:GID",
  NO_DIRECTORY = "create it in the container, or choose another",
  E2BIG = "pass long data on stdin, or in a file",
}

local SCRIPT = "check its spelling, and of a script the program that its first line names"

local function hint_of(raw, code, what)
  local is_begin = raw.stage == STAGE.EXEC or raw.stage == STAGE.USER or raw.stage == STAGE.CWD
  if is_begin and code == "NOT_FOUND" and what and what:find("/", 1, true) then return SCRIPT end
  return is_begin and (BEGIN_HINTS[raw.code] or BEGIN_HINTS[code]) or HINTS[code] or raw.hint
end

local function of_exec(code)
  return code == "ENOENT" and "NOT_FOUND" or "NOT_EXECUTABLE"
end

-- Descriptors can be short where processes are not.
local DESCRIPTORS = { EMFILE = true, ENFILE = true, ETOOMANYREFS = true }

local BY_STAGE = {
  [STAGE.REQUEST] = function() return "INVALID" end,
  [STAGE.LIMIT] = function() return "LIMIT" end,
  [STAGE.FORK] = function(code) return DESCRIPTORS[code] and "LIMIT" or "NO_PROCESS" end,
  [STAGE.USER] = function(code) return code == "EPERM" and "PERMISSION" or "NO_USER" end,
  [STAGE.CWD] = function() return "NO_DIRECTORY" end,
  [STAGE.EXEC] = of_exec,
  [STAGE.TERMINAL] = function() return "NO_TERMINAL" end,
  [STAGE.RING] = function() return "NO_MEMORY" end,
  [STAGE.WORK] = function(code) return code == "ETIMEDOUT" and "KILL" or "NOT_FOUND" end,
}

-- It is there, or the link would be down.
local function silent(way, op)
  return errors.new {
    code = "TIMEOUT", op = op, message = ("the guest of %s does not answer"):format(way.container),
    hint = ("if the container is paused: podman unpause %s"):format(way.container),
  }
end

--- An error of the link as the session's callers know it.
---@param raw axo.Error as core.link gives it
---@param way axo.NativeWay
---@param op string?
---@param what string? what it was about: the command's name
---@return axo.Error
function faults.of(raw, way, op, what)
  if not way.is_open then return way:stopped_error(op or "exec") end
  if raw.code == "ECONNRESET" or raw.code == "ENOTCONN" then return way:gone() end
  if raw.code == "ETIMEDOUT" and not raw.stage then return silent(way, op or "exec") end
  local name = BY_STAGE[raw.stage]
  local code = name and name(raw.code) or raw.code
  if not raw.stage and code == "ENOBUFS" then code = "LIMIT" end
  local message = raw.message
  if what then message = what .. ": " .. message:gsub("^[^:]+: ", "") end
  return errors.new {
    code = code, op = op or "exec", message = message, hint = hint_of(raw, code, what),
    errno = raw.code,
  }
end

--- The same of a request about a file.
---@param raw axo.Error
---@param way axo.NativeWay
---@param op string
---@param name string the file's
---@return axo.Error
function faults.of_file(raw, way, op, name)
  if raw.stage ~= STAGE.FILE then return faults.of(raw, way, op) end
  if raw.code == "ESTALE" then return root.gone(way, op) end
  local text = (raw.message:match "^.*:(.+)$" or raw.message):gsub("^ ", "")
  if raw.code == "EXDEV" then text = "it leads out of the session's directory" end
  return file_faults.new(op, name, raw.code, text)
end

--- Why a signal reached nothing.
---@param raw axo.Error
---@param way axo.NativeWay
---@param what string
---@return axo.Error
function faults.of_signal(raw, way, what)
  if raw.code ~= "ESRCH" then return faults.of(raw, way, "signal") end
  return errors.new { code = "ESRCH", op = "signal", message = what .. " has ended already" }
end

return faults
