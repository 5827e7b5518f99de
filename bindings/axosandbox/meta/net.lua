---@meta
-- Annotations of the C module, as core.lua has them: sockets and connections.
-- luacheck: ignore 212 241 431 631

---Sockets of this host or of a container, and connections that are taken in and passed on. Nothing
---here decides: who is let through, and where to, is said in Lua.
---@class axo.core.Net
local net = {}

---Binds a socket, which stays the caller's, and has one for streams listen. It becomes
---non-blocking and close-on-exec. A datagram socket never gets SO_REUSEADDR, by which somebody else
---could take what comes.
---@param fd integer a socket of any network namespace
---@param address string a literal of its family
---@param port integer 0: the kernel chooses
---@return integer? port, axo.Error? err code "EADDRINUSE", "EADDRNOTAVAIL", "EACCES", ...
function net.bind(fd, address, port) end

---Closes a socket of a guest's, and waits for nothing: a guest could have made close() wait.
---@param fd integer
function net.close(fd) end

---A listening TCP socket of this host, which is the caller's.
---@param address string "127.0.0.1", "::1", ...
---@param port integer 0: the kernel chooses
---@return integer? fd
---@return integer|axo.Error port or err
function net.listen(address, port) end

---@class axo.core.ListenerOptions
---@field on_connection fun(conn: axo.core.Conn) one has come; unless it is held, or dialled, it is reset when it is collected
---@field on_refusal fun(why: axo.Error)? this process may have no more descriptors ("EMFILE", "ENFILE"): connections are reset as they come; or the socket is of no more use. Told when it begins
---@field max integer? connections at once, 1024 by default; more wait in the kernel's queue
---@field pipes integer? pipes at once, two descriptors each, 64 by default

---Takes connections in from a listening socket, which is the listener's from a successful call on. It
---does not keep the loop running, and is collected, and all it has closed, when nobody holds it and
---no connection of it is in flight.
---@param fd integer
---@param options axo.core.ListenerOptions
---@return axo.core.Listener?, axo.Error?
function net.listener(fd, options) end

---@class axo.core.Listener
local Listener = {}

---Ends it and resets its connections, of which no callback is called any more. Idempotent.
function Listener:close() end

---What it has now, and how often it has been woken, which it is not while nothing moves.
---@return { connections: integer, pipes: integer, wakes: integer }
function Listener:counts() end

---A connection that was taken in. It is held, and nothing is read of it, until `dial`.
---@class axo.core.Conn
local Conn = {}

---Where the client meant to go: what it dialled before it was redirected, else where it was taken in.
---@return string? address
---@return integer|axo.Error port or err
function Conn:destination() end

---Where it comes from.
---@return string? address
---@return integer|axo.Error port or err
function Conn:peer() end

---Waits for what the client says first, and takes nothing of it. `done` gets the server name of a TLS
---ClientHello in lower case; nil when it has none, or is none: `kind` says which. With `err` neither
---is known: the client has said nothing whole in time ("ETIMEDOUT"), or has gone ("ECONNRESET").
---@param timeout number seconds
---@param done fun(err: axo.Error?, name: string?, kind: "tls"|"other"|"unreadable")
---@return true?, axo.Error? err "EBUSY": it is dialled already; "ENOTCONN": it has ended
function Conn:hello(timeout, done) end

---@class axo.core.DialOptions
---@field address string a literal
---@field port integer
---@field fd integer? a TCP socket of another network namespace, which is the connection's from the call on; an own one by default
---@field timeout number? seconds, 30 by default

---@class axo.core.ConnResult
---@field sent integer bytes of the client that the other end has taken
---@field received integer bytes of the other end that the client has taken
---@field duration number seconds since it was open
---@field err axo.Error? it was not brought to its end: "ECONNRESET", ...

---Connects to where it leads, and then passes bytes on both ways until both ends are through: halves
---that end and resets, too.
---@param options axo.core.DialOptions
---@param on_open fun(err: axo.Error?) once; after an error it may be dialled again, unless it is the client that has gone
---@param on_close fun(result: axo.core.ConnResult)? once after an on_open without an error, unless it is ended by close, reset or the listener's close
---@return true?, axo.Error? err "EINVAL": that is no address; "EBUSY", "ENOTCONN", "ECONNRESET"
function Conn:dial(options, on_open, on_close) end

---What has been passed on, also after its end.
---@return integer sent, integer received
function Conn:traffic() end

---Ends it: both ends see an end. Its callbacks are not called any more. Idempotent.
function Conn:close() end

---Ends it, and both ends see a reset. As close, else.
function Conn:reset() end
