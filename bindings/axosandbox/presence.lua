--- Lets one process learn of another's end at once and without asking again and again: the one
--- listens on a socket, the other stays connected to it, and the kernel ends the connection.
local uv = require "luv"
local await = require "axosandbox.await"

local presence = {}

-- A socket's path fits into 108 bytes, and libuv cuts a longer one in silence.
local PATH_MAX = 100

---@class axo.Presence
local Presence = {}
Presence.__index = Presence

-- Handles must not keep the loop alive: being watched is nothing to wait for.
local function accept(server, visitors)
  local visitor = uv.new_pipe(false)
  if not server:accept(visitor) then return visitor:close() end
  visitors[visitor] = true
  visitor:unref()
  visitor:read_start(function(err, bytes)
    if err or not bytes then
      visitors[visitor] = nil
      if not visitor:is_closing() then visitor:close() end
    end
  end)
end

--- Announces this process at `path`. Nil where that cannot be done.
---@param path string
---@return axo.Presence?
function presence.announce(path)
  if #path > PATH_MAX then return nil end
  local server = uv.new_pipe(false)
  local visitors = {}
  if not server:bind(path) or not server:listen(16, function() accept(server, visitors) end) then
    server:close()
    return nil
  end
  server:unref()
  return setmetatable({ server = server, visitors = visitors, path = path }, Presence)
end

--- Ends the announcement, as the process's death would.
function Presence:close()
  if self.server:is_closing() then return end
  self.server:close()
  for visitor in pairs(self.visitors) do visitor:close() end
  self.visitors = {}
  uv.fs_unlink(self.path)
end

--- Calls `fn` once when the process that is announced at `path` has ended or taken the
--- announcement back.
---@param path string
---@param fn fun()
---@return fun() forget
function presence.watch(path, fn)
  local pipe = uv.new_pipe(false)
  local function close()
    if not pipe:is_closing() then pipe:close() end
  end
  local function ended()
    if pipe:is_closing() then return end
    close()
    await.protect(fn)
  end
  if #path > PATH_MAX then
    close()
    return function() end
  end
  pipe:connect(path, function(err)
    if err then return ended() end
    if not pipe:is_closing() then
      pipe:read_start(function(problem, bytes)
        if problem or not bytes then ended() end
      end)
    end
  end)
  return close
end

return presence
