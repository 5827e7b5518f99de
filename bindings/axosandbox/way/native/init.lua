--- The native way: the container's first process is our guest, which starts commands for us and
--- hands their descriptors over. An exec costs what a fork costs; tasks and terminals outlive
--- their host.
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local exec = require "axosandbox.way.native.exec"
local faults = require "axosandbox.way.native.faults"
local files = require "axosandbox.way.native.files"
local gate = require "axosandbox.base.gate"
local guest = require "axosandbox.way.native.guest"
local host = require "axosandbox.host"
local log = require "axosandbox.base.log"
local portable = require "axosandbox.way.portable"
local uv = require "luv"
local way = require "axosandbox.way"
local work = require "axosandbox.way.native.work"

local native = {}

-- The guest connects within milliseconds; a container that is short of processor time may take
-- longer. Afterwards the portable way serves. In seconds.
native.CONNECT = 5
-- What a removed container's link may take to break.
local BREAK = 3

---@class axo.NativeWay: axo.Way
---@field link any core.link
---@field podman axo.PortableWay for the users whom only podman can become, and the tasks of hosts that have no guest
---@field up axo.Gate open once the guest has connected, or will not any more
---@field down axo.Gate open once it is lost
local Native = way.class "native"

for name, method in pairs(files) do Native[name] = method end

local function gone(self, why)
  self.is_down = true
  self.why = why
  self.down:open()
  self.up:open() -- it will not come up any more
end

local function listen(self)
  return core.link {
    dir = guest.socket_dir(self.record.link_dir, host.identity(self.record.pid)),
    guest_pid = self.record.pid,
    on_up = function() self.up:open() end,
    on_down = function(why) gone(self, why) end,
    on_new = function(name) work.adopt(self, name) end,
  }
end

-- Another host may hide the directory of the sockets just now.
local function open_link(self)
  local link, err = listen(self)
  if not link and err.code == "ENOENT" then link, err = listen(self) end
  self.link = link
  return link, err
end

local function hide_sockets(self)
  local hidden, err = guest.hide(self.record.link_dir, host.identity(self.record.pid))
  if not hidden then
    log.emit("warn", ("processes in %s can reach the sockets of its hosts: %s"):format(
      self.container, tostring(err)))
  end
end

-- A container that ended with its guest says why.
local function ending(self)
  if uv.fs_stat("/proc/" .. self.record.pid) then return nil end
  local container = self.client:inspect(self.container, "connect")
  return guest.ending(container and container.State and container.State.ExitCode)
end

local function no_guest(self)
  return nil, self.why or ending(self) or errors.new {
    code = "NO_GUEST", op = "connect",
    message = ("the guest of %s did not connect"):format(self.container),
  }
end

--- Connects to the guest of a running container, in a coroutine; knows the tasks and terminals
--- that run there already.
---@param record axo.Record with `link_dir` and `pid`
---@return axo.NativeWay? way, axo.Error?
function native.connect(record)
  local self = way.new(Native, record)
  self.podman = portable.new(record, self.memory)
  self.up, self.down, self.is_down = gate.new(), gate.new(), false
  local link, err = open_link(self)
  if not link then return nil, err end
  if not self.up:wait(native.CONNECT) or self.is_down then
    link:close()
    return no_guest(self)
  end
  hide_sockets(self)
  local ok
  ok, err = work.adopt_all(self)
  if ok then return self end
  link:close()
  return nil, err
end

function Native:confine(base)
  self.base, self.podman.base = base, base
  self.link:set_root(base)
end

Native.exec = exec.start

--- A socket of the container's network, as `link:socket` has it.
---@param domain "inet"|"inet6"|"diag"
---@param kind "stream"|"dgram"|nil
---@param done fun(err: axo.Error?, fd: integer?)
---@return true? asked, axo.Error?
function Native:socket(domain, kind, done)
  if not self.is_open then return nil, self:stopped_error "socket" end
  local ok, err = self.link:socket(domain, kind, function(problem, fd)
    done(problem and faults.of(problem, self, "socket"), fd)
  end)
  return ok, err and faults.of(err, self, "socket")
end

function Native:begin(kind, spec, done)
  local err, is_for_podman = exec.check(self, kind, spec)
  if err then return nil, err end
  if is_for_podman then return self.podman:begin(kind, spec, done) end
  return work.start(self, kind, spec, done)
end

function Native:others(kind) return self.podman:list(kind) end
function Native:other(kind, id) return self.podman:find(kind, id) end

--- Ends everything that runs in the session but the guest, without a new process.
---@param done fun(err: axo.Error?)
---@return any handle, axo.Error?
function Native:kill_all(done)
  local err = exec.refusal(self, "kill_all")
  if err then return nil, err end
  local ok
  ok, err = self.link:kill_all(function(problem)
    done(problem and faults.of(problem, self, "kill_all"))
  end)
  return ok, err and faults.of(err, self, "kill_all")
end

-- A link that is closed tells all that is in flight, and foreground commands die with it.
local function break_link(self)
  if not self.is_down then
    self.link:close()
    gone(self)
  end
end

--- Lets go of the container, after removing it when `remove` is given. Tasks and terminals of
--- one that stays go on.
function Native:close(remove, done)
  if self.is_open then
    self.is_open = false
    for _, one in pairs(self.works) do one.stopped = remove ~= nil end
  end
  self.podman:close(remove, function(err)
    if err then return done(err) end
    if not remove then
      break_link(self)
      return done()
    end
    self.down:within(BREAK, function()
      break_link(self)
      done()
    end)
  end)
end

return native
