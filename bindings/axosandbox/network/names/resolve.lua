--- Names to addresses, by this machine's resolver: only those that were allowed, a few at a time,
--- each with a deadline. Which of the addresses may be dialled is decided on every use, so that a
--- name that leads elsewhere a moment later leads nowhere.
local uv = require "luv"
local address = require "axosandbox.base.text.address"
local await = require "axosandbox.base.await"
local blocks = require "axosandbox.network.names.blocks"

local resolve = {}

-- libuv gives half of its four threads to look-ups.
local AT_ONCE = 2
local MOST_WAITING = 256
-- Seconds: of one look-up, and that what it found is used again.
local DEADLINE, KEPT = 10, 5
local MOST_KEPT = 1024
-- Of one name.
local MOST_ADDRESSES = 8
-- Bytes of the file of hosts that are read.
local MAX_HOSTS = 1024 * 1024

---@class axo.Resolver
---@field private running integer
local Resolver = {}
Resolver.__index = Resolver

--- A resolver, for one session.
---@param look_up (fun(name: string, done: fun(err: string?, found: { addr: string }[]?)))? by default this machine's
---@return axo.Resolver
function resolve.new(look_up)
  return setmetatable({
    look_up = look_up or resolve.look_up, running = 0, queue = {}, asked = {}, kept = {}, count = 0,
  }, Resolver)
end

local HINTS = { socktype = "stream" }

local function ask(name, done)
  local request, problem = uv.getaddrinfo(name, nil, HINTS, done)
  if not request then await.defer(function() done(problem) end) end
end

-- Whether a line of the file of hosts has a name.
local function has(line, name)
  local words = line:match "^[^#]*"
  -- linear: words of one line.
  for word in words:gmatch "%S+" do
    if word:lower() == name then return true end
  end
  return false
end

--- Whether this machine's own file of hosts has a name.
---@param name string in lower case
---@param path string? "/etc/hosts" by default
---@return boolean
function resolve.is_in_hosts(name, path)
  local file = io.open(path or "/etc/hosts", "r")
  local text = file and file:read(MAX_HOSTS) or ""
  if file then file:close() end
  -- Some have a hundred thousand lines.
  if not text:lower():find(name, 1, true) then return false end
  -- linear: a line each.
  for line in text:gmatch "[^\n]+" do
    if has(line, name) then return true end
  end
  return false
end

--- This machine's resolver. A name with dots is a full one, which nothing is put behind: a resolver
--- that tries what its `search` has would be told of a name that nobody listed. Only this machine's
--- own file of hosts has names without the last dot.
---@param name string
---@param done fun(err: string?, found: { addr: string }[]?)
function resolve.look_up(name, done)
  if not name:find(".", 1, true) or resolve.is_in_hosts(name) then return ask(name, done) end
  ask(name .. ".", done)
end

-- ---- asking --------------------------------------------------------------------------------

local next_one

local function texts(found)
  local list, seen = {}, {}
  for _, it in ipairs(found or {}) do
    local bytes = it.addr and address.parse(it.addr)
    if bytes and not seen[bytes] and #list < MOST_ADDRESSES then list[#list + 1] = bytes end
    seen[bytes or ""] = true
  end
  return list
end

local function answer(self, name, err, list)
  local waiting = self.asked[name]
  self.asked[name] = nil
  for _, fn in ipairs(waiting or {}) do await.protect(fn, err, list) end
end

local function keep(self, name, list)
  if self.count >= MOST_KEPT then self.kept, self.count = {}, 0 end
  if not self.kept[name] then self.count = self.count + 1 end
  self.kept[name] = { list = list, until_ = await.now() + KEPT }
end

-- A look-up that takes too long is answered, and keeps its place until it ends: nothing can end it.
local function begin(self, name)
  self.running = self.running + 1
  local cancel = await.after(DEADLINE, function()
    answer(self, name, ("it could not be resolved in %d s"):format(DEADLINE))
  end)
  self.look_up(name, function(err, found)
    cancel()
    self.running = self.running - 1
    local list = texts(found)
    if err or not list[1] then
      answer(self, name, "it could not be resolved: " .. tostring(err or "it has no address"))
    else
      keep(self, name, list)
      answer(self, name, nil, list)
    end
    next_one(self)
  end)
end

function next_one(self)
  while self.running < AT_ONCE and self.queue[1] do
    begin(self, table.remove(self.queue, 1))
  end
end

--- The addresses of a name, whatever they are.
---@param name string
---@param done fun(err: string?, list: string[]?) on a later turn of the loop
function Resolver:addresses(name, done)
  local kept = self.kept[name]
  if kept and kept.until_ > await.now() then
    return await.defer(function() done(nil, kept.list) end)
  end
  if self.asked[name] then
    table.insert(self.asked[name], done)
    return
  end
  if #self.queue >= MOST_WAITING then
    return await.defer(function() done "too many names are being resolved" end)
  end
  self.asked[name] = { done }
  self.queue[#self.queue + 1] = name
  next_one(self)
end

-- ---- what may be dialled -----------------------------------------------------------------------

--- Which of the addresses may be dialled.
---@param list string[] of address.parse
---@param port integer
---@param allowed axo.Allowed
---@return string[] texts
---@return string? problem why there is none
function resolve.dialled(list, port, allowed)
  local good, refused = {}, nil
  for _, bytes in ipairs(list) do
    local word, block = blocks.kind(bytes)
    if not word or allowed:address(bytes, port, block) then
      good[#good + 1] = address.format(bytes)
    else
      refused = refused or ("it leads to %s, which is %s"):format(address.format(bytes), word)
    end
  end
  return good, not good[1] and refused or nil
end

return resolve
