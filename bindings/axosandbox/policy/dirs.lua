--- The directories of an operator's policy files. What was meant to decide and would not, because
--- a directory or a file has another name than it should, is an error.
local uv = require "luv"
local failure = require("axosandbox.policy.load").failure
local host = require "axosandbox.host"
local shapes = require "axosandbox.policy.shapes"

local policy_dirs = {}

--- Where the administrator's files are. Not in the environment: that is the user's.
policy_dirs.ETC = "/etc/axosandbox"

local function check_named(dir)
  if dir:sub(1, 1) ~= "/" then
    return failure(("$AXOSANDBOX_POLICY_PATH holds the relative directory %q"):format(dir),
      "write absolute directories, separated by colons")
  end
  local stat, message = uv.fs_stat(dir)
  if stat and stat.type == "directory" then return nil end
  local why = stat and "it is not a directory" or message:match "^[^:]*"
  if why == "ENOENT" then why = "there is no such directory" end
  return failure(("$AXOSANDBOX_POLICY_PATH names %s: %s"):format(dir, why),
    "correct its name, make the directory, or remove it from the variable")
end

--- The operator's directories, first wins.
---@return string[]? dirs
---@return axo.Error? err a directory that was named and cannot be one
function policy_dirs.of_operator()
  local dirs = {}
  for dir in (os.getenv "AXOSANDBOX_POLICY_PATH" or ""):gmatch "[^:]+" do
    local err = check_named(dir)
    if err then return nil, err end
    dirs[#dirs + 1] = dir
  end
  local config = host.config_dir()
  if config then dirs[#dirs + 1] = config .. "/policy" end
  dirs[#dirs + 1] = policy_dirs.ETC .. "/policy"
  return dirs
end

--- The administrator's directory whose files have the last word.
---
---     print(axo.policy.binding_dir())  --> /etc/axosandbox/binding
---@return string
function policy_dirs.binding() return policy_dirs.ETC .. "/binding" end

local is_decision, files = {}, {}
for i, name in ipairs(shapes.names) do
  files[i] = name .. ".lua"
  is_decision[files[i]] = true
end

-- What editors leave beside a file (x.lua~, .x.lua.swp, #x.lua#) does not end so, or is hidden.
local function is_stray(dir, name, kind)
  if is_decision[name] or not name:lower():find "^[^.].*%.lua$" then return false end
  if kind == "file" then return true end
  local stat = uv.fs_stat(dir .. "/" .. name)
  return not stat or stat.type ~= "directory"
end

-- Something has the directory's name, and would be passed over in silence.
local function check_kind(dir)
  if not uv.fs_lstat(dir) then return nil end
  local stat, message = uv.fs_stat(dir)
  if stat and stat.type == "directory" then return nil end
  local why = stat and "not a directory but a " .. stat.type or message
  return failure(("%s:1: %s"):format(dir, why), "make it a directory, or remove it")
end

-- Where the directory above it is closed, that one must be opened as well.
local function closed(dir)
  local _, _, code = uv.fs_lstat(dir)
  return code == "EACCES" and ("%s %s"):format(dir:match "^(.+)/", dir) or dir
end

--- Looks for a file that no decision would ever read. That a directory is missing is no error here.
--- Whether one that cannot be listed can be read is for who reads its files to say, unless it binds.
---@param dir string
---@param binds boolean?
---@return axo.Error?
function policy_dirs.check(dir, binds)
  local wrong = check_kind(dir)
  if wrong then return wrong end
  local entries, message, code = uv.fs_scandir(dir)
  local stray
  if not entries and binds and code ~= "ENOENT" then
    return failure(("%s:1: cannot be listed: %s"):format(dir, message),
      "its files bind whoever uses axosandbox here: chmod go+rx " .. closed(dir))
  end
  while entries do -- to the end: libuv frees them there
    local name, kind = uv.fs_scandir_next(entries)
    if not name then break end
    if is_stray(dir, name, kind) then stray = stray or name end
  end
  if not stray then return nil end
  return failure(("%s/%s:1: no decision has this name, so it would never be asked"):format(
    dir, stray), "rename or remove it; the files are " .. table.concat(files, ", "))
end

return policy_dirs
