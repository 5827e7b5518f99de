--- What went wrong with a file, in one set of words for both ways.
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"

local faults = {}

local HINTS = {
  NO_SPACE = "free some space there, or raise the quota; nothing was changed",
  READ_ONLY = "write somewhere else, or mount it read-write on the host",
  METADATA = "a command in the session can write into it, which keeps them",
}

local NO_PARENT = {
  write_file = hints.TABLE.parents.lua, mkdir = hints.TABLE.parents.lua, rename = "make it first",
}

-- Of the system's errors.
local CODES = {
  ENOENT = "NOT_FOUND", EXDEV = "OUTSIDE", ELOOP = "OUTSIDE", EACCES = "PERMISSION",
  EPERM = "PERMISSION", ENOTDIR = "NOT_A_DIRECTORY", EISDIR = "NOT_A_FILE", ENXIO = "NOT_A_FILE",
  EEXIST = "EXISTS", ENOTEMPTY = "NOT_EMPTY", ENOSPC = "NO_SPACE", EROFS = "READ_ONLY",
  ENAMETOOLONG = "INVALID", EINVAL = "INVALID", EDQUOT = "NO_SPACE", EFBIG = "TOO_LARGE",
}

--- What can be done about it.
---@param code string
---@param op string
---@return string?
function faults.hint(code, op)
  if code == "TOO_LARGE" and op == "read_file" then return hints.TABLE.in_parts.lua end
  return HINTS[code]
end

---@param op string
---@param path string
---@param code string one of the system's ("ENOENT"), or ours
---@param message string
---@return axo.Error
function faults.new(op, path, code, message)
  code = CODES[code] or code
  return errors.new {
    code = code, op = op, message = path .. ": " .. message, hint = faults.hint(code, op),
  }
end

--- From luv's words: "ENOSPC: no space left on device", or "Unknown system error -122: ...".
---@param op string
---@param path string
---@param problem string
---@return axo.Error
function faults.of_luv(op, path, problem)
  local unknown = problem:match "^Unknown system error %-(%d+)"
  if unknown then problem = ("%s: %s"):format(core.system_error(math.tointeger(unknown))) end
  return faults.new(op, path, problem:match "^(E%w+)" or "IO", problem)
end

--- A directory on the way to a path is not there.
---@param op string
---@param path string
---@param dir string
---@return axo.Error
function faults.no_parent(op, path, dir)
  return errors.new {
    code = "NOT_FOUND", op = op, message = ("%s: there is no directory %s"):format(path, dir),
    hint = NO_PARENT[op],
  }
end

return faults
