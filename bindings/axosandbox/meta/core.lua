---@meta axosandbox.core
-- Annotations of what has no Lua source: the C module and the objects that it makes, here and in
-- the files beside it. Never loaded. What is written in Lua is annotated where it stands.
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
---@field stage integer? of core.stage: a refusal of the guest

---The C module: no policy, no sessions. A wrong type, an unknown key or a closed ring or lock
---raises; anything else that fails returns nil and an error.
---@class axosandbox.core
---@field version string semantic version
---@field argv axo.core.Argv
---@field reference axo.core.Reference
---@field podman axo.core.Podman
---@field net axo.core.Net
---@field pattern axo.core.Pattern
---@field open_flags table<string, integer> O_RDONLY and the others of this machine, for Link:open_file
---@field stage table<string, integer> how far the guest came with what it refused: EXEC, FILE, ...
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

---The name and the words of an errno, also of one that luv does not know.
---@param errno integer
---@return string name "EDQUOT", or "E188", string words
function core.system_error(errno) end

---A text without what a terminal obeys or does not show: "hex" gives each byte as \x1b, "json" each
---character as \u001b and what is no UTF-8 as `with`, "replace" puts `with` for each.
---@param text string
---@param how "replace"|"hex"|"json"
---@param with string? nothing by default
---@return string
function core.unseen(text, how, with) end

---@class axo.core.Screen what stands on a terminal's screen
local Screen = {}

---An empty screen that keeps so many lines that have scrolled off.
---
---     local screen = assert(axo.text.screen(24, 80, 100))
---     screen:write "one\r\n\27[1mtwo\27[0m"
---     print(screen:rows()[1], screen:rows()[2])  --> one	two
---@param rows integer at most 500
---@param cols integer at most 1000
---@param lines integer at most 100000
---@return axo.core.Screen?, axo.Error? code "EINVAL", "ENOMEM"
function core.screen(rows, cols, lines) end

---Draws what the terminal was sent.
---
---     screen:write "50 %\r100 %"
---     print(screen:rows()[1])  --> 100 %
---@param bytes string what the terminal was sent; it may be cut anywhere
function Screen:write(bytes) end

---Gives it another size.
---
---     assert(screen:resize(40, 120))
---@param rows integer
---@param cols integer
---@return true?, axo.Error?
function Screen:resize(rows, cols) end

---Where its cursor is, and the rest.
---
---     screen:write "\27]0;a title\7abc"
---     local state = screen:state()
---     print(state.title, state.cursor.col)  --> a title	4
---@return { rows: integer, cols: integer, cursor: { row: integer, col: integer, visible: boolean }, title: string, alternate: boolean, scrolled: integer }
function Screen:state() end

---What stands on it.
---
---     for number, text in ipairs(screen:rows()) do
---       if text ~= "" then print(number, text) end
---     end
---@return string[] one a row
function Screen:rows() end

---What has scrolled off.
---
---     for _, text in ipairs(screen:lines(10)) do print(text) end
---@param count integer
---@return string[] the last of those that have scrolled off, the oldest first
function Screen:lines(count) end

-- ---- boxes, copies and digests -----------------------------------------------------------

---@class axo.core.Box a Lua state of its own, which plain data enters and leaves as copies. No table in it has a metatable that its files could set, and there is nothing of the host in it
local Box = {}

---What went wrong in a box. `problem`: the answer is not plain data, and nothing else is set.
---@class axo.core.BoxFailure
---@field message string?
---@field path string? file that was in control, if one was
---@field line integer?
---@field short string? what Lua's own messages call that file
---@field traceback string?
---@field problem string?

---Compiles a text, runs it, and keeps the one function that it returns. Its environment has what
---policy/README.md lists.
---@param text string
---@param name string "@" and the path
---@param part fun(name: string): string?, string|axo.Error what `part "name"` in there asks for: text and name, or nil and an error
---@return integer? reference
---@return integer|axo.Error|axo.core.BoxFailure line of the function
function Box:load(text, name, part) end

---Calls a function with copies of the request, and a function that calls `next(layer, request?)`
---with copies.
---@param reference integer
---@param layer integer
---@param request table plain data
---@param next fun(layer: integer, request: table?): table?, string|axo.Error? a text is raised in the file, an object goes through it
---@param begins boolean with a budget of its own, and not what is left of the one that runs
---@return any answer a copy
---@return axo.Error|axo.core.BoxFailure? failure
function Box:ask(reference, layer, request, next, begins) end

---Where the last answer was returned.
---@return string? path nil when that was in a function of C
---@return integer? line
function Box:returned() end

---What follows is not of the decision that runs, until `go_on`.
function Box:pause() end

---Ends what `pause` began.
function Box:go_on() end

---@param bounds { instructions: integer, memory: integer, time: integer, loading_time: integer, depth: integer, values: integer } of each call that begins, but memory: bytes that the whole state may have, which no allocation exceeds; times: milliseconds of this thread's processor time; depth, values: of what crosses
---@return axo.core.Box
function core.box(bounds) end

---`string`'s functions of these names, with the same arguments, results and errors. Their steps are
---taken from the budget of the box in which they are called; what gsub builds is at most 1 MiB.
---@class axo.core.Pattern
---@field find fun(text: string, pattern: string, init: integer?, plain: boolean?): integer?, integer?, ...
---@field match fun(text: string, pattern: string, init: integer?): any
---@field gmatch fun(text: string, pattern: string, init: integer?): fun(): ...
---@field gsub fun(text: string, pattern: string, replacement: any, most: integer?): string, integer

---A deep copy of tables, strings, numbers and booleans, without metatables.
---@param value any
---@param depth integer of tables in tables, at most
---@param values integer pairs in all, at most
---@return any copy nil when it failed
---@return string? problem what is in there that cannot be copied, or too much, and where
function core.plain_copy(value, depth, values) end

---A copy of a sequence of strings.
---@param list any
---@return string[]? words nil when it is none, or has a metatable
function core.words(list) end

---Gives a file the ACLs, labels and user attributes of another, and takes away an ACL that this
---one has not; capabilities stay behind.
---@param from integer a descriptor, O_PATH is enough
---@param to integer a descriptor, open for writing
---@return boolean ok false: not all of them could be
function core.copy_attributes(from, to) end

---@param fd integer O_PATH is enough
---@return boolean none false also where it cannot be found out
function core.has_no_attributes(fd) end

---@param bytes string
---@param encoding "utf-8"|"utf-16le"|"utf-16be"|"utf-32le"|"utf-32be"|"latin-1"|"windows-1252"
---@return string text UTF-8
---@return integer bad how many bytes or units were none: each became U+FFFD
function core.decode(bytes, encoding) end

---@param text string UTF-8
---@param encoding "utf-8"|"utf-16le"|"utf-16be"|"utf-32le"|"utf-32be"|"latin-1"|"windows-1252"
---@return string? bytes nil where the text is not UTF-8, or has what the encoding has not
function core.encode(text, encoding) end

---Replaces plain bytes, in linear time.
---@param text string
---@param old string not empty
---@param new string
---@param unit integer? it must begin at a multiple of this; 1 by default
---@return string text, integer count
function core.substitute(text, old, new, unit) end

---The SHA-256 digest of bytes: "sha256:" and 64 hexadecimal digits, as in references.
---
---     local seen = assert(sb:read_file "src/main.lua")
---     assert(sb:edit_file("src/main.lua", "TODO", "DONE", { expected = axo.digest(seen) }))
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
---
---     local it = assert(axo.parse_reference "alpine:3.20")
---     print(it.registry, it.repository, it.tag)  --> docker.io	library/alpine	3.20
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

-- ---- podman ------------------------------------------------------------------------------

---@class axo.core.Podman
local podman = {}

---Finds the program.
---@param override string? a path, or a name to look up instead of "podman"
---@param path string? where to look, $PATH by default
---@return string?, axo.Error? code "ENOENT", with the command that installs it as its hint
function podman.find(override, path) end

---Tells podman's own failures from a command's exit code.
---@param outcome { code: integer, argv0: string, stderr: string, stdout_total: integer } stderr without lines of podman's log
---@return axo.Error? err nil: the code is the command's; else "PODMAN", "NOT_FOUND", "NOT_EXECUTABLE", "NO_DIRECTORY", "NO_USER" or "GONE"
function podman.judge(outcome) end

-- ---- a reader that goes away -------------------------------------------------------------

---A watch on what a descriptor writes to.
---@class axo.core.Hangup
local Hangup = {}

---Calls `fn` once when nobody reads any more what is written to `fd`, a pipe, a socket or a
---terminal. Does not keep the loop running. The descriptor becomes non-blocking, and must stay
---open until the watch is closed.
---
---     local watch = axo.async.hangup(1, function() print "nobody reads stdout any more" end)
---     if watch then watch:close() end
---@param fd integer
---@param fn fun()
---@return axo.core.Hangup?, axo.Error? code "EPERM" for a file
function core.hangup(fd, fn) end

---Ends it. Idempotent, and done by <close> too.
---
---     watch:close()
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

---Makes mounts of a container read-only, as long as it runs.
---@param pid integer one of its processes
---@param paths string[] mount points
---@return true?, axo.Error? code "ETIMEDOUT" after five seconds
function core.seal(pid, paths) end

return core
