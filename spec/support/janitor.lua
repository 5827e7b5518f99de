--- Removes what the specs made, also when a spec fails and when busted itself is killed.
---
--- Each thing is registered before it is made. A spec's teardown removes it; a helper
--- process, which learns of everything over a pipe, removes what is left when this process
--- ends, however it ends. Only exact names that were registered are touched.
local uv = require "luv"
local proc = require "spec.support.proc"
local state = require "spec.support.state"

local janitor = {}

local SCRIPT = [[
trap '' INT TERM HUP
list=
while read -r verb kind name; do
  case $verb in
    made) list="$list
$kind $name" ;;
    gone) list=$(printf '%s\n' "$list" | grep -vxF "$kind $name") ;;
  esac
done
remove() {
  printf '%s\n' "$list" | while read -r kind name; do
    [ "$kind" = "$1" ] || continue
    case $kind in
      container) podman rm -f -v -t 0 -- "$name" ;;
      image) podman rmi -f -- "$name" ;;
      dir | lasting) chmod -R u+rwX "$name"; rm -rf -- "$name" ;;
      volume) podman volume rm -f -- "$name" ;;
    esac
  done >/dev/null 2>&1
}
remove container; remove volume; remove image; remove dir; remove lasting
]]

local function helper()
  if state.janitor then return state.janitor end
  local pipe = uv.new_pipe()
  local handle
  handle = assert(uv.spawn("/bin/sh", {
    args = { "-c", SCRIPT }, stdio = { pipe, nil, nil }, detached = true,
  }, function() end))
  handle:unref()
  pipe:unref()
  state.janitor, state.janitor_handle = pipe, handle
  state.made = {}
  return pipe
end

local function tell(verb, kind, name)
  helper():try_write(("%s %s %s\n"):format(verb, kind, name))
end

--- Registers something that is about to be made.
---@param kind "container"|"image"|"dir"|"volume"|"lasting" a lasting directory is not swept
---@param name string exact name or path
---@return string name
function janitor.made(kind, name)
  assert(not name:find "\n", "a registered name must be one line")
  tell("made", kind, name)
  table.insert(state.made, { kind = kind, name = name })
  return name
end

local removers = {
  container = function(name) proc.run { "podman", "rm", "-f", "-v", "-t", "0", name } end,
  image = function(name) proc.run { "podman", "rmi", "-f", name } end,
  volume = function(name) proc.run { "podman", "volume", "rm", "-f", name } end,
  dir = function(name)
    proc.run { "chmod", "-R", "u+rwX", name }
    proc.run { "rm", "-rf", "--", name }
  end,
}

--- How much has been registered so far; for `sweep`.
function janitor.mark()
  helper()
  return #state.made
end

--- Removes everything registered after `mark`, newest first. Images stay for the other
--- spec files; the helper process removes them at the end.
---@param mark integer?
function janitor.sweep(mark)
  helper()
  for _, kind in ipairs { "container", "volume", "dir" } do
    for i = #state.made, (mark or 0) + 1, -1 do
      local item = state.made[i]
      if item.kind == kind then
        removers[kind](item.name)
        tell("gone", item.kind, item.name)
        table.remove(state.made, i)
      end
    end
  end
end

return janitor
