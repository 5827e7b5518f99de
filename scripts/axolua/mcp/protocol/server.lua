--- The server: takes messages, finds who answers them, and keeps book of what is under way.
local async = require("axosandbox").async
local batch = require "axolua.mcp.protocol.batch"
local call = require "axolua.mcp.protocol.call"
local eras = require "axolua.mcp.protocol.eras"
local jsonrpc = require "axolua.mcp.protocol.jsonrpc"
local reply = require "axolua.mcp.reply"
local schema = require "axolua.mcp.protocol.schema"

local server = {}

--- Requests under way at once, and the bytes that they may hold.
server.MAX_CALLS = 64
server.MAX_BYTES = 64 * 1024 * 1024

---@class mcp.Server
---@field session mcp.Session
---@field tools mcp.Tools
---@field version string? what `initialize` agreed on
---@field private under_way table<string, { cancel: fun(), finish: fun()?, size: integer }>
local Server = {}
Server.__index = Server

---@param fields { send: fun(line: string), is_congested: fun(): boolean, session: mcp.Session, tools: mcp.Tools, limit: integer }
---@return mcp.Server
function server.new(fields)
  fields.under_way, fields.count, fields.bytes = {}, 0, 0
  return setmetatable(fields, Server)
end

-- ---- sending ---------------------------------------------------------------------------

function Server:post(message)
  self.send(jsonrpc.encode(message))
end

---@param method string
---@param params table
function Server:notify(method, params)
  self:post(jsonrpc.notification(method, params))
end

-- ---- what is under way -------------------------------------------------------------------

local function key_of(id)
  return math.type(id) and "n" .. id or "s" .. id
end

local function settle(self, request)
  local key = key_of(request.id)
  local entry = self.under_way[key]
  if not entry then return false end
  self.under_way[key] = nil
  self.count, self.bytes = self.count - 1, self.bytes - entry.size
  if self.count == 0 and self.on_idle then self.on_idle() end
  return true
end

local function register(self, request, entry)
  entry.size = request.size
  self.under_way[key_of(request.id)] = entry
  self.count, self.bytes = self.count + 1, self.bytes + request.size
end

--- Keeps a request open until it is cancelled or the server ends; then `result` makes what is
--- answered.
---@param request mcp.Message
---@param result fun(): table
function Server:hold(request, result)
  register(self, request, {
    cancel = function()
      if settle(self, request) then request.drop() end
    end,
    finish = function()
      if settle(self, request) then request.respond(result()) end
    end,
  })
end

local function unknown_tool(self, name)
  return nil, {
    code = jsonrpc.INVALID_PARAMS,
    message = ("unknown tool %q; there are: %s"):format(name, self.tools:names()),
  }
end

-- Some clients send them as the text of an object.
local function arguments_of(params)
  local given = params.arguments
  if type(given) ~= "string" then return given or {} end
  if not given:find "%S" then return {} end
  return (jsonrpc.decode(given))
end

-- Answers a call that is refused without running anything.
local function find_tool(self, params)
  if type(params.name) ~= "string" then
    return nil, { code = jsonrpc.INVALID_PARAMS, message = "tools/call needs the string name" }
  end
  local tool = self.tools:get(params.name)
  if not tool then return unknown_tool(self, params.name:sub(1, 64)) end
  local arguments = arguments_of(params)
  if not jsonrpc.is_object(arguments) then
    return nil, { code = jsonrpc.INVALID_PARAMS, message = "arguments must be an object" }
  end
  return tool, nil, arguments
end

--- Answers tools/call: at once what is wrong with it, later what came of it.
---@param params table
---@param request mcp.Message
---@return table? result, table? err both nil: it is under way
function Server:call_tool(params, request)
  local tool, err, given = find_tool(self, params)
  if not tool then return nil, err end
  local arguments, problem = schema.check(tool.input, given)
  if not arguments then
    return reply.refusal(tool.name .. ": " .. problem, "Call it again with that put right.")
  end
  local running = call.new(self, call.token(params._meta))
  register(self, request, { cancel = function() running:cancel() end })
  running:run(tool, arguments, function(result)
    settle(self, request)
    if running.is_cancelled then return request.drop() end
    request.respond(result)
  end)
end

-- ---- dispatch ----------------------------------------------------------------------------

local function refuse_more(self, request)
  if self.under_way[key_of(request.id)] then
    return {
      code = jsonrpc.INVALID_REQUEST,
      message = "a request with this id is still under way; each needs an id of its own",
    }
  end
  if self.count < server.MAX_CALLS and self.bytes + request.size <= server.MAX_BYTES then return end
  return {
    code = jsonrpc.INTERNAL_ERROR,
    message = ("too much is under way (%d requests, %d bytes): wait for answers, or cancel some")
      :format(self.count, self.bytes),
  }
end

local function answer(self, request)
  local err = refuse_more(self, request)
  local era, handler, result
  if not err then era, err = eras.of(self, request) end
  if not err then
    handler = era.requests[request.method]
    if not handler then
      err = {
        code = jsonrpc.METHOD_NOT_FOUND,
        message = ("there is no method %q"):format(request.method:sub(1, 64)),
      }
    end
  end
  if not err then
    request.finish = era.finish
    result, err = handler(self, request.params, request)
  end
  if err then return request.fail(err) end
  if result then request.respond(result) end
end

local function notified(self, message)
  if message.method ~= "notifications/cancelled" then return end
  local id = jsonrpc.exact_id(message.params.requestId)
  local entry = id and self.under_way[key_of(id)]
  if entry then entry.cancel() end
end

--- Deals with one message; `sink` gets what is answered, if anything is.
---@param value any what was read
---@param size integer its bytes
---@param sink fun(message: table?) called once for a request; nil: nothing is answered
function Server:dispatch(value, size, sink)
  local message, err = jsonrpc.classify(value)
  if not message then return sink(jsonrpc.error(err.id, err.code, err.message)) end
  if message.kind == "notification" then
    notified(self, message)
    return sink(nil)
  end
  if message.kind == "response" then return sink(nil) end
  message.size = size
  function message.respond(result)
    sink(jsonrpc.result(message.id, message.finish(result)))
  end
  function message.drop() sink(nil) end
  function message.fail(problem)
    sink(jsonrpc.error(message.id, problem.code, problem.message, problem.data))
  end
  if async.protect(answer, self, message) then return end
  message.fail { code = jsonrpc.INTERNAL_ERROR, message = "internal error" }
end

local function post_if_any(self)
  return function(message)
    if message then self:post(message) end
  end
end

--- Takes a line as the channel has it.
---@param kind "line"|"too_long"
---@param value string|mcp.LongLine
function Server:receive(kind, value)
  if kind == "too_long" then
    return self:post(jsonrpc.error(jsonrpc.id_in(value.head, value.tail), jsonrpc.INVALID_REQUEST,
      ("a message of %d bytes is too long: %d are the limit"):format(value.size, self.limit)))
  end
  local message, problem, id = jsonrpc.decode(value)
  if problem then return self:post(jsonrpc.error(id, jsonrpc.PARSE_ERROR, problem)) end
  if jsonrpc.is_array(message) then return batch.dispatch(self, message, #value) end
  self:dispatch(message, #value, post_if_any(self))
end

-- ---- the end -----------------------------------------------------------------------------

--- Waits, in a coroutine, until nothing is under way that ends by itself; at most `seconds`.
---@param seconds number
function Server:drain(seconds)
  for _, entry in pairs(self.under_way) do
    if entry.finish then entry.finish() end
  end
  if self.count == 0 then return end
  local cancel
  async.first(function(finish)
    cancel = async.after(seconds, finish)
    self.on_idle, self.stop_waiting = finish, finish
    return true
  end)
  cancel()
  self.on_idle = nil
end

--- Cancels everything that is under way.
function Server:cancel_all()
  local entries = {}
  for _, entry in pairs(self.under_way) do entries[#entries + 1] = entry end
  for _, entry in ipairs(entries) do entry.cancel() end
end

return server
