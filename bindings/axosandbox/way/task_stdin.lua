--- The stdin of a background task: what both ways make of the option, and who may write.
local await = require "axosandbox.base.await"
local callbacks = require "axosandbox.way.callbacks"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local log = require "axosandbox.base.log"

local task_stdin = {}

local Feeder = setmetatable({}, { __index = callbacks })
Feeder.__index = Feeder

-- A stdin function that fails ends its task: what it read is not all there was to be.
function Feeder:fail(message)
  self.callback_error = message
  log.uncaught(("the stdin function of %s: %s"):format(self.work.id, message))
  self.work:end_tree(nil, function() end)
end

--- What core is told about a task's stdin.
---@param work axo.Work
---@param stdin string|(fun(): string?)|true|nil
---@return { input: string?, pipe: boolean?, on_drain: fun()?, begin: fun() } begin: to be called once it runs
function task_stdin.plan(work, stdin)
  if type(stdin) == "string" then return { input = stdin, begin = function() end } end
  work.has_stdin = stdin ~= nil
  if type(stdin) ~= "function" then return { pipe = stdin, begin = function() end } end
  local feeder = setmetatable({ work = work }, Feeder)
  feeder.process = {
    write = function(_, bytes) return work:write(bytes) end,
    close_stdin = function() return work:close_stdin() end,
  }
  return {
    pipe = true, on_drain = feeder:reader(stdin),
    begin = function() await.defer(function() feeder:pull() end) end,
  }
end

local function over(work, op, what)
  return errors.new { code = "EPIPE", op = op, message = work.id .. what }
end

--- Why nothing can be done to a task's stdin.
---@param work axo.Work
---@param op "write"|"close_stdin"
---@return axo.Error? err
function task_stdin.refusal(work, op)
  if work.has_stdin then
    if work.ended.is_open then return over(work, op, " has ended") end
    if work.is_stdin_over then return over(work, op, ": its stdin was closed") end
    work.is_stdin_over = op == "close_stdin"
    return nil
  end
  return errors.new {
    code = "NO_STDIN", op = op, hint = hints.TABLE.stdin.lua,
    message = ("%s has no stdin to write to here"):format(work.id),
  }
end

return task_stdin
