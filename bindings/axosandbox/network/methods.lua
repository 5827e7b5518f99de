--- What a session has of its network: ports that lead into it, what listens there, and what it
--- reaches by names.
local allow = require "axosandbox.policy.allow"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local forward = require "axosandbox.network.forward"
local hints = require "axosandbox.base.hints"
local listening = require "axosandbox.network.listening"

local methods = {}

---@class axo.Session
local Sandbox = {}
methods.methods = Sandbox

--- Listens on this host and leads each connection to a port in the container, on loopback there.
--- It works whatever the session's network is, also with "none", and with programs that listen on
--- 127.0.0.1 or ::1 only, from now on until `forward:close()`, the session's end or that of this
--- process. Does not wait. The native path only.
---
---     local forward = assert(sb:forward { port = 3000, host_port = 0 })
---     print("http://127.0.0.1:" .. forward.host_port)
---@param opts { port: integer, host_port: integer?, address: string? } port: in the container; host_port: of this host, the same by default, 0: one that is free; address: of this host, in digits, "127.0.0.1" by default
---@return axo.Forward? forward, axo.Error? err code "EADDRINUSE" (another program holds it), "EACCES", "EADDRNOTAVAIL", "LIMIT", "UNSUPPORTED" (the portable path), "STOPPED", "GONE"
function Sandbox:forward(opts)
  forward.check(opts, 2)
  return forward.open(self.way, opts)
end

--- The forwards that this process has open, by their ports.
---
---     for _, it in ipairs(sb:forwards()) do print(it) end
---@return axo.Forward[]
function Sandbox:forwards() return forward.list(self.way) end

--- What listens on TCP in the container, by ports, and which task or terminal it is where that is
--- known. The native path only.
---
---     for _, it in ipairs(assert(sb:listening())) do print(it.port, it.address, it.task) end
---@param callback fun(err: axo.Error?, list: axo.Listening[]?)?
---@return axo.Listening[]? list, axo.Error? err code "UNSUPPORTED", "STOPPED", "GONE", "TIMEOUT"
function Sandbox:listening(callback)
  return await.call(function(done) return listening.list(self.way, done) end, callback)
end

--- Calls `fn` for each socket that listens in the container, now and from now on, and once more,
--- with `is_open` false, when it does not any more. It is looked for after each command, and twice
--- a second as long as there is such a function; it does not keep the loop running. The native path
--- only.
---
---     local subscription = assert(sb:on_listen(function(it)
---       print(it.port, it.is_open and "is open" or "is closed")
---     end))
---     subscription:close()
---@param fn fun(event: axo.ListeningEvent)
---@return axo.ListeningSubscription? subscription, axo.Error? err code "UNSUPPORTED", "STOPPED", "GONE"
function Sandbox:on_listen(fn)
  if type(fn) ~= "function" then
    error("sandbox:on_listen: expected a function, got " .. type(fn), 2)
  end
  return listening.on_listen(self.way, fn)
end

-- ---- a network by names ----------------------------------------------------------------------

local function of_record(record)
  return record.allow and table.move(record.allow, 1, #record.allow, 1, {})
end

--- The names and addresses that a session with a network by names reaches, in the one form that
--- each entry of `allow` has; nil of any other.
---
---     print(table.concat(sb:allowed() or {}, " "))
---@return string[]?
function Sandbox:allowed()
  local network = self.way.network
  return network and network:allowed() or of_record(self.record)
end

local function no_names(self)
  local mode = self:network()
  local message = mode == "names" and "the network of this session is not served"
    or mode and ("this session's network is %s, to which no names can be added"):format(mode)
    or "what a container that was attached to reaches is decided where its session is open"
  return errors.new {
    code = "INVALID", op = "allow", message = message,
    hint = hints.TABLE.no_names.lua,
  }
end

--- Adds a name to what a session with a network by names reaches, for as long as the session lives,
--- if policy's egress.lua agrees. A mistaken entry raises.
---
--- Codes: "POLICY", "INVALID" (a session without a network by names), "STOPPED", "IO".
---
---     print(sb:allow "api.example.com")
---@param entry string as in `network = { allow = { ... } }`
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error? err
function Sandbox:allow(entry, callback)
  local problem = type(entry) ~= "string" and "expected a string, got " .. type(entry)
    or select(2, allow.parse(entry))
  if problem then error("sandbox:allow: " .. problem, 2) end
  return await.sequence(function()
    if self.is_stopped then return nil, self.way:stopped_error "allow" end
    if not self.way.network then return nil, no_names(self) end
    self.way.network:allow(entry)
    return true
  end, callback)
end

--- The connections of a session with a network by names that there are just now, the oldest first;
--- only the process that serves them knows them.
---
---     for _, it in ipairs(sb:connections()) do print(it.name, it.port, it.state, it.seconds) end
---@return { name: string, port: integer, state: string, address: string?, seconds: number, sent: integer, received: integer, command: string[]?, work: string? }[]
function Sandbox:connections()
  return self.way.network and self.way.network:connections() or {}
end

--- Ends what the network of a way has open on this host.
---@param way axo.Way
function methods.close(way)
  if way.network then way.network:close() end
  forward.close_all(way)
  listening.close(way)
end

return methods
