---@meta
-- Annotations of the C module, as core.lua has them: the link to a container's guest, and what runs there.
-- luacheck: ignore 212 241 431 631

---@class axosandbox.core
local core = {}

---@class axo.core.LinkOptions
---@field dir string the container's link directory
---@field guest_pid integer its first process, as this host numbers it
---@field answer number? seconds that it has to answer a request, 30 by default; then the request fails with code "ETIMEDOUT"
---@field on_up fun()? the guest is there
---@field on_down fun(why: axo.Error)? it has gone, or cannot be let in; all that was in flight was told before
---@field on_new fun(name: string)? another host has started a task or a terminal

--- The host's end of the link to a container's guest. Collected when nobody holds it and nothing
--- is in flight.
---@class axo.core.Link
local Link = {}

--- Listens for the guest.
---@param options axo.core.LinkOptions
---@return axo.core.Link?, axo.Error?
function core.link(options) end

--- Gives open_file and path another root than the session's directory.
---@param path string absolute in the container, without symbolic links
function Link:set_root(path) end

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
---@field input string? a task's stdin, whole
---@field stdin_pipe boolean? its stdin is what `write` gives, until `close_stdin`
---@field on_drain fun()? what was written has been taken: time for more
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
---@param flags integer of core.open_flags
---@param mode integer
---@param done fun(err: axo.Error?, fd: integer?) the descriptor is the receiver's
---@return true?, axo.Error?
function Link:open_file(path, flags, mode, done) end

--- Changes what is beneath the session's root.
---@param op "unlink"|"rmdir"|"mkdir"|"rename"|"chmod"
---@param path string
---@param to string? rename
---@param mode integer mkdir and chmod
---@param done fun(err: axo.Error?)
---@return true?, axo.Error?
function Link:path(op, path, to, mode, done) end

--- A socket of the container's network: TCP or UDP, or for "diag" one of NETLINK_SOCK_DIAG. It is
--- bound to nothing; who receives it binds, listens and connects as if in the container. The guest,
--- which may be hostile, can hold it, too, so that nothing is to be believed but its domain, type
--- and protocol. While it is open, the container's network stays: close it when the link has ended.
---@param domain "inet"|"inet6"|"diag"
---@param kind "stream"|"dgram"|nil nothing for "diag", which may leave it out
---@param done fun(err: axo.Error?, fd: integer?) code "EMFILE", "EAFNOSUPPORT" (no IPv6 there), "EPROTO" (the guest gave something else); the descriptor, non-blocking and close-on-exec, is the receiver's
---@return true?, axo.Error? code "ENOTSUP": the session was started by an older axosandbox
---@overload fun(self: axo.core.Link, domain: "diag", done: function): true?, axo.Error?
function Link:socket(domain, kind, done) end

---@class axo.core.SocketOwner
---@field pid integer? as the container numbers it; nil: no process that the guest can look into has it open (any more)
---@field id integer? `process:work_id()` of a command of this link's, or of what it started
---@field name string? of a task or a terminal, whoever started that
---@field cut boolean nothing was found, and there is more than the guest looks at for one question

--- Which process of the container has a socket open, and which work that belongs to: of several the
--- one with the lowest number. What it says is the container's word: a program can hide what it has
--- open, or give it to another. The guest looks at up to 8192 descriptors, which takes it some
--- hundredths of a second: ask for one at a time.
---@param inode integer as sock_diag tells it
---@param done fun(err: axo.Error?, owner: axo.core.SocketOwner?)
---@return true?, axo.Error? code "ENOTSUP": the session was started by an older axosandbox
function Link:owner(inode, done) end

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

---A terminal's size; nothing once it is gone.
---@return integer? rows, integer? cols
function GuestWork:size() end

---Ends a task's stdin once what was written has been taken.
---@return true?, axo.Error? code "EPIPE"
function GuestWork:close_stdin() end

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

return core
