--- Tasks that another process of this user runs in the same session, seen through their files.
--- They can be read, followed and stopped from here; who writes them is the other process.
local uv = require "luv"
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local gate = require "axosandbox.base.gate"
local host = require "axosandbox.host"
local kill = require "axosandbox.way.portable.kill"
local presence = require "axosandbox.host.presence"
local stdin = require "axosandbox.way.task_stdin"
local store = require "axosandbox.way.portable.store"
local work = require "axosandbox.way.work"

local foreign = {}

---@class axo.ForeignTask: axo.Work
---@field way axo.PortableWay
---@field dir string
---@field last table what its description said
local Foreign = work.class()
local inherited = getmetatable(Foreign).__index

local GONE = { state = "failed", reason = "its session has ended", fault = "GONE" }
local ORPHANED = {
  state = "failed", reason = "the process that ran it has ended", fault = "GONE",
}

local function is_dead(description)
  return host.is_alive(description.owner) == false
end

-- Reads the description again: what a running task has come to. While its session is being
-- removed, that is still to be seen.
function Foreign:refresh()
  if self.final or self.way.is_ending then return end
  local description = store.load(self.dir, self.id)
  if not description then
    self.state, self.final = GONE, true
  elseif description.status.state ~= "running" then
    self.state, self.final = description.status, true
  elseif self.is_abandoned or is_dead(description) then
    self.state, self.final = ORPHANED, true
  end
end

function Foreign:status()
  self:refresh()
  return inherited.status(self)
end

-- Something changed in the files, or its process ended.
function Foreign:look()
  self:announce()
  self:refresh()
  if self.final then self:end_watch() end
end

function Foreign:end_watch()
  self:unwatch()
  self.ended:open()
end

-- Of a session that is closed here nothing more is waited for.
local function close(self, is_removed)
  if not self.final then
    self.state = is_removed and work.stopped_state() or work.lost_state(self.way:closed_error())
    self.final = true
  end
  self:end_watch()
end

function Foreign:watch()
  if self.watcher or self.ended.is_open then return end
  if not self.way.is_open and not self.way.is_ending then
    return await.defer(function() close(self) end)
  end
  self.way.watched[self] = true
  self.watcher = uv.new_fs_event()
  local started = self.watcher:start(self.dir, {}, function(_, name)
    if name and name:sub(1, #self.id + 1) == self.id .. "." then
      await.protect(self.look, self)
    end
  end)
  if self.last.beacon then
    self.forget_owner = presence.watch(self.dir .. "/" .. self.last.beacon, function()
      self.is_abandoned = true
      self:look()
    end)
  end
  -- What happened before the watch began, or a directory that is gone.
  if not started or self:status().state ~= "running" then
    await.defer(function() self:look() end)
  end
end

function Foreign:unwatch()
  self.way.watched[self] = nil
  if self.watcher then
    self.watcher:stop()
    await.close(self.watcher)
  end
  if self.forget_owner then self.forget_owner() end
  self.watcher, self.forget_owner = nil, nil
end

-- The watch keeps the loop alive, so it ends with the last one who waits for something.
function Foreign:hold()
  if self.waiters > 0 then self:watch() else self:unwatch() end
end

function Foreign:send_signal(name, tree, done)
  return kill.pass(self.way, {
    mark = self.last.mark, user = self.last.user, signal = name, mode = tree and "tree" or "main",
  }, function(err, report)
    done(err, report and report.found)
  end)
end

-- Its own process then notes the end; where that is gone, nobody does.
function Foreign:end_tree(grace, done)
  if self:status().state ~= "running" and self.state ~= ORPHANED then
    await.defer(function() done() end)
    return true
  end
  local client = gate.new()
  local forget = self.state ~= ORPHANED and self:on_end(function() client:open() end)
  local target = {
    way = self.way, mark = self.last.mark, user = self.last.user, grace = grace or kill.GRACE,
    client = client, cut = function() end, is_clientless = not forget,
  }
  await.spawn(function() return kill.tree(target) end, function(err)
    if forget then forget() end
    done(err)
  end)
  return true
end

local function no_stdin(self)
  return nil, stdin.refusal(self, "write")
end
Foreign.write, Foreign.close_stdin = no_stdin, no_stdin

--- The task of that id, when another process runs it.
---@param way axo.PortableWay
---@param id string
---@return axo.ForeignTask?
function foreign.find(way, id)
  local dir = way.record.runtime_dir
  if not dir or not store.is_id(id) then return nil end
  local description = store.load(dir, id)
  if not description or description.instance ~= way.record.instance then return nil end
  local ring = core.ring_open(store.ring_path(dir, id))
  if not ring then return nil end
  local self = work.new(Foreign, way, {
    kind = "task", id = id, argv = description.argv, started = description.started, ring = ring,
    dir = dir, last = description,
  })
  self:refresh()
  return self
end

--- Ends the waiting of everyone who waits for one of them.
---@param way axo.PortableWay
---@param is_removed boolean? its container was removed
function foreign.close(way, is_removed)
  local watched = {}
  for one in pairs(way.watched) do watched[#watched + 1] = one end
  for _, one in ipairs(watched) do close(one, is_removed) end
end

--- All of them.
---@param way axo.PortableWay
---@return axo.ForeignTask[]
function foreign.list(way)
  local found = {}
  local dir = way.record.runtime_dir
  for _, id in ipairs(dir and store.ids(dir) or {}) do
    if not way.works[id] then found[#found + 1] = foreign.find(way, id) end
  end
  return found
end

return foreign
