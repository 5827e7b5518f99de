--- What was refused to whom: kept for each command, task or terminal until its end, and worded for
--- the person or the agent whose command it was.
local address = require "axosandbox.base.text.address"

local denied = {}

--- Refusals that are remembered of one piece of work, and tasks and terminals that have some.
denied.MOST, denied.MOST_WORKS = 64, 256

---@class axo.Denial
---@field name string a name, or an address that was dialled as such
---@field port integer? nil: it was not even resolved
---@field by string the policy file and the line that refused it, or what else did
---@field reason string

---@class axo.NetworkWork a command, a task or a terminal
---@field key string
---@field kind "exec"|"task"|"terminal"
---@field name string? of a task or a terminal
---@field argv string[]?
---@field client any? the host whose command it is, where that is another one
---@field client_key string? what that one calls it

---@class axo.Denied
local Denied = {}
Denied.__index = Denied

---@return axo.Denied
function denied.new() return setmetatable({ lists = {}, order = {} }, Denied) end

local function list_of(self, key)
  local list = self.lists[key]
  if list then return list end
  list = { seen = {} }
  self.lists[key] = list
  self.order[#self.order + 1] = key
  if #self.order > denied.MOST_WORKS then self.lists[table.remove(self.order, 1)] = nil end
  return list
end

--- Notes a refusal, once for each name and port of a work.
---@param key string of the work
---@param entry axo.Denial
---@return boolean is_new
function Denied:add(key, entry)
  local list = list_of(self, key)
  local what = ("%s\0%s"):format(entry.name, entry.port or "")
  if list.seen[what] or #list >= denied.MOST then return false end
  list.seen[what] = true
  list[#list + 1] = entry
  return true
end

--- What was refused to a work.
---@param key string
---@return axo.Denial[] # a copy; empty when nothing was
function Denied:of(key)
  local copy = {}
  for i, it in ipairs(self.lists[key] or {}) do
    copy[i] = { name = it.name, port = it.port, by = it.by, reason = it.reason }
  end
  return copy
end

--- The same, of a work that has ended: it is forgotten.
---@param key string
---@return axo.Denial[]
function Denied:take(key)
  local list = self:of(key)
  self.lists[key] = nil
  for i, one in ipairs(self.order) do
    if one == key then
      table.remove(self.order, i)
      break
    end
  end
  return list
end

--- A refusal in words, for whoever reads the command's output, an agent perhaps: what was refused
--- and by whom, that trying again is of no use, and what a person can do.
---
---     local r = assert(sb:exec { "true" })
---     for _, it in ipairs(r.denied or {}) do print(axo.network.words(it)) end
---@param entry axo.Denial
---@return string
function denied.words(entry)
  local target = address.with_port(entry.name, entry.port)
  return ("the connection to %s was refused by this sandbox's network policy (%s): %s. Trying "
    .. "again, or another way to it, leads to the same. Whoever runs the sandbox can allow it: "
    .. "--allow %s, network = { allow = { \"%s\" } }, or sb:allow(\"%s\")"):format(
    target, entry.by, entry.reason, target, target, target)
end

return denied
