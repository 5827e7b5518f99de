--- The shells and tool sets that containers have, as far as this machine has them too: each with
--- a PATH that leads to its own tools.
local proc = require "spec.support.proc"
local state = require "spec.support.state"
local temp = require "spec.support.temp"
local uv = require "luv"

local shells = {}

local function find(name)
  for dir in (os.getenv "PATH" or ""):gmatch "[^:]+" do
    if uv.fs_access(dir .. "/" .. name, "X") then return dir .. "/" .. name end
  end
end

-- A directory with links to all applets of busybox.
local function busybox_dir()
  if state.busybox_dir then return state.busybox_dir end
  local busybox = assert(find "busybox", "busybox is not installed")
  local dir = temp.lasting_dir()
  proc.must { "/bin/sh", "-c", [[
    for applet in $("$1" --list); do ln -s "$1" "$2/$applet" || exit 1; done
  ]], "sh", busybox, dir }
  state.busybox_dir = dir
  return dir
end

--- All of them: { name, shell = argv, path = PATH }.
---@return table[]
function shells.all()
  local host = os.getenv "PATH"
  return {
    { name = "busybox", shell = { assert(find "busybox"), "ash" }, path = busybox_dir() },
    { name = "dash and coreutils", shell = { assert(find "dash") }, path = host },
    { name = "bash and coreutils", shell = { assert(find "bash") }, path = host },
  }
end

return shells
