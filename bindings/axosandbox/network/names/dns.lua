--- The name service of a session: answers what the container asks, by itself. An allowed name gets
--- its own address; any other is unknown, and nobody else hears of it.
local uv = require "luv"
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"

local dns = {}

-- Seconds; the address of a name stays the same.
local TTL = 60
-- Questions whose answer waits for policy or for who asked.
local MOST_WAITING = 256

local LOOPBACK = "127.0.0.1"

---@class axo.NameService
local Service = {}
Service.__index = Service

---@class axo.NameServiceParts
---@field fd integer a bound socket of the container's network; the service's from now on
---@field nameserver string where the container sends its questions to
---@field hostname string the container's
---@field egress axo.Egress
---@field owners axo.Owners
---@field address fun(name: string, done: fun(address: string?, problem: string?)) the address of an allowed name
---@field refused fun(name: string, work: axo.NetworkWork?, verdict: axo.Verdict) tells of a refusal
---@field trouble fun(problem: string) tells of what should not be

local function send(self, query, rcode, address)
  local bytes = not self.is_closed
    and core.net.answer(query.bytes, { rcode = rcode, address = address, ttl = TTL })
  -- A full buffer loses it, and who asked asks again.
  if bytes then self.udp:try_send(bytes, query.from.ip, query.from.port) end
end

local function allowed(self, query)
  -- Other types of it there are none of.
  if query.type ~= "A" then return send(self, query, "NOERROR") end
  self.address(query.name, function(address, problem)
    if not address then
      self.trouble(problem)
      return send(self, query, "SERVFAIL")
    end
    send(self, query, "NOERROR", address)
  end)
end

local function who(self, query)
  return function(done)
    self.owners:find("udp", { query.from.ip, query.from.port }, { self.nameserver, 53 }, done)
  end
end

-- Who asked is told only once it is known who that was.
local function refused(self, query, verdict, leave)
  who(self, query)(function(work)
    self.refused(query.name, work, verdict)
    send(self, query, "NXDOMAIN")
    leave()
  end)
end

local function ask_policy(self, query)
  if self.waiting >= MOST_WAITING then return send(self, query, "SERVFAIL") end
  self.waiting = self.waiting + 1
  local function leave() self.waiting = self.waiting - 1 end
  self.egress:ask({ op = "resolve", name = query.name }, who(self, query), function(verdict)
    if verdict.is_busy then
      leave()
      return send(self, query, "SERVFAIL")
    end
    if not verdict.allow then return refused(self, query, verdict, leave) end
    leave()
    allowed(self, query)
  end)
end

local function is_own(self, name)
  return name == "localhost" or name:find "%.localhost$" ~= nil or name == self.hostname
end

-- What a host offers is asked for beneath its name (RFC 2782, RFC 9460): apt does, before it asks
-- for the host. That it has no such thing is what is to be said, and no refusal.
local function host_of(query)
  if query.type == "A" or query.type == "AAAA" then return query.name end
  local name = query.name
  while name:find "^_[^.]*%." do name = name:gsub("^[^.]*%.", "", 1) end
  return name
end

local function answer(self, query)
  local name = host_of(query)
  query.name = name
  if is_own(self, name) then
    return send(self, query, "NOERROR", query.type == "A" and LOOPBACK or nil)
  end
  -- Names of addresses: there are none, and nobody is refused anything by that.
  if name:find "%.arpa$" then return send(self, query, "NXDOMAIN") end
  ask_policy(self, query)
end

local UNREADABLE = { EINVAL = "FORMERR", ENOTSUP = "REFUSED" }

local function on_datagram(self, bytes, from)
  local query, err = core.net.query(bytes)
  local known = { bytes = bytes, from = from }
  if not query then
    local rcode = UNREADABLE[err.code]
    return rcode and send(self, known, rcode)
  end
  known.name, known.type = query.name, query.type
  answer(self, known)
end

--- Begins to answer. It does not keep the loop running.
---@param parts axo.NameServiceParts
---@return axo.NameService
function dns.serve(parts)
  local self = setmetatable(parts, Service)
  self.waiting, self.is_closed = 0, false
  self.udp = uv.new_udp()
  assert(self.udp:open(self.fd))
  self.udp:recv_start(function(err, bytes, from)
    if not err and bytes and from and not self.is_closed then
      await.protect(on_datagram, self, bytes, from)
    end
  end)
  self.udp:unref()
  return self
end

--- Ends it.
function Service:close()
  if self.is_closed then return end
  self.is_closed = true
  self.udp:recv_stop()
  await.close(self.udp)
end

return dns
