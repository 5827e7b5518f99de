--- What listens in a container, as its kernel says it; and who wants to hear of that.
local uv = require "luv"
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"

local listening = {}

-- Listeners that are told, and whose owner is looked for, at a look: more is no use to anybody.
local MOST, MOST_OWNERS = 1024, 64
-- While somebody waits: milliseconds between looks, and the least that lies between two after
-- something ended, however much a container opens and closes.
local INTERVAL, PAUSE = 500, 0.05

---@class axo.Listening
---@field port integer
---@field address string in the container: "127.0.0.1", "0.0.0.0", "::1", "::"
---@field task string? the task or terminal that listens, where it is known

-- ---- one look --------------------------------------------------------------------------------

local function unable(way, op)
  if not way.is_open then return way:stopped_error(op) end
  if way.kind == "native" then return end
  return errors.new {
    code = "UNSUPPORTED", op = op,
    message = "the sockets of this container cannot be seen: its session is on the portable path",
    hint = hints.TABLE.listeners.lua,
  }
end

-- A socket that tells of the container's others; for `done(err, diag)`.
local function new_diag(way, done)
  return way:socket("diag", nil, function(err, fd)
    if err then return done(err) end
    local diag, problem = core.net.diag(fd)
    if not diag then core.net.close(fd) end
    done(problem, diag)
  end)
end

-- One is kept for questions; what went wrong with it is not asked again.
local function ask(way, done)
  if way.diag then
    local list = way.diag:listening()
    if list then return await.defer(function() done(nil, list) end) or true end
    way.diag:close()
    way.diag = nil
  end
  return new_diag(way, function(err, diag)
    if err then return done(err) end
    local list, problem = diag:listening()
    if not list then
      diag:close()
      return done(problem)
    end
    if way.is_open then way.diag = diag else diag:close() end
    done(nil, list)
  end)
end

local function key_of(it) return it.address .. " " .. it.port end

local function by_port(a, b)
  if a.port ~= b.port then return a.port < b.port end
  return a.address < b.address
end

-- Sockets of this host's in the container's network: what serves its names.
local function is_own(way, socket)
  local network = way.network
  return network ~= nil and network.owns ~= nil and network:owns(socket.inode)
end

-- Several processes may listen at one address.
local function distinct(way, sockets)
  local list, seen = {}, {}
  for _, socket in ipairs(sockets) do
    local key = key_of(socket)
    if not seen[key] and not is_own(way, socket) and #list < MOST then
      seen[key] = true
      list[#list + 1] = { port = socket.port, address = socket.address, inode = socket.inode }
    end
  end
  table.sort(list, by_port)
  return list
end

-- The guest is asked for those whose owner is not known yet, one after the other.
local function name_owners(way, list, known, done)
  local at, asked = 0, 0
  local function step()
    at = at + 1
    local it = list[at]
    if not it then return done() end
    local before = known[it.inode]
    if before or asked >= MOST_OWNERS then
      it.task = before and before.task
      return step()
    end
    asked = asked + 1
    local ok = way.link:owner(it.inode, function(_, owner)
      it.task = owner and owner.name
      step()
    end)
    if not ok then done() end
  end
  step()
end

-- `known`: what an earlier look found, by inode.
local function look(way, known, done)
  return ask(way, function(err, sockets)
    if err then return done(err) end
    local list = distinct(way, sockets)
    name_owners(way, list, known, function() done(nil, list) end)
  end)
end

local function told(it, is_open)
  return { port = it.port, address = it.address, task = it.task, is_open = is_open }
end

--- What listens on TCP in a way's container, by ports; for `done(err, list)`.
---@param way axo.Way
---@param done fun(err: axo.Error?, list: axo.Listening[]?)
---@return any handle, axo.Error? code "UNSUPPORTED", "STOPPED", "GONE", "TIMEOUT"
function listening.list(way, done)
  local err = unable(way, "listening")
  if err then return nil, err end
  return look(way, {}, function(problem, list)
    for i, it in ipairs(list or {}) do
      list[i] = { port = it.port, address = it.address, task = it.task }
    end
    done(problem, list)
  end)
end

-- ---- those who wait ------------------------------------------------------------------------

---@class axo.ListeningWatch
---@field private fns table<axo.ListeningSubscription, fun(event: table)>
---@field private open table<string, table> what listens, by address and port
local Watch = {}
Watch.__index = Watch

local function tell(self, event)
  local fns = {}
  for subscription, fn in pairs(self.fns) do fns[subscription] = fn end
  for subscription, fn in pairs(fns) do
    if subscription.is_greeted then await.protect(fn, event) end
  end
end

local function compare(self, list)
  local before, now = self.open, {}
  self.open, self.inodes = now, {}
  for _, it in ipairs(list) do now[key_of(it)], self.inodes[it.inode] = it, it end
  for key, it in pairs(before) do
    if not now[key] then tell(self, told(it, false)) end
  end
  for _, it in ipairs(list) do
    if not before[key_of(it)] then tell(self, told(it, true)) end
  end
end

local function look_again(self)
  if self.is_looking or self.is_over then
    self.is_due = self.is_looking
    return
  end
  self.is_looking = true
  local function finished(_, list)
    self.is_looking = false
    if self.is_over then return end
    if list then compare(self, list) end
    if self.is_due then
      self.is_due = false
      await.defer(function() look_again(self) end)
    end
  end
  if not look(self.way, self.inodes, finished) then self.is_looking = false end
end

-- Hears of one end, and then of none for a while: who ends sockets all the time costs no more.
local function await_end(self)
  new_diag(self.way, function(_, diag)
    if not diag then return end
    if self.is_over then return diag:close() end
    self.ends = diag
    diag:on_destroy(function()
      if self.ends ~= diag then return end
      diag:close()
      self.ends = nil
      self.cancel = await.after(PAUSE, function()
        if self.is_over then return end
        await_end(self)
        look_again(self)
      end)
    end, "tcp")
  end)
end

local function finish(self)
  if self.is_over then return end
  self.is_over = true
  self.timer:stop()
  await.close(self.timer)
  if self.ends then self.ends:close() end
  if self.cancel then self.cancel() end
  self.forget()
  self.way.listen_watch = nil
end

local function new_watch(way)
  local self = setmetatable({
    way = way, fns = {}, open = {}, inodes = {}, timer = uv.new_timer(), is_over = false,
  }, Watch)
  way.listen_watch = self
  self.forget = way.down:on(function() finish(self) end)
  self.timer:start(INTERVAL, INTERVAL, function() look_again(self) end)
  self.timer:unref()
  await_end(self)
  return self
end

--- What `sb:on_listen` gives.
---@class axo.ListeningSubscription
---@field private watch axo.ListeningWatch
local Subscription = {}
Subscription.__index = Subscription

--- Ends it; the function is not called any more. Idempotent, and allowed inside it.
---
---     subscription:close()
function Subscription:close()
  if self.is_closed then return end
  self.is_closed, self.is_greeted = true, false
  self.watch.fns[self] = nil
  if not next(self.watch.fns) then finish(self.watch) end
end

Subscription.__close = Subscription.close

-- What listens already is new to who comes later.
local function greet(self, fn)
  await.defer(function()
    local list = {}
    self.is_greeted = not self.is_closed
    for _, it in pairs(self.watch.open) do list[#list + 1] = it end
    table.sort(list, by_port)
    for _, it in ipairs(list) do
      if not self.is_closed then await.protect(fn, told(it, true)) end
    end
  end)
end

--- Calls `fn` for each socket that listens in the way's container, and when it does not any more.
---@param way axo.Way
---@param fn fun(event: axo.ListeningEvent)
---@return axo.ListeningSubscription? subscription, axo.Error? code "UNSUPPORTED", "STOPPED", "GONE"
function listening.on_listen(way, fn)
  local err = unable(way, "on_listen") or way.is_down and way:gone()
  if err then return nil, err end
  local watch = way.listen_watch or new_watch(way)
  local self = setmetatable({ watch = watch, is_closed = false, is_greeted = false }, Subscription)
  watch.fns[self] = fn
  greet(self, fn)
  look_again(watch)
  return self
end

--- Something has ended in the container: whoever waits is told at once what it left listening.
---@param way axo.Way
function listening.poke(way)
  if way.listen_watch then look_again(way.listen_watch) end
end

--- Ends what a way has of this.
---@param way axo.Way
function listening.close(way)
  if way.listen_watch then finish(way.listen_watch) end
  if way.diag then way.diag:close() end
  way.diag = nil
end

---@class axo.ListeningEvent: axo.Listening
---@field is_open boolean false: it does not listen any more

return listening
