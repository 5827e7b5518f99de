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
those() { printf '%s\n' "$list" | sed -n "s/^$1 //p"; }
all_of() {
  kind=$1
  shift
  those "$kind" | xargs -r -d '\n' "$@" >/dev/null 2>&1
}
all_of container podman rm -f -i -v -t 0 --
all_of volume podman volume rm -f --
all_of image podman rmi -f --
for kind in dir lasting; do
  all_of $kind chmod -R u+rwX --
  all_of $kind rm -rf --
done
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

-- Of each kind all at once: a call of podman takes longer than what it does here.
local REMOVERS = {
  container = { { "podman", "rm", "-f", "-i", "-v", "-t", "0" } },
  volume = { { "podman", "volume", "rm", "-f" } },
  dir = { { "chmod", "-R", "u+rwX" }, { "rm", "-rf", "--" } },
}

local function remove(kind, names)
  if #names == 0 then return end
  for _, argv in ipairs(REMOVERS[kind]) do
    proc.run(table.move(names, 1, #names, #argv + 1, { table.unpack(argv) }))
  end
  for _, name in ipairs(names) do tell("gone", kind, name) end
end

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
    local names = {}
    for i = #state.made, (mark or 0) + 1, -1 do
      if state.made[i].kind == kind then names[#names + 1] = table.remove(state.made, i).name end
    end
    remove(kind, names)
  end
end

return janitor
