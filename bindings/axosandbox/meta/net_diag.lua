---@meta
-- Annotations of the C module, as core.lua has them: DNS, and the sockets of a network.
-- luacheck: ignore 212 241 431 631

---@class axo.core.Net
local net = {}

-- ---- DNS -----------------------------------------------------------------------------------

---@class axo.core.DnsQuery
---@field name string lower case, of [a-z0-9_-] and single dots, at most 253 bytes
---@field type "A"|"AAAA"|integer

---Reads one query: one question of class IN. Pure; linear. Codes: EPROTO, no query at all: answer
---nothing; EINVAL, a malformed one (FORMERR); ENOTSUP, another operation, class or number of
---questions, or a name that no host has (REFUSED).
---@param bytes string a datagram
---@return axo.core.DnsQuery?, axo.Error?
function net.query(bytes) end

---@class axo.core.DnsAnswer
---@field rcode "NOERROR"|"NXDOMAIN"|"REFUSED"|"SERVFAIL"|"FORMERR"|"NOTIMP"
---@field address string? IPv4; only who asks for A gets it, others an empty answer
---@field ttl integer? seconds, 5 by default

---The answer to a message. The question is given back as it came, if it can be read. Codes: EPROTO
---as above; EINVAL, an address that is none, or one for what `net.query` refuses.
---@param bytes string the query, whole
---@param answer axo.core.DnsAnswer
---@return string? bytes, axo.Error?
function net.answer(bytes, answer) end

-- ---- sockets that there are ----------------------------------------------------------------

---@class axo.core.Socket
---@field address string its own; IPv4 in IPv6 (::ffff:...) as IPv4
---@field port integer
---@field inode integer of its descriptors in /proc/PID/fd; 0 when it has ended
---@field uid integer as the container numbers it
---@field ipv6_only boolean? it takes no IPv4
---@field peer_address string?
---@field peer_port integer?

---@class axo.core.SocketEnd : axo.core.Socket
---@field protocol "tcp"|"udp"?
---@field lost boolean? nothing else is told: more have ended than could be said

---Tells of the sockets of a network namespace. One that watches (on_destroy) answers no questions.
---@class axo.core.Diag
local Diag = {}

---Takes `fd`, on success, a socket of NETLINK_SOCK_DIAG: `link:socket("diag", ...)` gives one.
---Code EINVAL for another.
---@param fd integer
---@return axo.core.Diag?, axo.Error?
function net.diag(fd) end

---What listens on TCP, of IPv4 and then of IPv6, at most 4096; `more` says that there are others.
---Waits for nothing. Codes: EPROTO, the answer was cut or somebody else's; E2BIG, more than 65536;
---EBUSY, it watches.
---@return { more: boolean, [integer]: axo.core.Socket }?, axo.Error?
function Diag:listening() end

---The socket of two ends, as its owner sees them; without `peer` one that listens. For UDP: the one
---that is connected so, else the only one with that port. Codes: ENOENT, and those of listening.
---@param protocol "tcp"|"udp"
---@param own [string, integer] address and port
---@param peer [string, integer]?
---@return axo.core.Socket?, axo.Error?
function Diag:find(protocol, own, peer) end

---Calls `fn` for each socket without a peer that ends from now on: one that listened, or of UDP.
---Does not keep the loop running. Once for a diag.
---@param fn fun(socket: axo.core.SocketEnd)
---@param protocol "tcp"|"udp"|nil both by default
---@return true?, axo.Error?
function Diag:on_destroy(fn, protocol) end

---Closes the descriptor; `fn` is not called any more. Idempotent.
function Diag:close() end
