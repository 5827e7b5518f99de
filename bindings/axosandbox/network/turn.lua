--- Which of a session's hosts serves its network: the first, while it lives. The others hold a
--- connection to it, which breaks when it ends, however it does; then one of them goes on.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local cjson = require "cjson.safe"
local files = require "axosandbox.network.names.files"

local turn = {}

-- Hosts that wait at once.
local MOST_WAITING = 64
-- Bytes of one message.
local MAX_MESSAGE = 256 * 1024
-- Between one host's end and the next one's beginning there is a moment when neither can be seen.
local TRIES, PAUSE = 50, 0.02

---@class axo.NetworkTurn
---@field private is_over boolean
local Turn = {}
Turn.__index = Turn

-- A socket's path is short, and a session's directory need not be: it is reached by a descriptor.
local function with_socket_path(self, fn)
  local dir = uv.fs_open(self.dir, "r", 0)
  if not dir then return nil, "the session's directory cannot be opened" end
  local short = ("/proc/self/fd/%d"):format(dir)
  local result, problem = fn(files.of_host(short, self.instance, "host"))
  uv.fs_close(dir)
  return result, problem
end

local function close_all(self)
  for client in pairs(self.clients or {}) do await.close(client) end
  self.clients = {}
  if self.pipe then await.close(self.pipe) end
  self.pipe = nil
end

-- Messages are lines of JSON. Hosts of one session are one user's; what cannot be read is passed over.
local function reader(self, from)
  local held = ""
  return function(bytes)
    held = held .. bytes
    while true do
      local at = held:find("\n", 1, true)
      if not at then break end
      local message = cjson.decode(held:sub(1, at - 1))
      held = held:sub(at + 1)
      if type(message) == "table" then await.protect(self.on_message, message, from) end
    end
    if #held > MAX_MESSAGE then held = "" end
  end
end

local function write(pipe, message)
  local text = cjson.encode(message)
  if text and not pipe:is_closing() then pipe:write(text .. "\n") end
end

-- ---- the one that serves ---------------------------------------------------------------------

local function on_client(self)
  local client = uv.new_pipe(false)
  if not self.pipe or not self.pipe:accept(client) or self.count >= MOST_WAITING then
    return await.close(client)
  end
  self.count = self.count + 1
  self.clients[client] = true
  client:unref()
  local read = reader(self, client)
  client:read_start(function(err, bytes)
    if not err and bytes then return read(bytes) end
    if not self.clients[client] then return end
    self.clients[client], self.count = nil, self.count - 1
    await.close(client)
  end)
end

local function listen(self)
  local path = files.of_host(self.dir, self.instance, "host")
  uv.fs_unlink(path) -- of one that was killed
  self.pipe, self.clients, self.count = uv.new_pipe(false), {}, 0
  local ok, problem = with_socket_path(self, function(at) return self.pipe:bind(at) end)
  if ok then ok, problem = self.pipe:listen(MOST_WAITING, function() on_client(self) end) end
  if ok then self.pipe:unref() end
  return ok, problem
end

-- ---- those that wait -------------------------------------------------------------------------

local begin

local function wait_for_end(self)
  self.pipe:unref()
  local read = reader(self)
  self.pipe:read_start(function(err, bytes)
    if self.is_over then return end
    if not err and bytes then return read(bytes) end
    await.close(self.pipe)
    self.pipe = nil
    await.spawn(function() return begin(self) end, function() end)
  end)
end

local function connect(self)
  local pipe = uv.new_pipe(false)
  local connected = await.call(function(done)
    local begun = with_socket_path(self, function(at)
      return pipe:connect(at, function(err) done(nil, not err) end)
    end)
    if not begun then await.defer(function() done(nil, false) end) end
    return true
  end)
  if connected and not self.is_over then
    self.pipe = pipe
    wait_for_end(self)
    return true
  end
  await.close(pipe)
  return false
end

-- Serves, or waits for who does.
function begin(self)
  for try = 1, TRIES do
    if self.is_over then return true end
    if try > 1 then await.sleep(PAUSE) end
    self.lock = core.lock(files.of_host(self.dir, self.instance, "lock"), true)
    if self.lock then
      local ok, problem = listen(self)
      if not ok then return nil, problem end
      return self.on_turn()
    end
    if connect(self) then return true end
  end
  self.on_lost "neither the one that serves the session's network nor its end could be found"
  return true
end

--- Takes the turn where nobody has it, and waits for it otherwise; in a coroutine.
---@param opts { dir: string, instance: string, on_turn: (fun(): true?, axo.Error?), on_message: fun(message: table, from: any), on_lost: fun(problem: string) } on_turn: this host serves from now on; it is called in a coroutine, before this has returned or later. on_message: another host has said something; `from` is nil where that is the one that serves
---@return axo.NetworkTurn? turn
---@return axo.Error|string|nil err
function turn.take(opts)
  local self = setmetatable(opts, Turn)
  self.is_over = false
  local ok, err = begin(self)
  if ok then return self end
  self:close()
  return nil, err
end

--- Says something to the one that serves; nothing when that is this one.
---@param message table
function Turn:say(message)
  if self.pipe and not self.lock then write(self.pipe, message) end
end

--- Says something to those that wait.
---@param message table
---@param client any? to that one alone, of on_message
---@return integer count of those that hear it
function Turn:tell(message, client)
  if not self.lock or not self.clients then return 0 end
  if client then
    if not self.clients[client] then return 0 end
    write(client, message)
    return 1
  end
  for one in pairs(self.clients) do write(one, message) end
  return self.count
end

--- Lets go; the next one serves.
function Turn:close()
  if self.is_over then return end
  self.is_over = true
  close_all(self)
  if self.lock then self.lock:close() end
  self.lock = nil
end

return turn
