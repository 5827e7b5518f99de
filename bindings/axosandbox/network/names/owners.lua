--- Which command, task or terminal a socket in the container belongs to. Asked only for what is
--- refused, where policy wants to know, and for the audit log; a bounded number at a time.
local await = require "axosandbox.base.await"

local owners = {}

local MOST_AT_ONCE = 128
-- Seconds; the guest reads a few directories, and what is refused waits for it.
local DEADLINE = 10

---@class axo.Owners
---@field diag axo.core.Diag? of the container's network, while this host serves it
---@field ask_others (fun(inode: integer, done: fun(work: axo.NetworkWork?)))?
local Owners = {}
Owners.__index = Owners

---@param way axo.NativeWay
---@return axo.Owners
function owners.new(way)
  return setmetatable({ way = way, commands = {}, at_once = 0 }, Owners)
end

--- A command has begun.
---@param id integer of process:work_id()
---@param argv string[]
function Owners:began(id, argv) self.commands[id] = argv end

---@param id integer
function Owners:ended(id) self.commands[id] = nil end

--- The key of a command.
---@param id integer
---@return string
function owners.key(id) return ("exec %d"):format(id) end

local function work_of(self, owner)
  if owner and owner.name then
    local work = self.way.works[owner.name]
    return {
      key = owner.name, name = owner.name, argv = work and work.argv,
      kind = work and work.kind or owner.name:find "^p" and "terminal" or "task",
    }
  end
  local argv = owner and owner.id and self.commands[owner.id]
  return argv and { key = owners.key(owner.id), kind = "exec", argv = argv } or nil
end

-- What another host is told of a work: enough to know it by.
local MOST_WORDS, MOST_BYTES = 64, 1024

--- A work as it is told to another host.
---@param work axo.NetworkWork
---@return table
function owners.told(work)
  local argv = {}
  for i = 1, math.min(#(work.argv or {}), MOST_WORDS) do
    argv[i] = work.argv[i]:sub(1, MOST_BYTES)
  end
  return { key = work.key, kind = work.kind, argv = argv[1] and argv or nil }
end

--- A work that another host told of; its key is another one's than any of ours.
---@param told any
---@param client any the host, of `turn`
---@return axo.NetworkWork? work
function owners.read(told, client)
  if type(told) ~= "table" or type(told.key) ~= "string" then return nil end
  local argv = {}
  for i, word in ipairs(type(told.argv) == "table" and told.argv or {}) do
    argv[i] = tostring(word)
  end
  return {
    key = ("%s %s"):format(client, told.key), kind = "exec", argv = argv[1] and argv or nil,
    client = client, client_key = told.key,
  }
end

local function inode_of(self, protocol, own, peer)
  if not self.diag or self.at_once >= MOST_AT_ONCE then return nil end
  local found = self.diag:find(protocol, own, peer)
  return found and found.inode ~= 0 and found.inode or nil
end

--- Finds a command of this host, or a task or terminal, by its socket.
---@param inode integer
---@param done fun(work: axo.NetworkWork?)
---@return true? begun nil: `done` is not called
function Owners:of_inode(inode, done)
  return self.way.link:owner(inode, function(err, owner)
    done(not err and work_of(self, owner) or nil)
  end)
end

--- Finds the work whose socket it is.
---@param protocol "tcp"|"udp"
---@param own { [1]: string, [2]: integer } its own end, as the container sees it
---@param peer { [1]: string, [2]: integer }
---@param done fun(work: axo.NetworkWork?) once; now where nothing can be found
function Owners:find(protocol, own, peer, done)
  local inode = inode_of(self, protocol, own, peer)
  if not inode then return done(nil) end
  local is_over, forget = false, nil
  local function finish(work)
    if is_over then return end
    is_over = true
    self.at_once = self.at_once - 1
    if forget then forget() end
    done(work)
  end
  self.at_once = self.at_once + 1
  forget = await.after(DEADLINE, function() finish(nil) end)
  local begun = self:of_inode(inode, function(work)
    if work or not self.ask_others then return finish(work) end
    self.ask_others(inode, finish)
  end)
  if not begun then finish(nil) end
end

return owners
