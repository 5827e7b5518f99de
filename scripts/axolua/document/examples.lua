--- Two examples of each command, which end its --help: what is typed, and what it does.

---@type table<string, { [1]: string, [2]: string }[]>
return {
  run = {
    { "axolua run --network none make test", "runs the tests of this directory" },
    { "axolua run --id web --keep -p 3000 npm ci", "and leaves the session, with a port" },
  },
  shell = {
    { "axolua shell", "opens a shell over this directory" },
    { "axolua shell --dir ~/project --network none", "over another one, without a network" },
  },
  exec = {
    { "axolua exec web npm test", "runs one more command in the session web" },
    { "axolua exec web sh", "opens a shell in it" },
  },
  attach = {
    { "axolua attach web", "shows what runs in the session web" },
    { "axolua attach web t1", "shows its task t1" },
  },
  cp = {
    { "axolua cp web:out.log .", "copies a file out of the session web" },
    { "axolua cp page.html web:site/", "and one into its directory site" },
  },
  ps = {
    { "axolua ps --tasks", "lists sessions and what runs in them" },
    { "axolua ps -q", "their ids alone, for a script" },
  },
  logs = {
    { "axolua logs web t1 --tail 20", "the last 20 lines of a task" },
    { "axolua logs -f web t1", "goes on until the task ends" },
  },
  stats = {
    { "axolua stats", "what all sessions use now" },
    { "axolua stats --watch web", "what one uses, again each second" },
  },
  port = {
    { "axolua port", "all published ports" },
    { "axolua port web 3000:8080", "127.0.0.1:8080 leads to its port 3000, until ^C" },
  },
  network = {
    { "axolua network web", "what it reached for, refused connections first" },
    { "axolua network web -f", "each as it comes" },
  },
  stop = {
    { "axolua stop web", "ends a session" },
    { "axolua stop --all", "ends all of yours" },
  },
  reap = {
    { "axolua reap --dry-run", "says what would be removed" },
    { "axolua reap --except web", "removes them, and leaves the session web" },
  },
  audit = {
    { "axolua audit --since 1h", "what was done in the last hour" },
    { "axolua audit -f --session web", "one session, as it happens" },
  },
  policy = {
    { "axolua policy show", "what would be decided here" },
    { "axolua policy init", "puts files to change into your own directory" },
  },
  ["policy show"] = {
    { "axolua policy show sandbox", "the decision on sessions alone" },
    { "axolua policy show --dir ~/project", "what would be decided for a directory" },
  },
  ["policy init"] = {
    { "axolua policy init sandbox", "a file to begin with, for you" },
    { "axolua policy init --binding", "as root: files that bind everybody" },
  },
  ["policy check"] = {
    { "axolua policy check sandbox.lua", "tries a file on samples" },
    { "axolua policy check --as exec mine.lua", "one of another name" },
  },
  image = {
    { "axolua image ls", "which images there are" },
    { "axolua image use node:22", "runs this project's sessions on one" },
  },
  ["image ls"] = {
    { "axolua image ls", "those that may run" },
    { "axolua image ls --all", "the others too" },
  },
  ["image use"] = {
    { "axolua image use node:22", "for the project in this directory" },
    { "axolua image use --none", "takes it back" },
  },
  ["image pull"] = {
    { "axolua image pull node:22", "downloads an image" },
    { "axolua image pull ghcr.io/me/tools:1", "from another registry" },
  },
  ["image make"] = {
    { "axolua image make tools --packages python3,git", "makes localhost/tools" },
    { "axolua image make old --suite bookworm", "of another release" },
  },
  ["image rm"] = {
    { "axolua image rm tools", "removes an image" },
    { "axolua image rm node:22", "and forgets who uses it" },
  },
  mcp = {
    { "claude mcp add sandbox -- axolua mcp --network none", "for Claude Code, here" },
    { "axolua mcp --dir ~/project", "what a client runs" },
  },
  doctor = {
    { "axolua doctor", "examines this machine" },
    { "axolua doctor --json", "the same for a script" },
  },
  completion = {
    { "source <(axolua completion bash)", "in ~/.bashrc" },
    { "axolua completion fish | source", "in fish" },
  },
  version = {
    { "axolua version", "the version" },
    { "axolua version --json", "the same for a script" },
  },
  help = {
    { "axolua help networking", "a guide" },
    { "axolua help api sb:exec", "a function of the Lua API" },
  },
}
