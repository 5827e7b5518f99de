--- Handles of terminals.
local options = require "axosandbox.base.options"
local screen = require "axosandbox.session.work.screen"

local terminal = {}

---@class axo.Terminal
---@field id string never used twice
---@field argv string[]
---@field started number seconds since the epoch
---@field private work axo.Work
local Terminal = { __name = "axo.terminal" }
Terminal.__index = Terminal

---@param work axo.Work
---@return axo.Terminal
function terminal.wrap(work)
  return setmetatable({
    id = work.id, argv = work.argv, started = work.started, work = work,
  }, Terminal)
end

--- `running`, `exited (N)`, `killed (SIGNAL)` or `failed: reason`, and whether memory ran out.
---
---     print(term:status())  --> running
---@return string
function Terminal:status()
  return self.work:describe()
end

--- What of the network was refused to it, as far as this process served the session's network: at
--- most 64, each once for a name and port.
---
---     for _, it in ipairs(term:denied()) do print(axo.network.words(it)) end
---@return axo.Denial[]
function Terminal:denied()
  return self.work:denied()
end

--- The same in parts.
---
---     print(term:state().state)  --> running
---@return axo.WorkStatus
function Terminal:state()
  return self.work:status()
end

--- Whether its program runs.
---
---     print(term:is_alive())  --> true
---@return boolean
function Terminal:is_alive()
  return self.work:is_running()
end

--- Types bytes.
---
---     assert(term:write "ls\n")
---@param bytes string
---@return true?, axo.Error? code "EPIPE" once it has ended, "ENOBUFS" when too much waits
function Terminal:write(bytes)
  if type(bytes) ~= "string" then
    error("terminal:write: expected a string, got " .. type(bytes), 2)
  end
  return self.work:write(bytes)
end

local function check_size(value, name)
  if math.type(value) ~= "integer" or value < 1 or value > 65535 then
    error(("terminal:resize: %s must be an integer from 1 to 65535"):format(name), 3)
  end
end

--- Changes its size; the program inside gets SIGWINCH.
---
---     assert(term:resize(40, 120))
---@param rows integer
---@param cols integer
---@return true?, axo.Error? code "ESRCH" once it has ended
function Terminal:resize(rows, cols)
  check_size(rows, "rows")
  check_size(cols, "cols")
  screen.before_resize(self.work)
  return self.work:resize(rows, cols)
end

local SCREEN_SHAPE = {
  scrollback = { type = "integer", min = 0 }, since = { type = "integer", min = 0 },
}

--- What a person would see who sat at it, full-screen programs included. It is followed from the
--- first call on; then, and after this program was started anew, it is made of what the ring still
--- holds, and `lost` says that this was not all. Does not wait.
---
---     local screen = assert(term:screen())
---     for _, line in ipairs(screen.lines) do
---       if line ~= "" then print(line) end
---     end
---@param opts { scrollback: integer?, since: integer? }? scrollback: how many lines that have scrolled off come with it, none by default; since: those since that offset of the output, too. 2000 are kept
---@return axo.Screen? screen, axo.Error? code "EINVAL": above 500 rows or 1000 columns
function Terminal:screen(opts)
  opts = options.check(SCREEN_SHAPE, opts, "terminal:screen", 2)
  local it, err = screen.of(self.work)
  if not it then return nil, err end
  return it:read(opts)
end

--- The whole scrollback: what the ring still holds.
---
---     local bytes = term:snapshot()
---     print(#bytes <= 256 * 1024)  --> true
---@return string bytes
function Terminal:snapshot()
  return self.work:held()
end

--- Reads from an offset on.
---
---     local _, cursor = term:read()
---     assert(term:write "echo more\n")
---     local bytes = term:read(cursor)
---     print(type(bytes))  --> string
---@param cursor integer? 0 by default: from the very beginning
---@return string bytes, integer cursor the offset to read from next, integer dropped bytes lost in between
function Terminal:read(cursor)
  return self.work:read(cursor)
end

--- Calls `fn` with the scrollback, then with what comes.
---
---     local watching = term:subscribe(function(bytes) io.write(bytes) end)
---     watching:close()
---@param fn fun(bytes: string, cursor: integer, dropped: integer)
---@param opts { from: integer? }? from: the offset to begin at; by default the oldest byte held
---@return axo.Subscription
function Terminal:subscribe(fn, opts)
  return self.work:follow(fn, opts, "terminal:subscribe")
end

--- Waits for the program's end.
---
---     assert(term:write "exit 3\n")
---     print(assert(term:wait(20)).code)  --> 3
---@param timeout number? seconds
---@param callback fun(err: axo.Error?, status: axo.WorkStatus?)?
---@return axo.WorkStatus?, axo.Error? code "TIMEOUT"
function Terminal:wait(timeout, callback)
  return self.work:wait(timeout, callback)
end

--- Sends a signal to the program's whole tree, or with `tree = false` to its first process.
---
---     assert(term:signal "WINCH")
---@param signal string|integer
---@param opts { tree: boolean? }?
---@param callback fun(err: axo.Error?, count: integer?)?
---@return integer? count, axo.Error? code "ESRCH" when it has ended
function Terminal:signal(signal, opts, callback)
  return self.work:signal(signal, opts, callback, "terminal:signal")
end

--- Ends the program inside and all of its descendants, then the terminal. The scrollback stays.
---
---     assert(term:close())
---     print(term:is_alive())  --> false
---@param opts { grace: number? }? seconds between TERM and KILL, 2 by default
---@param callback fun(err: axo.Error?, status: axo.WorkStatus?)?
---@return axo.WorkStatus?, axo.Error?
function Terminal:close(opts, callback)
  return self.work:stop(opts, callback, "terminal:close")
end

function Terminal:__tostring()
  return ("axo.terminal %s: %s"):format(self.id, self:status())
end

return terminal
