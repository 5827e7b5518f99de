--- Options of docker's and podman's that are none of ours: why not, and what to do instead.
local foreign_commands = require "axolua.cli.foreign_commands"

local foreign_options = {}

local FLOOR = "a session's protection is the same for every program; "
  .. "`axolua policy show` says what policy can give back (setuid, nested_namespaces)"
local OWN = "a session always has namespaces of its own, never this machine's"
local DEVICES = "a session is given no devices of this machine, graphics cards included; "
  .. "what needs one is for `podman run` itself"
local LIMITS = "the limits are --memory, --cpus, --pids and --shm-size"
local NAMES = "a session's names and addresses are podman's own; --port N reaches what runs in it"
local CONTAINER = "a session is not a service: --keep leaves it running, "
  .. "`axolua stop ID` ends it, `axolua ps` lists it"
local LABELS = "labels are axosandbox's own; --name NAME tells sessions apart"
local LOGS = "what a command prints comes to this terminal; "
  .. "`axolua logs ID TASK` shows a task's output"
local MOUNTS = "what a session has mounted is chosen when it starts: axolua run -v SRC:DST"
local TMPFS = "the container's own /tmp and home can be written, and are gone with the session"
local VOLUMES = "there are no named volumes; what is to stay goes into the session's directory"
local ARCH = "a session runs on this machine's own processor: get the image that is for it"
local IMAGE = "policy decides whether and when an image is pulled (image_trust.lua)"

local WORDS = {
  ["--privileged"] = FLOOR, ["--cap-add"] = FLOOR, ["--security-opt"] = FLOOR,
  ["--group-add"] = FLOOR, ["--sysctl"] = FLOOR,
  ["--cap-drop"] = "what is dangerous is dropped already, in every session",
  ["--read-only"] = "only the session's directory is kept: what else is written in the container "
    .. "is gone with it",
  ["--gpus"] = DEVICES, ["--device"] = DEVICES, ["--device-cgroup-rule"] = DEVICES,
  ["--pid"] = OWN, ["--ipc"] = OWN, ["--uts"] = OWN, ["--userns"] = OWN, ["--cgroupns"] = OWN,
  ["--cgroup-parent"] = OWN, ["--cgroups"] = OWN,
  ["--ulimit"] = LIMITS, ["--cpu-shares"] = LIMITS, ["-c"] = LIMITS, ["--cpuset-cpus"] = LIMITS,
  ["--cpu-period"] = LIMITS, ["--cpu-quota"] = LIMITS, ["--memory-swap"] = LIMITS,
  ["--memory-reservation"] = LIMITS, ["--memory-swappiness"] = LIMITS,
  ["--oom-kill-disable"] = LIMITS, ["--oom-score-adj"] = LIMITS, ["--blkio-weight"] = LIMITS,
  ["--storage-opt"] = LIMITS,
  ["--hostname"] = NAMES, ["--ip"] = NAMES, ["--ip6"] = NAMES, ["--mac-address"] = NAMES,
  ["--dns"] = NAMES, ["--dns-search"] = NAMES, ["--dns-option"] = NAMES, ["--add-host"] = NAMES,
  ["--network-alias"] = NAMES, ["--net-alias"] = NAMES, ["--link"] = NAMES,
  ["-P"] = "name each port: --port N publishes N on 127.0.0.1",
  ["--publish-all"] = "name each port: --port N publishes N on 127.0.0.1",
  ["--expose"] = "a program in the session may listen on any port; --port N publishes it",
  ["--entrypoint"] = "an image's ENTRYPOINT is never run: give the whole command",
  ["--restart"] = CONTAINER, ["--replace"] = CONTAINER, ["--pod"] = CONTAINER,
  ["--cidfile"] = CONTAINER, ["--stop-signal"] = CONTAINER, ["--stop-timeout"] = CONTAINER,
  ["-l"] = LABELS, ["--label"] = LABELS, ["--label-file"] = LABELS,
  ["--systemd"] = CONTAINER,
  ["--health-cmd"] = CONTAINER, ["--health-interval"] = CONTAINER, ["--no-healthcheck"] = CONTAINER,
  ["-a"] = LOGS, ["--attach"] = LOGS, ["--log-driver"] = LOGS, ["--log-opt"] = LOGS,
  ["--sig-proxy"] = "a signal to axolua always ends the command",
  ["--detach-keys"] = "the keys to detach are fixed",
  ["--volume-driver"] = VOLUMES,
  ["--volumes-from"] = VOLUMES, ["--tmpfs"] = TMPFS,
  ["--pull"] = IMAGE, ["--platform"] = ARCH, ["--arch"] = ARCH, ["--os"] = ARCH,
  ["--variant"] = ARCH, ["--authfile"] = IMAGE, ["--tls-verify"] = IMAGE,
  ["--disable-content-trust"] = IMAGE,
  ["--runtime"] = "policy chooses podman's runtime (retry.lua), where the usual one fails",
  ["--secret"] = "--env-from NAME=file:PATH hands a secret over",
  ["--http-proxy"] = "proxy variables of this machine may hold passwords: pass one by "
    .. "-e NAME",
  ["--env-host"] = "no variable of this machine goes in but those you name: -e NAME",
  ["--latest"] = "name the session; `axolua ps` lists them",
  ["--preserve-fds"] = "only stdin, stdout and stderr are passed on",
  ["--rootfs"] = "a session runs on an image: --image REF",
  ["--timezone"] = "-e TZ=NAME sets it", ["--tz"] = "-e TZ=NAME sets it",
}

local HOST_NETWORK = "a session never has this machine's network, where all that listens would be "
  .. "in its reach; -p N publishes a port of the session, and --network bridge, the default, "
  .. "reaches out"

-- Of options that are ours: values that are not.
local VALUES = {
  ["--network"] = {
    host = HOST_NETWORK, ["*"] = "there is bridge, which reaches out, and none",
  },
}
VALUES["--net"] = VALUES["--network"]

local AT_ONCE = "a session ends at once, with all that runs in it"
local NO_TIMES = "a task's output is kept as it came, without times; `axolua audit` has when it "
  .. "began and ended"
local JSON = "--json has it all, for jq and the like; -q prints the ids alone"
local ALL_OF_IT = "the sessions are listed in one table; --tasks shows what runs in them"

local OF_STOP = {
  ["-t"] = AT_ONCE, ["--time"] = AT_ONCE, ["--timeout"] = AT_ONCE, ["-s"] = AT_ONCE,
  ["--signal"] = AT_ONCE, ["-f"] = AT_ONCE, ["--force"] = AT_ONCE, ["-v"] = AT_ONCE,
  ["--volumes"] = AT_ONCE, ["-i"] = AT_ONCE, ["--ignore"] = AT_ONCE,
}
local OF_LOGS = {
  ["-t"] = NO_TIMES, ["--timestamps"] = NO_TIMES, ["--since"] = NO_TIMES, ["--until"] = NO_TIMES,
}
local OF_PS = {
  ["--format"] = JSON, ["-f"] = JSON, ["--filter"] = JSON, ["--no-trunc"] = JSON,
  ["--noheading"] = JSON, ["--sort"] = JSON, ["-n"] = ALL_OF_IT, ["--last"] = ALL_OF_IT,
  ["-l"] = ALL_OF_IT, ["--latest"] = ALL_OF_IT, ["-s"] = ALL_OF_IT, ["--size"] = ALL_OF_IT,
}

local OF_EXEC = setmetatable(
  { ["-v"] = MOUNTS, ["--volume"] = MOUNTS, ["--mount"] = MOUNTS }, { __index = WORDS })

local ONCE = "without --watch it prints once, what runs; --json has it all"
local NO_QUESTION = "nothing is asked; --force takes kept sessions in which something runs, too"
local OF_STATS = { ["-a"] = ONCE, ["--all"] = ONCE, ["--format"] = ONCE, ["--no-trunc"] = ONCE }
local OF_REAP = {
  ["-f"] = NO_QUESTION, ["-a"] = NO_QUESTION, ["--all"] = NO_QUESTION, ["--volumes"] = VOLUMES,
  ["--filter"] = "--except ID leaves one alone",
}

local OF_SHELL = setmetatable(
  { ["-c"] = "axolua run sh -c '...' runs a command line" }, { __index = WORDS })

-- Whose commands' options: those of `run` where a container is made or entered.
local OF = {
  run = WORDS, shell = OF_SHELL, mcp = WORDS, exec = OF_EXEC,
  stop = OF_STOP, logs = OF_LOGS, ps = OF_PS, stats = OF_STATS, reap = OF_REAP,
}

local function value_of(arguments, option)
  for i, word in ipairs(arguments) do
    if word == option then return arguments[i + 1] end
    if word:sub(1, #option + 1) == option .. "=" then return word:sub(#option + 2) end
  end
end

--- What to say of an option, or a value of one, that the parser refused.
---@param command string one of axolua's
---@param complaint string argparse's
---@param arguments string[] the command line
---@return string? what, string? words
function foreign_options.answer(command, complaint, arguments)
  local unknown = complaint:match "^unknown command '([^']*)'"
  if unknown then
    return command .. " " .. unknown, foreign_commands.answer(unknown, command)
  end
  local known = OF[command]
  if not known then return nil end
  local name = complaint:match "^unknown option '(%-[^']*)'"
  if name then return name, known[name] end
  name = complaint:match "^argument for option '(%-[^']*)' must be one of"
  local value = VALUES[name] and value_of(arguments, name)
  if value then return name .. " " .. value, VALUES[name][value] or VALUES[name]["*"] end
end

return foreign_options
