---@meta axosandbox.core
-- Annotations of what has no Lua source: the C module and the objects that it makes. Never
-- loaded. What is written in Lua is annotated where it stands.
-- luacheck: ignore 212 241 431 631

---What an operation that fails returns as its second value. Prints as
---"op: message (hint: ...)"; `axosandbox.core.is_error` recognises it.
---@class axo.Error
---@field code string e.g. "ENOENT", "TIMEOUT", "POLICY", "PODMAN": for programs
---@field op string what was attempted
---@field message string what went wrong and why, on one line
---@field hint string? what to type or do next
---@field stderr string? what podman said
---@field exit_code integer? podman's
---@field signal string? what ended podman
---@field class string? podman's complaint, classified (PORT_CONFLICT, ...)

---The C module: no policy, no sessions. A wrong type, an unknown key or a closed ring or lock
---raises; anything else that fails returns nil and an error.
---@class axosandbox.core
---@field version string semantic version
---@field argv axo.core.Argv
---@field reference axo.core.Reference
---@field podman axo.core.Podman
local core = {}

-- ---- errors ------------------------------------------------------------------------------

---Makes an error object: a copy of `fields`, which must hold code, op and message.
---@param fields table
---@return axo.Error
function core.error(fields) end

---True for an error object, false for any other value.
---@param value any
---@return boolean
function core.is_error(value) end

---Sets the receiver of errors that are raised in callbacks: it gets the message with its
---traceback. nil: Lua's own `warn`.
---@param fn fun(message: string)?
function core.set_uncaught(fn) end

---"KILL" for 9; nil for a number without a name.
---@param signum integer
---@return string?
function core.signal_name(signum) end

-- ---- argument vectors --------------------------------------------------------------------

---@class axo.core.Mount
---@field source string absolute
---@field target string absolute, in the container
---@field read_only boolean?

---@class axo.core.Port
---@field address string IPv4 or IPv6
---@field host integer
---@field container integer

---@class axo.core.Ulimit
---@field name string e.g. "nofile"
---@field soft integer
---@field hard integer

---@class axo.core.RunSpec
---@field podman string the program
---@field name string
---@field image string
---@field command string[] replaces the image's ENTRYPOINT and CMD
---@field workdir string?
---@field user string?
---@field network "bridge"|"none"|nil "none" by default
---@field runtime string?
---@field pull "never"|"missing"|"always"|nil "never" by default
---@field pidfile string?
---@field cidfile string?
---@field hostname string?
---@field mounts axo.core.Mount[]?
---@field env table<string, string>?
---@field labels table<string, string>?
---@field ports axo.core.Port[]?
---@field ulimits axo.core.Ulimit[]?
---@field memory integer? bytes
---@field cpus number?
---@field pids integer?
---@field init boolean?
---@field http_proxy boolean? false by default
---@field cgroups_disabled boolean?

---@class axo.core.ExecSpec
---@field podman string
---@field container string
---@field command string[]
---@field workdir string?
---@field user string?
---@field env table<string, string>?
---@field env_names string[]? variables whose values podman takes from its own environment
---@field interactive boolean? keep stdin open
---@field tty boolean?

---Builders of podman's argument vectors: pure, and deterministic (maps are sorted by key). The
---hardening flags are always there. A value that can never be right is an error "EINVAL", an
---argument that is too long "E2BIG".
---@class axo.core.Argv
local argv = {}

---Starts a container in the background.
---@param spec axo.core.RunSpec
---@return string[]?, axo.Error?
function argv.run(spec) end

---Runs a command in a container.
---@param spec axo.core.ExecSpec
---@return string[]?, axo.Error?
function argv.exec(spec) end

---Removes a container at once, running or not.
---@param spec { podman: string, container: string }
---@return string[]?, axo.Error?
function argv.rm(spec) end

---Stops a container after `timeout` seconds of grace, none by default.
---@param spec { podman: string, container: string, timeout: integer? }
---@return string[]?, axo.Error?
function argv.stop(spec) end

---Lists the containers that carry a label (NAME or NAME=VALUE), as JSON.
---@param spec { podman: string, label: string }
---@return string[]?, axo.Error?
function argv.ps(spec) end

---Describes a container or an image, as JSON.
---@param spec { podman: string, kind: "container"|"image", name: string }
---@return string[]?, axo.Error?
function argv.inspect(spec) end

---Pulls an image.
---@param spec { podman: string, image: string }
---@return string[]?, axo.Error?
function argv.pull(spec) end

---Exits with 0 when the image is there, with 1 when it is not.
---@param spec { podman: string, image: string }
---@return string[]?, axo.Error?
function argv.image_exists(spec) end

---Makes an image of a tar archive on stdin.
---@param spec { podman: string, image: string }
---@return string[]?, axo.Error?
function argv.import(spec) end

---Makes an image of a container.
---@param spec { podman: string, container: string, image: string }
---@return string[]?, axo.Error?
function argv.commit(spec) end

---@class axo.core.Budget what a coroutine may use; core.unbudget takes it away
local Budget = {}

---Stops watching while code runs that is known to end: what it allocated counts afterwards.
---Called in the coroutine itself, as is `resume`.
---@return boolean was_counting
function Budget:pause() end

---Watches again, or not.
---@param counting boolean as `pause` gave it
function Budget:resume(counting) end

---Takes from what is left.
---@param instructions integer counted as used
function Budget:charge(instructions) end

---@param fn function a watched one
---@return integer? line where it returned last
function Budget:line_of(fn) end

---Bounds a coroutine that has not run yet: beyond it, an error is raised in it, a string
---without a position.
---@param co thread
---@param bounds { instructions: integer, memory: integer, step: integer, watched: table<function, any>? } memory: bytes by which the whole state may grow; step: instructions from check to check; watched: for `line_of`, at the price of a call for each return
---@return axo.core.Budget
function core.budget(co, bounds) end

---Takes the bound away.
---@param co thread that had one, or none
function core.unbudget(co) end

---The SHA-256 digest of bytes: "sha256:" and 64 hexadecimal digits, as in references.
---@param bytes string
---@return string
function core.digest(bytes) end

-- ---- image references --------------------------------------------------------------------

---@class axo.Reference
---@field registry string e.g. "docker.io"
---@field repository string e.g. "library/alpine"
---@field tag string?
---@field digest string?
---@field text string the whole of it, normalised

---@class axo.core.Reference
local reference = {}

---Parses and normalises an image reference.
---@param text string
---@return axo.Reference?, axo.Error? code "EINVAL"
function reference.parse(text) end

-- ---- rings -------------------------------------------------------------------------------

---Bytes at absolute offsets that only grow, of which the newest are kept. One writer, any
---number of readers, each with a cursor of its own.
---@class axo.core.Ring
local Ring = {}

---Makes a ring in memory.
---@param capacity integer? bytes; 64 KiB by default; rounded up to a power of two
---@return axo.core.Ring?, axo.Error? code "EINVAL" above 64 MiB
function core.ring(capacity) end

---Makes a ring in a new file of mode 0600, for readers in other processes.
---@param path string
---@param capacity integer?
---@param options { bell: boolean? }? bell: each write wakes those who watch the file
---@return axo.core.Ring?, axo.Error? code "EEXIST", ...
function core.ring_create(path, capacity, options) end

---Opens the ring in a file, to read.
---@param path string
---@return axo.core.Ring?, axo.Error? code "ENOENT", "EINVAL" when it is no ring
function core.ring_open(path) end

---Appends; never waits.
---@param bytes string
---@return true?, axo.Error? code "EPERM" when it is open to read
function Ring:write(bytes) end

---The offset after the newest byte: also the count of all bytes ever written.
---@return integer
function Ring:head() end

---The offset of the oldest byte still held.
---@return integer
function Ring:tail() end

---How many bytes it holds at most.
---@return integer
function Ring:capacity() end

---Reads from a cursor on.
---@param cursor integer
---@param max integer? bytes; everything by default
---@return string bytes, integer cursor where to go on, integer dropped bytes lost before them
function Ring:read(cursor, max) end

---Closes it; a child that writes into it goes on. Idempotent, and done by <close> too.
function Ring:close() end

-- ---- child processes -----------------------------------------------------------------------

---@class axo.core.SpawnOptions
---@field env string[]? "NAME=VALUE"; the process's own by default
---@field cwd string?
---@field stdin string? "pipe": stays open for `write`; other bytes: written, then closed; by default /dev/null
---@field input string? bytes to write, whatever they are; then stdin is closed
---@field input_more boolean? stdin stays open after the bytes
---@field timeout number? seconds, for everything; 0 or math.huge: none
---@field grace number? seconds between TERM and KILL, 2 by default
---@field drain number? seconds to wait for the end of output that a descendant holds open, 0.25 by default
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

---Abandons it: KILL, and no callback any more. Idempotent, and done by <close> too.
function Process:close() end

-- ---- terminals -----------------------------------------------------------------------------

---@class axo.core.PtyOptions
---@field env string[]?
---@field cwd string?
---@field rows integer? 24 by default
---@field cols integer? 80 by default
---@field raw boolean? no echo and no line discipline out here, from the start
---@field drain number? seconds
---@field ring axo.core.Ring?
---@field on_output fun(bytes: string?)? no bytes with a ring

---A child on a pseudo-terminal of its own. Kept alive and killed like a process.
---@class axo.core.Pty
local Pty = {}

---Starts a child whose controlling terminal has the given size before it runs.
---@param argv string[]
---@param options axo.core.PtyOptions?
---@param on_exit fun(result: { code: integer?, signal: string? }) once, after the last byte
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

-- ---- podman --------------------------------------------------------------------------------

---@class axo.core.LinkOptions
---@field dir string the container's link directory
---@field guest_pid integer its first process, as this host numbers it
---@field on_up fun()? the guest is there
---@field on_down fun(why: axo.Error)? it has gone; all that was in flight was told before
---@field on_new fun(name: string)? another host has started a task or a terminal

--- The host's end of the link to a container's guest. Collected when nobody holds it and nothing
--- is in flight.
---@class axo.core.Link
local Link = {}

--- Listens for the guest.
---@param options axo.core.LinkOptions
---@return axo.core.Link?, axo.Error?
function core.link(options) end

---@return boolean
function Link:is_up() end

--- Whom the guest runs as, inside.
---@return integer
function Link:uid() end

--- Ends it: foreground commands die with it, tasks and terminals stay. Idempotent.
function Link:close() end

--- `core.spawn` in the container; `options.user` besides. A command that could not be started
--- comes to `on_exit` with `failure`.
---@param argv string[]
---@param options axo.core.SpawnOptions?
---@param on_exit fun(result: axo.core.ProcessResult)
---@return axo.core.Process?, axo.Error?
function Link:exec(argv, options, on_exit) end

---@class axo.core.GuestOptions
---@field name string the id: at most 31 bytes
---@field env string[]? "K=V", over the container's own
---@field cwd string?
---@field user string?
---@field ring integer? bytes
---@field rows integer?
---@field cols integer?
---@field on_started fun(err: axo.Error?, ring: axo.core.Ring?)? once
---@field on_output fun()? the ring has grown
---@field on_exit fun(last: { code: integer?, signal: string?, gone: boolean?, left: boolean })? once
---@field on_empty fun()? after an on_exit with `left`: nothing of it runs any more
---@field on_stuck fun()? a KILL of the tree ran out its time: some of it cannot be killed

--- Starts a background task.
---@param argv string[]
---@param options axo.core.GuestOptions
---@return axo.core.GuestWork?, axo.Error?
function Link:task(argv, options) end

--- Starts a program on a terminal of the container's own.
---@param argv string[]
---@param options axo.core.GuestOptions
---@return axo.core.GuestWork?, axo.Error?
function Link:terminal(argv, options) end

--- Takes up a task or a terminal that runs already.
---@param name string
---@param options table as of a task: on_started, on_output, on_exit, on_empty, on_stuck
---@return axo.core.GuestWork?, axo.Error?
function Link:attach(name, options) end

--- Opens a path beneath the session's root.
---@param path string relative to it
---@param flags integer O_*
---@param mode integer
---@param done fun(err: axo.Error?, fd: integer?) the descriptor is the receiver's
---@return true?, axo.Error?
function Link:open_file(path, flags, mode, done) end

--- Changes what is beneath the session's root.
---@param op "unlink"|"rmdir"|"mkdir"|"rename"
---@param path string
---@param to string? rename
---@param mode integer mkdir
---@param done fun(err: axo.Error?)
---@return true?, axo.Error?
function Link:path(op, path, to, mode, done) end

--- The guest's tasks and terminals; with a name, that one.
---@param name string? may be left out
---@param done fun(err: axo.Error?, works: table[]?)
---@return true?, axo.Error?
---@overload fun(self: axo.core.Link, done: function): true?, axo.Error?
function Link:list(name, done) end

--- Kills everything in the container but the guest; answers when nothing is left.
---@param done fun(err: axo.Error?)
---@return true?, axo.Error?
function Link:kill_all(done) end

--- A task or a terminal of the guest. It outlives this process; closing lets go of it.
---@class axo.core.GuestWork
local GuestWork = {}

---@param signal string|integer
---@param tree boolean? everything that it started, too
---@param done fun(err: axo.Error?, count: integer?)? count: the processes that there were
---@return true?, axo.Error? code "ESRCH"
function GuestWork:signal(signal, tree, done) end

--- Types bytes into a terminal.
---@param bytes string
---@return true?, axo.Error? code "EPIPE", "ENOBUFS"
function GuestWork:write(bytes) end

---@param rows integer
---@param cols integer
---@return true?, axo.Error?
function GuestWork:resize(rows, cols) end

--- Whether its end keeps the loop running.
---@param flag boolean
function GuestWork:hold(flag) end

--- Its first process, as the container numbers it; 0 when it has ended.
---@return integer
function GuestWork:pid() end

--- Lets go of it; no callback fires any more. Idempotent.
function GuestWork:close() end

---@class axo.core.Podman
local podman = {}

---Finds the program.
---@param override string? a path, or a name to look up instead of "podman"
---@param path string? where to look, $PATH by default
---@return string?, axo.Error? code "ENOENT", with the command that installs it as its hint
function podman.find(override, path) end

---Tells podman's own failures from a command's exit code.
---@param outcome { code: integer, argv0: string, stderr: string, stdout_total: integer }
---@return axo.Error? err nil: the code is the command's; else "PODMAN", "NOT_FOUND", "NOT_EXECUTABLE", "NO_DIRECTORY", "NO_USER" or "GONE"
function podman.judge(outcome) end

---The part of podman's stderr that says why.
---@param stderr string
---@return string
function podman.cause(stderr) end

-- ---- a reader that goes away ----------------------------------------------------------------

---A watch on what a descriptor writes to.
---@class axo.core.Hangup
local Hangup = {}

---Calls `fn` once when nobody reads any more what is written to `fd`, a pipe, a socket or a
---terminal. Does not keep the loop running. The descriptor becomes non-blocking, and must stay
---open until the watch is closed.
---@param fd integer
---@param fn fun()
---@return axo.core.Hangup?, axo.Error? code "EPERM" for a file
function core.hangup(fd, fn) end

---Ends it. Idempotent, and done by <close> too.
function Hangup:close() end

-- ---- the host --------------------------------------------------------------------------------

---An advisory lock on a file, held until it is closed, collected or the process ends.
---@class axo.core.Lock
local Lock = {}

---Takes a lock at once or fails. The file is made when it is missing.
---@param path string
---@param exclusive boolean
---@return axo.core.Lock?, axo.Error? code "EBUSY" when somebody else holds it
function core.lock(path, exclusive) end

---Changes its mode without waiting.
---@param exclusive boolean
---@return true?, axo.Error? code "EBUSY" leaves it as it was
function Lock:change(exclusive) end

---Lets it go. Idempotent, and done by <close> too.
function Lock:close() end

---What this process may ask for at most; no limit is math.maxinteger.
---@return { nofile: integer, nproc: integer }?, axo.Error?
function core.hard_limits() end

return core
