--- The output of a task, or of a terminal, as it comes.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local terminal = require "axolua.view.terminal"

local follow = {}

--- Says that some of it is not there any more.
---@param dropped integer? bytes
function follow.warn_lost(dropped)
  if dropped and dropped > 0 then
    cli.say(("warning: %d bytes came too fast or too long ago, and are lost"):format(dropped))
  end
end

-- What ends it from here: a signal, a reader that is gone, keys.
local function watch(opts, writer, guard, finish)
  local function leave(code) finish(nil, { state = "exited", code = code, is_left = true }) end
  writer.on_broken = function() leave(cli.BROKEN_PIPE) end
  writer:watch_reader()
  guard:on_signal(function() leave(guard:code()) end)
  if not opts.keys then return function() end end
  return terminal.watch_keys(function(how) leave(how == "interrupted" and 130 or 0) end)
end

--- Prints until the work ends, our reader goes away or we are told to stop. What of that came
--- first is the result: the work's own exit code, or the code to exit with.
---@param sb axo.Session
---@param work axo.Task|axo.Terminal
---@param opts { from: integer, keys: boolean? } from: the offset to begin at; keys: those that detach, and ctrl-c, leave it
---@param writer cli.Writer
---@param guard cli.Guard
---@return integer code, boolean? is_left it goes on
function follow.to_end(sb, work, opts, writer, guard)
  local function print_bytes(bytes, _, dropped)
    follow.warn_lost(dropped)
    writer:write(bytes)
  end
  local subscribe = work.follow or work.subscribe
  local subscription, forget = subscribe(work, print_bytes, { from = opts.from }), nil
  local status, err = axo.async.first(function(finish)
    forget = watch(opts, writer, guard, finish)
    return work:wait(nil, finish)
  end)
  forget()
  subscription:close()
  guard:on_signal(nil)
  if not status then return cli.fail(err) end
  writer:flush(guard.signal and 1 or nil)
  if status.is_left then return status.code, true end
  cli.say_oom(status, sb, work.id)
  if status.state ~= "failed" then return status.code or 0 end
  return cli.fail_to_run { code = status.fault, message = status.reason }
end

return follow
