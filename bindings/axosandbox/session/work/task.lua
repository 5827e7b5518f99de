--- Handles of background tasks.
local options = require "axosandbox.base.options"

local task = {}

---@class axo.Task
---@field id string never used twice
---@field argv string[]
---@field started number seconds since the epoch
---@field private work axo.Work
local Task = { __name = "axo.task" }
Task.__index = Task

---@param work axo.Work
---@return axo.Task
function task.wrap(work)
  return setmetatable({
    id = work.id, argv = work.argv, started = work.started, work = work,
  }, Task)
end

--- `running`, `exited (N)`, `killed (SIGNAL)` or `failed: reason`, and whether memory ran out.
---
---     print(task:status())  --> running
---@return string
function Task:status()
  return self.work:describe()
end

--- What of the network was refused to it, as far as this process served the session's network: at
--- most 64, each once for a name and port.
---
---     for _, it in ipairs(task:denied()) do print(axo.network.words(it)) end
---@return axo.Denial[]
function Task:denied()
  return self.work:denied()
end

--- The same in parts.
---
---     print(task:state().state)  --> running
---@return axo.WorkStatus
function Task:state()
  return self.work:status()
end

--- Whether it runs.
---
---     print(task:is_running())  --> true
---@return boolean
function Task:is_running()
  return self.work:is_running()
end

local LOG_SHAPE = { utf8 = "boolean" }

-- The length that a UTF-8 sequence announces in its first byte; 1 for anything else.
local function announced(byte)
  if byte >= 0xF0 and byte < 0xF8 then return 4 end
  if byte >= 0xE0 and byte < 0xF0 then return 3 end
  if byte >= 0xC0 and byte < 0xE0 then return 2 end
  return 1
end

local function is_continuation(byte)
  return byte ~= nil and byte >= 0x80 and byte < 0xC0
end

local function trim_end(bytes)
  for back = 0, math.min(3, #bytes - 1) do
    local byte = bytes:byte(#bytes - back)
    if not is_continuation(byte) then
      return announced(byte) > back + 1 and bytes:sub(1, #bytes - back - 1) or bytes
    end
  end
  return bytes
end

--- Trims a character that is cut at either end. What is not UTF-8 in the middle stays.
---
---     print(axo.text.whole_characters("caf\xc3", false))  --> caf
---@param bytes string
---@param is_cut boolean something came before `bytes`
---@return string
function task.whole_characters(bytes, is_cut)
  local first = 1
  while is_cut and first <= 3 and is_continuation(bytes:byte(first)) do first = first + 1 end
  return trim_end(bytes:sub(first))
end

--- Everything that the ring still holds of its output, stdout and stderr as they came.
---
---     local text = task:log { utf8 = true }
---     print(#text <= 64 * 1024)  --> true
---@param opts { utf8: boolean? }? utf8: trims characters that are cut at either end
---@return string
function Task:log(opts)
  opts = options.check(LOG_SHAPE, opts, "task:log", 2)
  local bytes = self.work:held()
  if not opts.utf8 then return bytes end
  return task.whole_characters(bytes, self.work.ring:tail() > 0)
end

--- Reads from an offset on. Nothing new is "", and the same cursor.
---
---     local bytes, cursor = task:read()
---     print(cursor == #bytes)  --> true
---@param cursor integer? 0 by default: from the very beginning
---@return string bytes, integer cursor the offset to read from next, integer dropped bytes lost in between
function Task:read(cursor)
  return self.work:read(cursor)
end

--- Calls `fn` with what is held, then with what comes. Nothing is told at the end: `wait` for
--- it.
---
---     local following = task:follow(function(bytes) io.write(bytes) end)
---     task:write "hello\n"
---     following:close()
---@param fn fun(bytes: string, cursor: integer, dropped: integer)
---@param opts { from: integer? }? from: the offset to begin at; by default the oldest byte held
---@return axo.Subscription
function Task:follow(fn, opts)
  return self.work:follow(fn, opts, "task:follow")
end

--- Waits for its end.
---
---     local status, err = task:wait(0.01)
---     print(status, err.code)  --> nil	TIMEOUT
---@param timeout number? seconds
---@param callback fun(err: axo.Error?, status: axo.WorkStatus?)?
---@return axo.WorkStatus?, axo.Error? code "TIMEOUT"
function Task:wait(timeout, callback)
  return self.work:wait(timeout, callback)
end

--- Sends a signal to the task's whole tree, or with `tree = false` to its first process.
---
---     print(assert(task:signal "HUP") >= 1)  --> true
---@param signal string|integer
---@param opts { tree: boolean? }?
---@param callback fun(err: axo.Error?, count: integer?)?
---@return integer? count the processes that it was sent to, axo.Error? code "ESRCH" when it has ended
function Task:signal(signal, opts, callback)
  return self.work:signal(signal, opts, callback, "task:signal")
end

--- Ends the task and all of its descendants: TERM, the grace, KILL. One that has ended already
--- is not an error.
---
---     print(assert(task:stop()).state)
---@param opts { grace: number? }? seconds between TERM and KILL, 2 by default
---@param callback fun(err: axo.Error?, status: axo.WorkStatus?)?
---@return axo.WorkStatus? status once nothing of it runs any more, axo.Error?
function Task:stop(opts, callback)
  return self.work:stop(opts, callback, "task:stop")
end

--- Writes to its stdin; it must have been started by this process, with `stdin = true`.
---
---     local task = assert(sb:spawn_background("cat", { stdin = true }))
---     assert(task:write "hello\n")
---     assert(task:close_stdin())
---     print(task:wait().state, task:log() == "hello\n")  --> exited	true
---@param bytes string
---@return true?, axo.Error? code "NO_STDIN", "EPIPE" once stdin or the task has ended, "ENOBUFS" when more than 1 MiB waits
function Task:write(bytes)
  if type(bytes) ~= "string" then
    error("task:write: expected a string, got " .. type(bytes), 2)
  end
  return self.work:write(bytes)
end

--- Ends its stdin once what was written has been taken.
---
---     assert(task:close_stdin())
---     print(assert(task:wait()).code)  --> 0
---@return true?, axo.Error? code "NO_STDIN", "EPIPE"
function Task:close_stdin()
  return self.work:close_stdin()
end

function Task:__tostring()
  return ("axo.task %s: %s"):format(self.id, self:status())
end

return task
