--- The native path: the container's first process is our guest, which starts commands for us and
--- hands their descriptors over. An exec costs what a fork costs; tasks and terminals outlive
--- their host.
---
--- It has the face of portable.lua, and takes from there what no guest is needed for.
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
local source = require "axosandbox.way.native.source"
local uv = require "luv"

local native = {}

-- The guest connects within milliseconds; a container that is short of processor time may take
-- longer. Afterwards the portable path serves.
local CONNECT = 5
-- What a removed container's link may take to break.
local BREAK = 3

---@class axo.NativePath: axo.Path
---@field link any core.link
---@field sources table<string, axo.NativeSource> tasks and terminals by id
local Path = setmetatable({ kind = "native" }, { __index = portable.Path })
Path.__index = Path

for name, method in pairs(files) do Path[name] = method end

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
    on_new = function(name) source.adopt(self, name) end,
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
---@return axo.NativePath? path, axo.Error?
function native.connect(record)
  local self = setmetatable(portable.new(record), Path)
  self.sources, self.up, self.down = {}, gate.new(), gate.new()
  self.is_down, self.is_closing = false, false
  local link, err = open_link(self)
  if not link then return nil, err end
  if not self.up:wait(CONNECT) or self.is_down then
    link:close()
    return no_guest(self)
  end
  hide_sockets(self)
  local ok
  ok, err = source.adopt_all(self)
  if ok then return self end
  link:close()
  return nil, err
end

local function check_open(self, op)
  if not self.is_open then return self:stopped_error(op) end
  if self.is_down then return self:gone() end
end

-- Refuses what podman would be refused: there is one grammar of users, and a program has a name.
-- Only a guest that is root can become somebody else; podman always can.
---@return axo.Error? err, boolean? is_for_podman
local function check(self, op, spec)
  local err, user = check_open(self, op), spec.user
  if err or not user and spec.argv[1] ~= "" then return err end
  local _, problem = core.argv.exec {
    podman = self.client.program, container = self.container, command = { spec.argv[1] },
    user = user,
  }
  return problem, user and user ~= self.record.user and self.link:uid() ~= 0
end

function Path:exec(spec, done)
  local err, is_for_podman = check(self, "exec", spec)
  if err then return nil, err end
  if is_for_podman then return portable.Path.exec(self, spec, done) end
  return exec.start(self, spec, done)
end

local function starter(kind)
  return function(self, spec, done)
    local err, is_for_podman = check(self, kind, spec)
    if err then return nil, err end
    if is_for_podman then return portable.Path[kind](self, spec, done) end
    return source.start(self, kind, spec, done)
  end
end

Path.task = starter "task"
Path.terminal = starter "terminal"

local function by_age(a, b)
  if a.started ~= b.started then return a.started < b.started end
  return a.id < b.id
end

local function of_kind(self, kind)
  local found = {}
  for _, one in pairs(self.sources) do
    if one.kind == kind then found[#found + 1] = one end
  end
  for _, one in ipairs(portable.Path[kind .. "s"](self)) do found[#found + 1] = one end
  table.sort(found, by_age)
  return found
end

function Path:tasks() return of_kind(self, "task") end
function Path:terminals() return of_kind(self, "terminal") end

function Path:find(kind, id)
  local one = self.sources[id]
  if one and one.kind == kind then return one end
  return portable.Path.find(self, kind, id)
end

--- Ends everything that runs in the session but the guest, without a new process.
---@param done fun(err: axo.Error?)
---@return any handle, axo.Error?
function Path:kill_all(done)
  local err = check_open(self, "kill_all")
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
function Path:close(remove, done)
  if not self.is_closing then
    self.is_closing = true
    for _, one in pairs(self.sources) do one.stopped = remove ~= nil end
  end
  portable.Path.close(self, remove, function(err)
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
