--- A command in the foreground, connected with our own stdin, stdout and stderr or our terminal.
local uv = require "luv"
local async = require("axosandbox").async
local cli = require "axolua.cli"
local input = require "axolua.view.input"
local not_a_program = require "axolua.sandbox.not_a_program"
local output = require "axolua.view.output"
local record = require "axolua.view.record"
local refusals = require "axolua.sandbox.refusals"
local terminal = require "axolua.view.terminal"

local foreground = {}

local function code_of(sb, result, opts, guard)
  if guard:code() then return guard:code() end
  cli.say_oom(result, sb, "the command")
  refusals.say(result.denied)
  if result.timed_out then
    local limit = opts.timeout and ("%g s"):format(opts.timeout) or "policy allows"
    cli.say(("the command took longer than %s and was ended"):format(limit))
    return cli.TIMED_OUT
  end
  local left = result.left_running or 0
  if opts.goes_on and left > 0 then
    cli.say(("%d %s that the command started still %s in the session%s"):format(left,
      left == 1 and "process" or "processes", left == 1 and "runs" or "run",
      result.left_output == "closed" and "; what writes to the command's output will end by it"
        or ""))
  end
  return result.code or cli.FAILED
end

local function forward_stdin(handle)
  if uv.guess_handle(0) == "tty" then
    handle:close_stdin()
    return nil
  end
  return input.forward(0,
    function(bytes) return (handle:write(bytes)) end,
    function() return handle:write "" or 0 end,
    function() handle:close_stdin() end)
end

-- Runs the command with our stdin; a signal to us, and a reader that goes away, end it.
local function exec(sb, argv, opts, guard, sinks)
  local feed
  local result, err = async.call(function(done)
    local handle, problem = sb:exec(argv, {
      timeout = opts.timeout or 0, cwd = opts.cwd, user = opts.user, env = opts.env,
      stdin = "pipe", on_stdout = sinks.stdout, on_stderr = sinks.stderr,
    }, done)
    if not handle then return nil, problem end
    sinks.cancel = function() handle:cancel() end
    guard:on_signal(sinks.cancel)
    feed = forward_stdin(handle)
    return handle
  end)
  guard:on_signal(nil)
  if feed then feed:stop() end
  return result, err
end

local function run_plain(sb, argv, opts, guard)
  local out, err_out = output.open(1), output.open(2)
  local is_broken
  local sinks = {
    stdout = function(bytes) out:write(bytes) end,
    stderr = function(bytes) err_out:write(bytes) end,
  }
  out.on_broken = function()
    is_broken = true
    if sinks.cancel then sinks.cancel() end
  end
  local result, err = exec(sb, argv, opts, guard, sinks)
  local patience = guard.signal and 1 or nil
  out:flush(patience)
  err_out:flush(patience)
  if not result then return guard:code() or cli.fail_to_run(err), err end
  if is_broken then return cli.BROKEN_PIPE end
  return code_of(sb, result, opts, guard)
end

-- What the command prints is kept, as far as policy lets it be, and reported at its end.
local function run_recorded(sb, argv, opts, guard)
  local result, err = exec(sb, argv, opts, guard, {})
  if result then
    record.result(sb, argv, result, opts.notices)
    return code_of(sb, result, opts, guard)
  end
  record.failure(err)
  return guard:code() or cli.fail_to_run(err), err
end

local function run_terminal(sb, argv, opts, guard)
  local rows, cols = terminal.size()
  local env = { TERM = os.getenv "TERM" or "xterm" }
  for name, value in pairs(opts.env or {}) do env[name] = value end
  local term, err = sb:spawn_pty(argv, {
    rows = rows, cols = cols, env = env, cwd = opts.cwd, user = opts.user,
    timeout = opts.timeout or 0,
  })
  if not term then return guard:code() or cli.fail_to_run(err), err end
  local result
  result, err = terminal.attach(term, guard)
  if not result then return guard:code() or cli.fail_to_run(err), err end
  if result.state == "failed" then
    err = { code = result.fault, message = result.reason }
    return guard:code() or cli.fail_to_run(err), err
  end
  refusals.say(term:denied())
  return code_of(sb, result, opts, guard)
end

--- Runs a command, on a terminal when we are on one; in a coroutine.
---@param sb axo.Session
---@param argv string[]
---@param opts { timeout: number?, cwd: string?, user: string?, env: table?, plain: boolean?, json: boolean?, notices: string[]?, goes_on: boolean? } goes_on: the session does
---@param guard cli.Guard
---@return integer code the command's own, or what stands for its failure
---@return axo.Error? err it did not run, or how it ended is not known
function foreground.run(sb, argv, opts, guard)
  if opts.json then return run_recorded(sb, argv, opts, guard) end
  local on_terminal = terminal.is_there() and not opts.plain
  local code, err = (on_terminal and run_terminal or run_plain)(sb, argv, opts, guard)
  local words = err and code == cli.NOT_FOUND and not_a_program(argv[1])
  if words then cli.say(words) end
  return code, err
end

return foreground
