---@meta
-- Annotations of the C module, as core.lua has them: child processes, and those on terminals.
-- luacheck: ignore 212 241 431 631

---@class axosandbox.core
local core = {}

-- ---- child processes -----------------------------------------------------------------------

---@class axo.core.SpawnOptions
---@field env string[]? "NAME=VALUE"; the process's own by default
---@field cwd string?
---@field stdin string? "pipe": stays open for `write`; other bytes: written, then closed; by default /dev/null
---@field input string? bytes to write, whatever they are; then stdin is closed
---@field timeout number? seconds, for everything; 0 or math.huge: none
---@field grace number? seconds between TERM and KILL, 2 by default
---@field max_output integer? bytes kept of each stream, 1 MiB by default
---@field on_limit "truncate"|"kill"|nil
---@field merge_stderr boolean? stderr goes where stdout goes
---@field ring axo.core.Ring? gets all output instead of the result
---@field on_output fun(stream: "stdout"|"stderr", bytes: string?)? gets both streams; no bytes with a ring
---@field on_stdout fun(bytes: string?)? gets stdout; stderr is collected unless it is taken too
---@field on_stderr fun(bytes: string?)?
---@field on_drain fun()? everything written to stdin is gone: time for more
---@field on_deadline fun()? instead of TERM at the deadline, cancel or limit; KILL still follows

---@class axo.core.ProcessResult
---@field code integer? nil when a signal ended it
---@field signal string? e.g. "KILL"
---@field timed_out boolean
---@field cancelled boolean
---@field limit_hit boolean on_limit = "kill" acted
---@field drain_cut boolean a descendant held the output open beyond the drain
---@field stdout string
---@field stderr string
---@field stdout_truncated boolean
---@field stderr_truncated boolean
---@field stdout_total integer bytes that came, dropped ones included
---@field stderr_total integer
---@field left_running integer link:exec: processes that it started and that run on
---@field duration number seconds
---@field failure axo.Error? link:exec: why it never ran, or that the guest has gone

---A child process. While it runs it keeps itself alive; closing it, or the end of the Lua
---state, kills it.
---@class axo.core.Process
local Process = {}

---Starts a child in a session of its own. A failure to start is returned, and nothing is called.
---@param argv string[]
---@param options axo.core.SpawnOptions?
---@param on_exit fun(result: axo.core.ProcessResult) once, after exit and the end of its output
---@return axo.core.Process?, axo.Error? code "ENOENT", "EACCES", ...
function core.spawn(argv, options, on_exit) end

---Queues bytes for stdin.
---@param bytes string
---@return integer? queued bytes that wait, axo.Error? code "EPIPE" when it is closed, "ENOBUFS" beyond 16 MiB
function Process:write(bytes) end

---How many bytes wait for stdin.
---@return integer
function Process:queued() end

---Closes stdin once what is queued has been written. Idempotent.
---@return true?, axo.Error?
function Process:close_stdin() end

---Signals its process group.
---@param signal string|integer "INT", "SIGINT" or 2
---@return true?, axo.Error? code "ESRCH" when it has ended
function Process:signal(signal) end

---Ends it as a deadline would: TERM, the grace, KILL. Idempotent.
---@return true
function Process:cancel() end

---Its process id, also when it has ended.
---@return integer
function Process:pid() end

--- How `link:owner` calls a command of `link:exec`, also when it has ended. nil: a child of this
--- process.
---@return integer?
function Process:work_id() end

---Abandons it: KILL, and no callback any more. Idempotent, and done by <close> too.
function Process:close() end

-- ---- terminals -----------------------------------------------------------------------------

---@class axo.core.PtyOptions
---@field env string[]?
---@field cwd string?
---@field rows integer? 24 by default
---@field cols integer? 80 by default
---@field raw boolean? no echo and no line discipline out here, from the start
---@field ring axo.core.Ring?
---@field on_output fun(bytes: string?)? no bytes with a ring

---A child on a pseudo-terminal of its own. Kept alive and killed like a process.
---@class axo.core.Pty
local Pty = {}

---Starts a child whose controlling terminal has the given size before it runs.
---@param argv string[]
---@param options axo.core.PtyOptions?
---@param on_exit fun(result: { code: integer?, signal: string? }) once, after the last byte; neither: how it ended is lost
---@return axo.core.Pty?, axo.Error? code "ENOENT", "EACCES", ...
function core.pty(argv, options, on_exit) end

---Types bytes.
---@param bytes string
---@return true?, axo.Error? code "EPIPE" when it has ended, "ENOBUFS" beyond 1 MiB
function Pty:write(bytes) end

---Changes the size; the foreground group gets SIGWINCH.
---@param rows integer
---@param cols integer
---@return true?, axo.Error? code "ESRCH" when it has ended
function Pty:resize(rows, cols) end

---Signals its process group.
---@param signal string|integer
---@return true?, axo.Error? code "ESRCH" when it has ended
function Pty:signal(signal) end

---Its process id, also when it has ended.
---@return integer
function Pty:pid() end

---Abandons it: HUP and KILL, and no callback any more. Idempotent, and done by <close> too.
function Pty:close() end

return core
