--- Connections that a session makes: each came to an address that stands for a name, is decided on,
--- led to where the name leads, and told of at its end.
local address = require "axosandbox.base.text.address"
local audit = require "axosandbox.audit"
local await = require "axosandbox.base.await"
local blocks = require "axosandbox.network.names.blocks"
local resolve = require "axosandbox.network.names.resolve"
local shapes = require "axosandbox.policy.shapes"

local connections = {}

-- Seconds: for a client's first words where they must name the name, and for one address; several
-- have less each.
local HELLO, DIAL, DIAL_ONE_OF_MANY = 10, 30, 5
local MOST_ADDRESSES = 4
local HTTPS = 443
local ENGINE = "axosandbox"

---@class axo.Connections
local Connections = {}
Connections.__index = Connections

---@class axo.ConnectionsParts
---@field egress axo.Egress
---@field owners axo.Owners
---@field resolver axo.Resolver
---@field name fun(address: string): string? the name that an address stands for
---@field refused fun(what: axo.Connection, work: axo.NetworkWork?, verdict: axo.Verdict) tells of a refusal
---@field ended fun(what: axo.Connection) tells of what was let through, at its end

---@class axo.Connection
---@field name string the name, or the address that was dialled as such
---@field port integer
---@field is_address boolean
---@field began number seconds on the clock of deadlines
---@field state "deciding"|"connecting"|"open"
---@field by string? which policy file let it through
---@field address string? where it leads
---@field work axo.NetworkWork?
---@field sent integer? bytes, at its end
---@field received integer?
---@field problem string? why it was not brought to its end
---@field private conn axo.core.Conn
---@field private own { [1]: string, [2]: integer } the client's end, as the container sees it
---@field private peer { [1]: string, [2]: integer } what it dialled

---@param parts axo.ConnectionsParts
---@return axo.Connections
function connections.new(parts)
  local self = setmetatable(parts, Connections)
  self.open, self.count = {}, 0
  return self
end

-- ---- the end ---------------------------------------------------------------------------------

local function forget(self, it)
  if not self.open[it] then return false end
  self.open[it] = nil
  self.count = self.count - 1
  return true
end

local function refuse(self, it, by, reason)
  if not self.open[it] then return end
  self.owners:find("tcp", it.own, it.peer, function(work)
    if not forget(self, it) then return end
    self.refused(it, work or it.work, { by = by, reason = reason, allow = false })
    it.conn:reset()
  end)
end

-- What was allowed, and leads nowhere.
local function fail(self, it, problem)
  if not forget(self, it) then return end
  it.problem = problem
  it.conn:reset()
  self.ended(it)
end

local function close(self, it, result)
  if not forget(self, it) then return end
  it.sent, it.received, it.problem = result.sent, result.received,
    result.err and result.err.message or nil
  self.ended(it)
end

-- ---- the way out -------------------------------------------------------------------------------

local dial_next

local function opened(self, it, targets, err)
  if not self.open[it] then return end
  if not err then
    it.state = "open"
    return
  end
  it.failed = err.message
  dial_next(self, it, targets)
end

function dial_next(self, it, targets)
  local target = table.remove(targets, 1)
  if not target then return fail(self, it, it.failed or "it leads nowhere") end
  it.address, it.state = target, "connecting"
  local ok, err = it.conn:dial({
    address = target, port = it.dial_port, timeout = targets[1] and DIAL_ONE_OF_MANY or DIAL,
  }, function(problem) opened(self, it, targets, problem) end,
    function(result) close(self, it, result) end)
  if not ok then fail(self, it, err.message) end
end

local function dial(self, it, targets)
  if not self.open[it] then return end
  dial_next(self, it, table.move(targets, 1, math.min(#targets, MOST_ADDRESSES), 1, {}))
end

-- Of the addresses those that may be dialled, whatever policy says of the name.
local function dial_some(self, it, list)
  local good, problem = resolve.dialled(list, it.port, self.egress.allowed)
  if not problem then return dial(self, it, good) end
  refuse(self, it, ENGINE, problem .. ", and no entry of allow holds that address")
end

local function look_up(self, it)
  self.resolver:addresses(it.name, function(err, list)
    if not self.open[it] then return end
    if err then return fail(self, it, err) end
    dial_some(self, it, list)
  end)
end

local function lead_out(self, it, verdict)
  if verdict.dial then
    local target, port = shapes.dial(verdict.dial)
    it.dial_port = port or it.port
    return dial(self, it, { target })
  end
  it.dial_port = it.port
  if it.is_address then return dial_some(self, it, { assert(address.parse(it.name)) }) end
  look_up(self, it)
end

-- Another server behind the same address could be meant: who speaks TLS says to whom, and no
-- other name is let through.
local function check_hello(self, it, verdict)
  local ok, problem = it.conn:hello(HELLO, function(err, name, kind)
    if not self.open[it] then return end
    if err and err.code == "ETIMEDOUT" then
      return refuse(self, it, ENGINE, ("nothing was said for %d s on port %d, where TLS begins "
        .. "with the name"):format(HELLO, HTTPS))
    elseif err then
      return fail(self, it, err.message)
    elseif kind == "unreadable" then
      return refuse(self, it, ENGINE, "what begins as TLS does cannot be read, so that nobody can "
        .. "tell whom it names")
    elseif kind == "tls" and name ~= it.name then
      return refuse(self, it, ENGINE, name and ("TLS was begun with %s, which is another name")
        :format(name) or "TLS was begun without a server name")
    end
    lead_out(self, it, verdict)
  end)
  if not ok then fail(self, it, problem.message) end
end

local function decided(self, it, verdict)
  if not self.open[it] then return end
  if not verdict.allow then return refuse(self, it, verdict.by, verdict.reason) end
  it.by = verdict.by
  if it.port == HTTPS and not it.is_address then return check_hello(self, it, verdict) end
  lead_out(self, it, verdict)
end

-- ---- the way in --------------------------------------------------------------------------------

-- An address that stands for no name is one that was dialled as such.
local function listed_address(self, it)
  local bytes = address.parse(it.name)
  if not bytes then return nil end
  local _, block = blocks.kind(bytes)
  return self.egress.allowed:address(bytes, it.port, block)
end

local function new(self, conn)
  local to, port = conn:destination()
  local from, from_port = conn:peer()
  if not to or not from then return nil end
  local name = self.name(to)
  return {
    conn = conn, name = name or to, port = port, is_address = not name,
    own = { from, from_port }, peer = { to, port }, began = await.now(), state = "deciding",
  }
end

local function find_work(self, it, done)
  self.owners:find("tcp", it.own, it.peer, function(work)
    it.work = work
    if done then done(work) end
  end)
end

--- Takes in a connection that the container makes.
---@param conn axo.core.Conn
function Connections:take(conn)
  local it = new(self, conn)
  if not it then return conn:reset() end
  self.open[it], self.count = true, self.count + 1
  -- The log says who it was; nobody else waits for that.
  if audit.is_on then find_work(self, it) end
  self.egress:ask({
    op = "connect", name = it.name, port = it.port, is_address = it.is_address or nil,
    listed = it.is_address and listed_address(self, it) or nil,
  }, function(done) find_work(self, it, done) end, function(verdict) decided(self, it, verdict) end)
end

--- Those that there are.
---@return { name: string, port: integer, state: string, address: string?, seconds: number, sent: integer, received: integer, command: string[]?, work: string? }[] # sent, received: bytes so far
function Connections:list()
  local list, now = {}, await.now()
  for it in pairs(self.open) do
    local sent, received = it.conn:traffic()
    list[#list + 1] = {
      name = it.name, port = it.port, state = it.state, address = it.address,
      seconds = now - it.began, sent = sent, received = received,
      command = it.work and it.work.argv, work = it.work and it.work.name,
    }
  end
  table.sort(list, function(a, b) return a.seconds > b.seconds end)
  return list
end

--- Forgets all, which their listener has ended; each is told of.
function Connections:close()
  for it in pairs(self.open) do
    local sent, received = it.conn:traffic()
    close(self, it, { sent = sent, received = received, err = { message = "the session's network "
      .. "is not served from here any more" } })
  end
end

return connections
