--- Commands that docker, podman and git have and axolua has not, and what to type instead.
local foreign_commands = {}

local IMAGES = "images are podman's: podman %s; axolua run --image REF uses one"
local PROGRAM = "that is podman's: podman %s"

local ANSWERS = {
  images = "axolua image ls lists the images that sessions may run",
  pull = "axolua image pull NAME; axolua image use NAME then allows it in a project",
  rmi = "axolua image rm NAME removes an image",
  build = "axolua image make NAME --packages python3,git makes an image; podman build one of a "
    .. "Containerfile",
  push = IMAGES, tag = IMAGES, history = IMAGES, search = IMAGES, save = IMAGES, load = IMAGES,
  import = IMAGES,
  login = PROGRAM, logout = PROGRAM, info = "axolua doctor says what this machine can do",
  ls = "axolua ps lists the sessions", list = "axolua ps lists the sessions",
  container = "sessions are listed by axolua ps, entered by axolua exec, ended by axolua stop",
  rm = "axolua stop ID ends a session and removes its container",
  kill = "axolua stop ID ends a session at once, with all that runs in it",
  down = "axolua stop ID ends a session and removes its container",
  prune = "axolua reap removes the sessions that no program owns, and idle ones that were kept",
  system = "axolua reap removes the sessions that no program owns, and idle ones that were kept",
  start = "a session is started by axolua run --keep, or axolua shell",
  create = "a session is started by axolua run --keep, or axolua shell",
  up = "a session is started by axolua run --keep, or axolua shell",
  restart = "axolua stop ID, then axolua run --keep: the session's directory stays as it is",
  pause = "podman pause axo-ses-ID", unpause = "podman unpause axo-ses-ID",
  inspect = "axolua ps --json tells of the sessions; podman inspect axo-ses-ID of a container",
  top = "axolua stats ID tells what a session takes; axolua exec ID ps its processes",
  events = "axolua audit -f shows what is done in sessions",
  log = "axolua logs ID TASK prints a task's output; axolua audit what was done in sessions",
  enter = "axolua exec ID sh opens a shell in a session",
  ssh = "axolua exec ID sh opens a shell in a session",
  sh = "axolua shell opens a shell in a new session",
  bash = "axolua shell opens a shell in a new session",
  commit = "a session is not made an image; what is to stay goes into its directory",
  export = "a session is not made an image; what is to stay goes into its directory",
  diff = "a session changes its directory and nothing else of yours: git diff there",
  status = "axolua ps lists the sessions; git status in a session's directory what was changed",
  volume = "there are no volumes; what is to stay goes into the session's directory",
  compose = "a session is one container; axolua run --keep, then axolua exec, starts more in it",
  rename = "a session keeps its id; axolua run --id NAME chooses it",
  update = "limits are chosen at the start: axolua run --memory, --cpus, --pids",
  wait = "axolua logs -f ID TASK waits for a task and exits with its status",
}

-- Beneath one of ours.
local BENEATH = {
  image = {
    list = "axolua image ls lists the images", remove = "axolua image rm NAME removes one",
    build = ANSWERS.build, prune = "axolua image rm NAME removes one; the rest is podman's: "
      .. "podman image prune",
    inspect = "axolua image ls --json tells of the images; podman image inspect NAME all of one",
    tag = IMAGES, push = IMAGES, history = IMAGES, search = IMAGES, save = IMAGES, load = IMAGES,
    import = IMAGES,
  },
}

--- What to type instead of a command that is none of ours.
---@param name string
---@param parent string? of ours, beneath which it was looked for
---@return string? sentence
function foreign_commands.answer(name, parent)
  local answer = (parent and BENEATH[parent] or not parent and ANSWERS or {})[name]
  return answer and answer:format(name)
end

return foreign_commands
