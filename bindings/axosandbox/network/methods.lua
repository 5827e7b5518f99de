--- What a session has of its network: ports that lead into it, and what listens there.
local await = require "axosandbox.base.await"
local forward = require "axosandbox.network.forward"
local listening = require "axosandbox.network.listening"

local methods = {}

---@class axo.Sandbox
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

--- Ends what the network of a way has open on this host.
---@param way axo.Way
function methods.close(way)
  forward.close_all(way)
  listening.close(way)
end

return methods
