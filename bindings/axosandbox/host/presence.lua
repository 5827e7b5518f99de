--- Lets one process learn of another's end at once and without asking again and again: the one
--- listens on a socket, the other stays connected to it, and the kernel ends the connection.
local uv = require "luv"
local await = require "axosandbox.base.await"

local presence = {}

-- A socket's path fits into 108 bytes, and libuv cuts a longer one in silence.
local PATH_MAX = 100

---@class axo.Presence
local Presence = {}
Presence.__index = Presence

-- Handles must not keep the loop alive: being watched is nothing to wait for.
local function accept(server, visitors)
  local visitor = uv.new_pipe(false)
  if not server:accept(visitor) then return await.close(visitor) end
  visitors[visitor] = true
  visitor:unref()
  visitor:read_start(function(err, bytes)
    if err or not bytes then
      visitors[visitor] = nil
      await.close(visitor)
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
    await.close(server)
    return nil
  end
  server:unref()
  return setmetatable({ server = server, visitors = visitors, path = path }, Presence)
end

--- Ends the announcement, as the process's death would.
function Presence:close()
  if self.is_closed then return end
  self.is_closed = true
  await.close(self.server)
  for visitor in pairs(self.visitors) do await.close(visitor) end
  self.visitors = {}
  uv.fs_unlink(self.path)
end

--- Calls `fn` once when the process that is announced at `path` has ended or taken the
--- announcement back.
---@param path string
---@param fn fun()
---@return fun() forget
function presence.watch(path, fn)
  if #path > PATH_MAX then return function() end end
  local pipe = uv.new_pipe(false)
  local is_over = false
  local function close()
    if is_over then return false end
    is_over = true
    await.close(pipe)
    return true
  end
  local function ended()
    if close() then await.protect(fn) end
  end
  pipe:connect(path, function(err)
    if is_over then return end
    if err then
      -- Nobody listens. Any other failure is ours, and says nothing of the other process.
      if err:find "^ECONNREFUSED" or err:find "^ENOENT" then return ended() end
      return close()
    end
    pipe:read_start(function(problem, bytes)
      if problem or not bytes then ended() end
    end)
  end)
  return close
end

return presence
