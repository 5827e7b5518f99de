--- Forwards: ports of this host that lead to what listens in a container, whatever its network is.
--- For each connection the guest makes a socket, which this host connects to loopback in there.
local address = require "axosandbox.base.text.address"
local audit = require "axosandbox.audit"
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local gate = require "axosandbox.base.gate"
local hints = require "axosandbox.base.hints"
local notes = require "axosandbox.network.forward_notes"
local options = require "axosandbox.base.options"

local forward = {}

-- Of a session; and connections of one forward, of which more wait in the kernel's queue.
local MOST, MOST_CONNECTIONS = 256, 1024
-- Seconds for a program in the container to take a connection.
local TIMEOUT = 10

local TARGETS = {
  { domain = "inet", address = "127.0.0.1" },
  { domain = "inet6", address = "::1" },
}

local PORT = { type = "integer", min = 1, max = 65535, required = true }

--- What `sb:forward` takes.
forward.SHAPE = {
  port = PORT, host_port = { type = "integer", min = 0, max = 65535 }, address = "string",
}

--- Gone with its session, or with this process.
---@class axo.Forward
---@field port integer in the container
---@field host_port integer on this host
---@field address string of this host
---@field private way axo.NativeWay
local Forward = { __name = "axo.forward" }
Forward.__index = Forward

-- ---- one connection ------------------------------------------------------------------------

local function ended(self, result)
  self.sent, self.received = self.sent + result.sent, self.received + result.received
end

local lead

-- Who listens on IPv6 alone is found there.
local function go_on(self, conn, at, err)
  if err.code == "ECONNREFUSED" and TARGETS[at + 1] then return lead(self, conn, at + 1) end
  self.failed = self.failed + 1
  conn:reset()
end

local function dial(self, conn, at, fd)
  local ok, err = conn:dial({
    address = TARGETS[at].address, port = self.port, fd = fd, timeout = TIMEOUT,
  }, function(problem)
    if problem then go_on(self, conn, at, problem) end
  end, function(result) ended(self, result) end)
  if not ok then go_on(self, conn, at, err) end
end

function lead(self, conn, at)
  local asked, err = self.way:socket(TARGETS[at].domain, "stream", function(problem, fd)
    if problem then return go_on(self, conn, at, problem) end
    if self.is_closed then return core.net.close(fd) end
    dial(self, conn, at, fd)
  end)
  if not asked then go_on(self, conn, at, err) end
end

-- ---- the port ------------------------------------------------------------------------------

local HINTS = {
  EADDRINUSE = hints.TABLE.host_port_taken.lua,
  EACCES = "ports below 1024 are for root: choose another on the host",
  EINVAL = "give an address of this host in digits, such as 127.0.0.1",
  EADDRNOTAVAIL = "give an address of this host in digits, such as 127.0.0.1",
}
local WORDS = {
  EADDRINUSE = "another program holds it",
  EACCES = "this user may not have it",
  EADDRNOTAVAIL = "this host has no such address",
}

local function refused(opts, err)
  return errors.new {
    code = err.code, op = "forward",
    message = ("port %d on %s cannot be had: %s"):format(
      opts.host_port, opts.address, WORDS[err.code] or err.message),
    hint = HINTS[err.code] or err.hint,
  }
end

local function listen(self, opts)
  local fd, port = core.net.listen(opts.address, opts.host_port)
  if not fd then return nil, refused(opts, port) end
  local listener, err = core.net.listener(fd, {
    max = MOST_CONNECTIONS,
    on_connection = function(conn)
      self.connections = self.connections + 1
      lead(self, conn, 1)
    end,
    on_refusal = function(problem)
      -- Who connects could have it said all the time.
      if self.has_warned then return end
      self.has_warned = true
      self.way:warn(("connections to port %d are refused: %s"):format(port, tostring(problem)))
    end,
  })
  if not listener then
    core.net.close(fd)
    return nil, err
  end
  self.listener, self.host_port = listener, port
  return self
end

local function unable(way)
  if way.kind == "native" then return end
  return errors.new {
    code = "UNSUPPORTED", op = "forward",
    message = "a forward needs the native path, and this session is on the portable one",
    hint = hints.TABLE.forward_path.lua,
  }
end

local function count(list)
  local n = 0
  for _ in pairs(list) do n = n + 1 end
  return n
end

--- Listens on this host and leads each connection to a port in the container. Does not wait.
---@param way axo.Way
---@param opts { port: integer, host_port: integer?, address: string? } host_port: the same by default, 0 one of the kernel's choice; address: 127.0.0.1 by default
---@return axo.Forward? forward, axo.Error? err code "EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "UNSUPPORTED", "STOPPED", "GONE", "LIMIT"
function forward.open(way, opts)
  local err = unable(way) or not way.is_open and way:stopped_error "forward"
    or way.is_down and way:gone()
  if err then return nil, err end
  way.forwards = way.forwards or {}
  if count(way.forwards) >= MOST then
    return nil, errors.new { code = "LIMIT", op = "forward",
      message = ("a session has at most %d forwards"):format(MOST), hint = "close one first" }
  end
  local self = setmetatable({
    way = way, port = math.tointeger(opts.port), address = opts.address or "127.0.0.1",
    connections = 0, failed = 0, sent = 0, received = 0, is_closed = false, closed = gate.new(),
  }, Forward)
  local ok
  ok, err = listen(self, {
    address = self.address, host_port = math.tointeger(opts.host_port or opts.port),
  })
  if not ok then return nil, err end
  way.forwards[self] = true
  self.note = notes.make(way.record.runtime_dir, self)
  self.forget = way.down:on(function() self:close() end)
  audit.emit("forward_start", way.record.id,
    { port = self.port, host_port = self.host_port, address = self.address })
  return self
end

--- Lets go of the port; connections that there are end. Idempotent.
---
---     forward:close()
function Forward:close()
  if self.is_closed then return end
  self.is_closed = true
  self.forget()
  self.way.forwards[self] = nil
  notes.remove(self.note)
  self.listener:close()
  audit.emit("forward_end", self.way.record.id, {
    port = self.port, host_port = self.host_port, address = self.address,
    connections = self.connections, failed = self.failed,
    sent = self.sent, received = self.received,
  })
  self.closed:open()
end

Forward.__close = Forward.close

--- Waits until it is closed: by `close`, or by the end of its session.
---
---     forward:wait(function() print "closed" end)
---     forward:close()
---@param callback fun(err: axo.Error?, closed: true?)?
---@return true? closed, axo.Error?
function Forward:wait(callback)
  return await.call(function(done)
    -- Its listener does not keep the loop running; who waits does.
    local release = await.after(math.huge, function() end)
    self.closed:on(function()
      release()
      await.defer(function() done(nil, true) end)
    end)
    return true
  end, callback)
end

--- What has passed it: connections that came, those of them that nothing in the container took, and
--- the bytes of those that are over, from and to the container's clients.
---
---     print(forward:counts().connections)  --> 0
---@return { connections: integer, failed: integer, sent: integer, received: integer }
function Forward:counts()
  return {
    connections = self.connections, failed = self.failed,
    sent = self.sent, received = self.received,
  }
end

function Forward:__tostring()
  return ("%s -> %d"):format(address.with_port(self.address, self.host_port), self.port)
end

--- Those of a way that are open, by their ports.
---@param way axo.Way
---@return axo.Forward[]
function forward.list(way)
  local list = {}
  for one in pairs(way.forwards or {}) do list[#list + 1] = one end
  table.sort(list, notes.by_port)
  return list
end

--- Closes those of a way.
---@param way axo.Way
function forward.close_all(way)
  for _, one in ipairs(forward.list(way)) do one:close() end
end

--- Checks the options of `sb:forward`; a mistake raises at `level`.
---@param opts table
---@param level integer
function forward.check(opts, level)
  options.check(forward.SHAPE, opts, "sandbox:forward", level + 1)
end

return forward
