--- What to do next, in the words of who reads it: a Lua program's author, a person at a shell, an
--- agent. An error's `hint` has the words for Lua; where another reader needs others, they stand
--- beside them here.

local hints = {}

--- By name: the words for each reader.
---@type table<string, { lua: string, cli: string, mcp: string }>
hints.TABLE = {
  in_use = {
    lua = "open it (axo.open, or reuse = true), stop it, or choose another id",
    cli = "axolua exec ID -- COMMAND uses it, axolua stop ID ends it; or choose another --id",
    mcp = "Tell the user: another program uses this session; `axolua stop` ends it.",
  },
  no_names = {
    lua = "start it with policy = { network = { allow = { \"api.example.com\" } } }; the list may "
      .. "be empty",
    cli = "start it with --allow NAME",
    mcp = "Tell the user: `axolua mcp --allow NAME` gives a session a network by names.",
  },
  port_and_no_network = {
    lua = "leave out the port, or network = \"none\"",
    cli = "leave out --port, or --network none",
    mcp = "Tell the user: `axolua mcp` wants either --port or --network none.",
  },
  port_and_narrow = {
    lua = "leave out the port, or narrow.network",
    cli = "leave out --port, or give --network bridge, which goes before the project's defaults",
    mcp = "Tell the user: `axolua mcp --network bridge` goes before the project's defaults.",
  },
  port_without_network = {
    lua = "leave out the port, or make it optional; `axolua policy show` tells which file decides",
    cli = "leave out --port, or give --optional-port; axolua policy show tells which file decides",
    mcp = "Tell the user: leave out --port; `axolua policy show` tells which file decides.",
  },
  port_taken = {
    lua = "choose another port, or make it optional",
    cli = "choose another, or give --optional-port",
    mcp = "Tell the user: `axolua mcp --optional-port` does without a port that is held.",
  },
  host_port_taken = {
    lua = "host_port = 0 lets the kernel choose one",
    cli = "choose another: axolua port ID 3000:8081, or 3000:0 for one that is free",
    mcp = "Leave out host_port: then one that is free is taken.",
  },
  forward_path = {
    lua = "publish the port at the start: ports = { 3000 }, with the network \"bridge\"",
    cli = "publish the port at the start: --port, with --network bridge",
    mcp = "Tell the user: only `axolua mcp --port` with a network reaches a server here.",
  },
  listeners = {
    lua = "axo.usage.listeners(pid) reads them from /proc, where the container is on this machine",
    cli = "axolua port ID reads them from /proc, where the container is on this machine",
    mcp = "Look from inside: `netstat -ltn` or `ss -ltn` by bash.",
  },
  other_session = {
    lua = "stop it, or choose another id",
    cli = "axolua stop ID ends it; or choose another --id",
    mcp = "Tell the user: `axolua stop` ends that session.",
  },
  devcontainer = {
    lua = "correct it, or start without it",
    cli = "correct it, or do without: --no-devcontainer",
    mcp = "Tell the user: correct the file, or use `axolua mcp --no-devcontainer`.",
  },
  devcontainer_name = {
    lua = "choose one by the option `name`",
    cli = "choose one: --devcontainer NAME",
    mcp = "Tell the user: `axolua mcp --devcontainer NAME` chooses one.",
  },
  list_sessions = {
    lua = "axo.list() tells which there are",
    cli = "axolua ps lists them",
    mcp = "Tell the user: `axolua ps` lists the sessions that there are.",
  },
  start_again = {
    lua = "start the session again, or stop it",
    cli = "start the session again, or remove it: axolua stop ID",
    mcp = "Tell the user: the session must be started again.",
  },
  post_create = {
    lua = "run the session without post-create commands, and this one by hand",
    cli = "run it without --allow-post-create, and the command by hand",
    mcp = "Tell the user: without `--allow-post-create` the session starts, and the command can "
      .. "be run by hand.",
  },
  open_instead = {
    lua = "open the session: axo.open",
    cli = "name the session by its id",
    mcp = "Tell the user: this container was only attached to.",
  },
  no_processes = {
    lua = "the container's limit of processes is reached: stop something in it, or call kill_all",
    cli = "the container's limit of processes is reached: end something in it",
    mcp = "The sandbox's limit of processes is reached: end some by stop_background or "
      .. "kill_terminal.",
  },
  defaults = {
    lua = "correct it, or start without defaults",
    cli = "correct it, or do without: --no-defaults",
    mcp = "Tell the user: correct the file, or use `axolua mcp --no-defaults`.",
  },
  forget_images = {
    lua = "forget some: axo.images.remove",
    cli = "forget some: axolua image rm NAME",
    mcp = "Tell the user: `axolua image rm` forgets some.",
  },
  make_image = {
    lua = "axo.images.make makes one from the distribution's own packages",
    cli = "axolua image make NAME --packages python3,git makes one from the distribution's own "
      .. "packages",
    mcp = "Tell the user: `axolua image make` makes one from the distribution's own packages.",
  },
  pull_image = {
    lua = "axo.images.pull gets it",
    cli = "axolua image pull NAME gets it",
    mcp = "Tell the user: `axolua image pull` gets it.",
  },
  list_images = {
    lua = "axo.images.list has those that are",
    cli = "axolua image ls --all lists those that are",
    mcp = "Tell the user: `axolua image ls --all` lists those that are.",
  },
  make_from = {
    lua = "say where packages are: the options mirror and suite of axo.images.make",
    cli = "say where packages are: axolua image make NAME --suite RELEASE --mirror URL "
      .. "--packages ...",
    mcp = "Tell the user: `axolua image make --mirror` says where packages are.",
  },
  names_path = {
    lua = "open it where the native path works: `axolua doctor` says what is missing",
    cli = "open it where the native path works: axolua doctor says what is missing",
    mcp = "Tell the user: `axolua doctor` says what the native path lacks.",
  },
  session_files = {
    lua = "free some space in the directory of this user's sessions (axo.host.runtime_dir), or "
      .. "mend its permissions",
    cli = "free some space in the directory of your sessions ($XDG_RUNTIME_DIR, where that is "
      .. "set), or mend its permissions",
    mcp = "Tell the user: free some space in the directory of the sessions ($XDG_RUNTIME_DIR), or "
      .. "mend its permissions.",
  },
  cache_dir = {
    lua = "free some space there, or set XDG_CACHE_HOME to a directory on another disk",
    cli = "free some space there, or set XDG_CACHE_HOME to a directory on another disk",
    mcp = "Tell the user: free some space there, or set XDG_CACHE_HOME to another disk.",
  },
  all_said = {
    lua = "the error's stderr has all that was said",
    cli = "axolua image make --verbose ... shows all that was said",
    mcp = "Tell the user: `axolua image make --verbose` shows all that was said.",
  },
  more_time = {
    lua = "give it more time: the option timeout",
    cli = "give it more time: --timeout",
    mcp = "Tell the user: it needs a larger `--timeout`.",
  },
  stop_session = {
    lua = "stop the session to end them",
    cli = "axolua stop ID ends them, with the session",
    mcp = "Some of it cannot be killed. Tell the user.",
  },
  memory = {
    lua = "use less at a time, or start the session with more: limits = { memory = \"4g\" }",
    cli = "start it with a larger --memory, or use less at a time",
    mcp = "Use less memory at a time (fewer jobs in parallel, say). If it needs more, tell the "
      .. "user: `axolua mcp --memory` gives the sandbox more.",
  },
  gone_memory = {
    lua = "start the session again, with more: limits = { memory = \"4g\" }",
    cli = "start the session again, with a larger --memory",
    mcp = "The next call starts a new container; the files are still there. Use less memory at a "
      .. "time. If it needs more, tell the user: `axolua mcp --memory` gives it.",
  },
  host_memory = {
    lua = "end something on the host, or give it more memory",
    cli = "end something there, or give it more memory",
    mcp = "Use less memory at a time, and tell the user: the host has too little.",
  },
  parents = {
    lua = "make it first, or give parents = true",
    cli = "make it first",
    mcp = "Set parents to make it, too; or check the spelling: list_dir shows what is there.",
  },
  in_parts = {
    lua = "read it in parts: offset and limit",
    cli = "read it in parts",
    mcp = "Read it in parts: read_file has offset and limit, and bash has head and tail.",
  },
  stdin = {
    lua = "start it with stdin = true, and write in the process that started it",
    cli = "its input comes from who started it",
    mcp = "Start it by bash_background with interactive set; write_background then writes to it.",
  },
}

local MEANS = {}
for name, words in pairs(hints.TABLE) do MEANS[words.lua] = name end

--- What a reader is told to do about an error.
---
---     local _, err = sb:read_file "missing"
---     print(err.message, axo.errors.hint(err, "cli"))
---@param err axo.Error|{ hint: string? }
---@param reader "lua"|"cli"|"mcp"
---@return string? hint, boolean is_own worded for this reader
function hints.of(err, reader)
  local words = hints.TABLE[MEANS[err.hint]]
  if words then return words[reader], true end
  if err.hint == "" then return nil, false end
  return err.hint, false
end

return hints
