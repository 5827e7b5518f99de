--- A command that goes on in a session when we are gone.
local cli = require "axolua.cli"
local terminal = require "axolua.view.terminal"

local detached = {}

-- What `axolua logs` can show of it.
local RING = 1024 * 1024

local function rows_and_columns()
  if terminal.is_there() then return terminal.size() end
end

--- Starts it as a task, or with `tty` on a terminal.
---@param sb axo.Session
---@param argv string[]
---@param opts { tty: boolean?, cwd: string?, user: string?, env: table<string, string>? }
---@return axo.Task|axo.Terminal|nil work, integer? code why not, which has been said
function detached.start(sb, argv, opts)
  if sb:path() == "portable" then
    return nil, cli.fail {
      message = "-d: on the portable path nothing goes on when axolua ends",
      hint = "leave axolua running: without -d, in a terminal of its own or behind &",
    }
  end
  local asked = { cwd = opts.cwd, user = opts.user, env = opts.env, ring = RING }
  local work, err
  if opts.tty then
    asked.rows, asked.cols = rows_and_columns()
    work, err = sb:spawn_pty(argv, asked)
  else
    work, err = sb:spawn_background(argv, asked)
  end
  if work then return work end
  return nil, cli.fail_to_run(err)
end

--- Refuses what does not go with -d.
---@param parser table
---@param args table
function detached.check(parser, args)
  if not args.detach then return end
  if args.timeout then
    cli.usage(parser, "-d and --timeout: nobody is left to end it; put `timeout S` before the "
      .. "command")
  end
  if args.rm then
    cli.usage(parser, "-d and --rm: nobody is left to remove the session; `axolua stop ID` does")
  end
end

--- How to reach it, on stderr.
---@param id string of the session
---@param work axo.Task|axo.Terminal
function detached.explain(id, work)
  cli.say(("%s runs in it: axolua logs -f %s %s; axolua attach %s %s"):format(
    work.id, id, work.id, id, work.id))
end

return detached
