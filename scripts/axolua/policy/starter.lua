--- axolua policy init: files to begin with, in the user's own policy directory or the
--- administrator's.
local uv = require "luv"
local axo = require "axosandbox"
local cli = require "axolua.cli"
local templates = require "axolua.policy.templates"
local text = require "axolua.view.text"

local json = axo.json

local policy_init = {}

local PRIVATE = { file = 384, dir = 448 } -- 0600, 0700
local PUBLIC = { file = 420, dir = 493 } -- 0644, 0755

--- Adds the command's options.
---@param command table
function policy_init.options(command)
  command:argument("decision", "Only these: " .. table.concat(axo.policy.NAMES, ", ") .. ".")
    :args "*":choices(axo.policy.NAMES)
  command:flag("--binding", "Into the directory whose files have the last word for everybody "
    .. "on this machine (" .. axo.policy.binding_dir() .. "); as root.")
  command:flag("--json", "As JSON, for scripts.")
end

-- With the mode that it says, also where the umask would take from it: files that bind everybody
-- and that only root can read would let nobody else start anything.
local function make_directory(path, mode)
  local parent = path:match "^(.+)/[^/]+$"
  if parent and not uv.fs_stat(parent) then
    local ok, problem = make_directory(parent, mode)
    if not ok then return nil, problem end
  end
  local ok, message, code = uv.fs_mkdir(path, mode)
  if ok then return uv.fs_chmod(path, mode) end
  if code == "EEXIST" then return true end
  return nil, message
end

-- What is there stays, whatever it is: also a symbolic link that leads nowhere.
local function write(path, content, mode)
  local flags = uv.constants.O_WRONLY | uv.constants.O_CREAT | uv.constants.O_EXCL
  local fd, message, code = uv.fs_open(path, flags, mode)
  if not fd then
    if code == "EEXIST" then return "is there already, left alone" end
    return nil, message
  end
  local written, problem = uv.fs_write(fd, content)
  local is_whole = written == #content
  if is_whole then is_whole, problem = uv.fs_fchmod(fd, mode) end
  uv.fs_close(fd)
  if is_whole then return "written" end
  uv.fs_unlink(path)
  return nil, problem or "only a part was written"
end

-- The templates name the user's directory in the commands that they give.
local function content_for(name, dir)
  local own = "~/.config/axosandbox/policy/"
  return (templates[name]:gsub(own:gsub("%p", "%%%0"), (dir:gsub("%%", "%%%%")) .. "/"))
end

local function place(args)
  if args.binding then return axo.policy.binding_dir(), PUBLIC end
  local config = axo.host.config_dir()
  return config and config .. "/policy", PRIVATE
end

--- Writes the files that are missing.
---@param args table
---@return integer code
function policy_init.main(args)
  local dir, mode = place(args)
  if not dir then return cli.fail "this user has no home directory" end
  local ok, problem = make_directory(dir, mode.dir)
  if not ok then return cli.fail(("cannot make %s: %s"):format(dir, problem)) end
  local code, report = 0, json.array {}
  for _, name in ipairs(#args.decision > 0 and args.decision or axo.policy.NAMES) do
    local path = ("%s/%s.lua"):format(dir, name)
    local what, message = write(path, content_for(name, dir), mode.file)
    if not what then code = cli.fail(("cannot write %s: %s"):format(path, message)) end
    report[#report + 1] = { file = path, written = what == "written", error = message }
    if what and not args.json then cli.print(("%s %s\n"):format(text.visible(path), what)) end
  end
  if args.json then cli.print_json(report) end
  return code
end

return policy_init
