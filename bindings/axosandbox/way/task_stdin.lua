--- The stdin of a background task: what both paths make of the option, and who may write.
local await = require "axosandbox.base.await"
local callbacks = require "axosandbox.way.exec_callbacks"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local log = require "axosandbox.base.log"

local task_stdin = {}

local Feeder = setmetatable({}, { __index = callbacks })
Feeder.__index = Feeder

-- A stdin function that fails ends its task: what it read is not all there was to be.
function Feeder:fail(message)
  self.callback_error = message
  log.uncaught(("the stdin function of %s: %s"):format(self.source.id, message))
  self.source:stop(nil, function() end)
end

--- What core is told about a task's stdin.
---@param source axo.Source
---@param stdin string|(fun(): string?)|true|nil
---@return { input: string?, pipe: boolean?, on_drain: fun()?, begin: fun() } begin: to be called once it runs
function task_stdin.plan(source, stdin)
  if type(stdin) == "string" then return { input = stdin, begin = function() end } end
  source.has_stdin = stdin ~= nil
  if type(stdin) ~= "function" then return { pipe = stdin, begin = function() end } end
  local feeder = setmetatable({ source = source }, Feeder)
  feeder.process = {
    write = function(_, bytes) return source:write(bytes) end,
    close_stdin = function() return source:close_stdin() end,
  }
  return {
    pipe = true, on_drain = feeder:reader(stdin),
    begin = function() await.defer(function() feeder:pull() end) end,
  }
end

local function over(source, op, what)
  return errors.new { code = "EPIPE", op = op, message = source.id .. what }
end

--- Why nothing can be done to a source's stdin.
---@param source axo.Source
---@param op "write"|"close_stdin"
---@return axo.Error? err
function task_stdin.refusal(source, op)
  if source.has_stdin then
    if source.ended.is_open then return over(source, op, " has ended") end
    if source.is_stdin_over then return over(source, op, ": its stdin was closed") end
    source.is_stdin_over = op == "close_stdin"
    return nil
  end
  return errors.new {
    code = "NO_STDIN", op = op, hint = hints.TABLE.stdin.lua,
    message = ("%s has no stdin to write to here"):format(source.id),
  }
end

return task_stdin
