--- A session's network, served by this host: sockets of the container's network, of which the guest
--- makes each and this host alone uses it; and how what runs there comes to them: it is redirected, or
--- there are listeners for each name.
local await = require "axosandbox.base.await"
local connections = require "axosandbox.network.names.connections"
local core = require "axosandbox.core"
local allow = require "axosandbox.policy.allow"
local addresses = require "axosandbox.network.names.addresses"
local dns = require "axosandbox.network.names.dns"
local errors = require "axosandbox.base.errors"
local files = require "axosandbox.network.names.files"
local hints = require "axosandbox.base.hints"
local host = require "axosandbox.host"
local netns = require "axosandbox.network.netns"
local resolve = require "axosandbox.network.names.resolve"
local uv = require "luv"

local serve = {}

local LOOPBACK = "127.0.0.1"
-- Connections of a session at once, and listeners where there is no redirection: each has three
-- descriptors, and a wildcard lets the container have as many as it likes.
local MOST_CONNECTIONS, MOST_LISTENERS = 1024, 128

---@class axo.NetworkServer
local Server = {}
Server.__index = Server

-- ---- sockets -----------------------------------------------------------------------------------

local function socket(self, domain, kind)
  return await.call(function(done) return self.way.link:socket(domain, kind, done) end)
end

-- A bound socket of the container's, and its port.
local function bound(self, kind, address, port)
  local fd, err = socket(self, "inet", kind)
  if not fd then return nil, err end
  local stat = uv.fs_fstat(fd)
  if stat then self.inodes[stat.ino] = true end
  local got
  got, err = core.net.bind(fd, address, port)
  if got then return fd, got end
  core.net.close(fd)
  return nil, err
end

local function add_listener(self, fd)
  if self.is_closed then
    core.net.close(fd)
    return nil, errors.new { code = "GONE", op = "network", message = "the session was closed" }
  end
  local listener, err = core.net.listener(fd, {
    max = MOST_CONNECTIONS,
    on_connection = function(conn)
      -- Those of all listeners; of one alone more wait in the kernel's queue.
      if self.connections.count >= MOST_CONNECTIONS then return conn:reset() end
      self.connections:take(conn)
    end,
    on_refusal = function(why) self.trouble(why.message) end,
  })
  if not listener then
    core.net.close(fd)
    return nil, err
  end
  self.listeners[#self.listeners + 1] = listener
  return listener
end

-- ---- by redirection ----------------------------------------------------------------------------

local function start_of(pid)
  -- linear: host.identity wrote it.
  return host.identity(pid):match "^[^:]*:([^:]*)"
end

local function redirect(self)
  local dns_fd, dns_port = bound(self, "dgram", LOOPBACK, 0)
  if not dns_fd then return nil, dns_port end
  local tcp_fd, tcp_port = bound(self, "stream", LOOPBACK, 0)
  if not tcp_fd then
    core.net.close(dns_fd)
    return nil, tcp_port
  end
  local pid = self.way.record.pid
  local ok, err = netns.redirect(pid, start_of(pid), tcp_port, dns_port)
  if ok then ok, err = add_listener(self, tcp_fd) else core.net.close(tcp_fd) end
  if ok then return dns_fd end
  core.net.close(dns_fd)
  return nil, err
end

-- ---- by listeners --------------------------------------------------------------------------

-- One for each port of a name, before anybody learns its address.
local function listen_for(self, name, address)
  local ports = self.egress.allowed:ports(name)
  for _, port in ipairs(ports[1] and ports or allow.USUAL_PORTS) do
    if self.count >= MOST_LISTENERS then
      return nil, ("there are %d listeners, and no more names are served"):format(MOST_LISTENERS)
    end
    -- Before it is waited for: many names are asked for at once.
    self.count = self.count + 1
    local fd, err = bound(self, "stream", address, port)
    local ok
    if fd then ok, err = add_listener(self, fd) end
    if not ok then
      self.count = self.count - 1
      return nil, ("port %d of %s cannot be listened on: %s"):format(port, address, err.message)
    end
  end
  self.served[name] = true
  return address
end

local function listeners(self)
  local fd, port_or_err = bound(self, "dgram", LOOPBACK, 53)
  if not fd then return nil, port_or_err end
  self.is_local = true
  return fd
end

local MEANS = { redirect = redirect, listeners = listeners }

-- By which of the two: the first that this host offers.
local function begin_means(self)
  local wanted = os.getenv "AXOSANDBOX_NAMES" or ""
  if MEANS[wanted] then
    self.how = wanted
    return MEANS[wanted](self)
  end
  -- A word that says nothing must not choose one.
  if wanted ~= "" then
    return nil, errors.new {
      code = "INVALID", op = "network",
      message = ("$AXOSANDBOX_NAMES is %q, which is neither redirect nor listeners"):format(wanted),
      hint = "set it to redirect or listeners, or unset it",
    }
  end
  self.how = "redirect"
  local fd, err = redirect(self)
  if fd or err.code ~= "UNSUPPORTED" then return fd, err end
  self.how = "listeners"
  local problem = err.message
  fd, err = listeners(self)
  if fd then
    self.trouble(("names are served by listeners on the container's loopback, because %s: only the "
      .. "ports that the list names are reached, and no address is"):format(problem))
  end
  return fd, err
end

-- ---- both ----------------------------------------------------------------------------------

local function address_of(self, name, done)
  local address, problem = self.addresses:of(name)
  if not address or not self.is_local or self.served[name] then return done(address, problem) end
  if self.beginning[name] then return table.insert(self.beginning[name], done) end
  local waiting = { done }
  self.beginning[name] = waiting
  await.spawn(function() return listen_for(self, name, address) end, function(err, listened)
    self.beginning[name] = nil
    for _, fn in ipairs(waiting) do fn(listened, err and err.message) end
  end)
end

local function open_addresses(self)
  local record = self.way.record
  local opened, problem = addresses.open(
    files.names(record.runtime_dir, record.instance), self.is_local)
  self.addresses = opened
  if opened then return true end
  return nil, errors.new { code = "IO", op = "network",
    message = "the addresses of the session's names cannot be kept: " .. tostring(problem),
    hint = hints.TABLE.session_files.lua }
end

local function open_diag(self)
  local fd, err = socket(self, "diag")
  if fd then
    self.diag, err = core.net.diag(fd)
    if not self.diag then core.net.close(fd) end
  end
  if not self.diag then
    self.trouble("who connects cannot be told: " .. err.message)
  end
end

local function begin_names(self, dns_fd)
  local record = self.way.record
  files.tell_resolver(record.runtime_dir, record.instance, self.how)
  self.dns = dns.serve {
    fd = dns_fd, nameserver = files.NAMESERVER[self.how],
    hostname = (record.container_id or ""):sub(1, 12),
    egress = self.egress, owners = self.owners, refused = self.refused, trouble = self.trouble,
    address = function(name, done) address_of(self, name, done) end,
  }
  return true
end

local function begin(self)
  open_diag(self)
  self.owners.diag = self.diag
  self.connections = connections.new {
    egress = self.egress, owners = self.owners, resolver = resolve.new(),
    name = function(address) return self.addresses and self.addresses:name(address) end,
    refused = function(it, work, verdict)
      self.refused(it.name, work, verdict, it.port)
    end,
    ended = self.ended,
  }
  local dns_fd, err = begin_means(self)
  if not dns_fd then return nil, err end
  local ok
  ok, err = open_addresses(self)
  if not ok then
    core.net.close(dns_fd)
    return nil, err
  end
  return begin_names(self, dns_fd)
end

---@class axo.NetworkServerParts
---@field way axo.NativeWay
---@field egress axo.Egress
---@field owners axo.Owners
---@field refused fun(name: string, work: axo.NetworkWork?, verdict: axo.Verdict, port: integer?)
---@field ended fun(it: axo.Connection)
---@field trouble fun(problem: string) warns, once of each

--- Serves a session's network, in a coroutine.
---@param parts axo.NetworkServerParts
---@return axo.NetworkServer? server, axo.Error?
function serve.begin(parts)
  local self = setmetatable(parts, Server)
  self.listeners, self.served, self.beginning, self.is_local = {}, {}, {}, false
  self.inodes, self.count = {}, 0
  local ok, err = begin(self)
  if ok then return self end
  self:close()
  return nil, err
end

--- Ends it: every socket of the container's network is let go of, which would keep that alive.
function Server:close()
  self.is_closed = true
  if self.dns then self.dns:close() end
  if self.connections then self.connections:close() end
  for _, listener in ipairs(self.listeners) do listener:close() end
  self.listeners = {}
  if self.diag then self.diag:close() end
  self.owners.diag, self.diag = nil, nil
  if self.addresses then self.addresses:close() end
end

return serve
