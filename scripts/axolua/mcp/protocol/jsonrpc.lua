--- JSON-RPC 2.0: what a message is, and what is answered.
local cjson = require "cjson"
local json = require("axosandbox").json
local rescue = require "axolua.mcp.protocol.rescue"

local jsonrpc = {
  PARSE_ERROR = -32700,
  INVALID_REQUEST = -32600,
  METHOD_NOT_FOUND = -32601,
  INVALID_PARAMS = -32602,
  INTERNAL_ERROR = -32603,
}

local MAX_DEPTH = 64
local MAX_ID = 1024
-- Up to here a number that was read from JSON is exactly the one that was written.
local MAX_EXACT = 2 ^ 53

local decoder = cjson.new()
decoder.decode_max_depth(MAX_DEPTH)
decoder.decode_invalid_numbers(false)

--- The id in a message that cannot be read.
---@param head string its beginning
---@param tail string? its end, when the beginning is not all of it
---@return string|integer|nil
function jsonrpc.id_in(head, tail)
  local text = rescue.id(head, tail)
  if not text or not utf8.len(text) then return nil end
  local ok, list = pcall(decoder.decode, "[" .. rescue.halves(text) .. "]")
  return ok and jsonrpc.exact_id(list[1]) or nil
end

local function unreadable(line, problem)
  local tail = #line > rescue.HEAD and line:sub(-rescue.TAIL) or nil
  return nil, problem, jsonrpc.id_in(line:sub(1, rescue.HEAD), tail)
end

-- One of a pair, which JavaScript writes as it is, stands for no character.
local function decode(line)
  local ok, value = pcall(decoder.decode, line)
  if ok then return true, value end
  local mended = rescue.halves(line)
  if mended == line then return false, value end
  return pcall(decoder.decode, mended)
end

--- Reads one message.
---@param line string
---@return any value, string? problem, string|integer|nil id what can be told of the id then
function jsonrpc.decode(line)
  if line:sub(1, 3) == "\xEF\xBB\xBF" then line = line:sub(4) end
  if not utf8.len(line) then return unreadable(line, "the message is not valid UTF-8") end
  local ok, value = decode(line)
  if ok then return value end
  return unreadable(line, "the message is not JSON: " .. tostring(value))
end

--- True for a JSON array that is not empty; an empty one reads like an empty object.
---@param value any
---@return boolean
function jsonrpc.is_array(value)
  return type(value) == "table" and value[1] ~= nil
end

--- True for a JSON object.
---@param value any
---@return boolean
function jsonrpc.is_object(value)
  return type(value) == "table" and value[1] == nil
end

--- A request's id or a progress token as it is written back: whole numbers without a point.
---@param value any
---@return string|integer|nil id nil when it cannot be one
function jsonrpc.exact_id(value)
  if type(value) == "string" then return #value <= MAX_ID and value or nil end
  if type(value) ~= "number" or math.abs(value) >= MAX_EXACT then return nil end
  return math.tointeger(value)
end

---@class mcp.Message
---@field kind "request"|"notification"|"response"
---@field id string|integer|nil
---@field method string
---@field params table

local function invalid(id, message)
  return nil, { id = id, code = jsonrpc.INVALID_REQUEST, message = message }
end

-- What is not given is nil from here on: of the parameters, and of what is said about them.
local function without_nulls(params)
  local meta = params._meta
  for _, object in ipairs { params, jsonrpc.is_object(meta) and meta or nil } do
    for name, value in pairs(object) do
      if value == cjson.null then object[name] = nil end
    end
  end
  return params
end

local function check_id(message)
  if message.id == nil then return true end
  -- A notification has none, and some who write every field write null.
  local method = message.method
  local is_note = type(method) == "string" and method:find "^notifications/"
  if message.id == cjson.null and is_note then return true end
  local id = jsonrpc.exact_id(message.id)
  if id then return true, id end
  return false
end

--- Checks the form of a message.
---@param message any
---@return mcp.Message? message
---@return { id: string|integer|nil, code: integer, message: string }? err
function jsonrpc.classify(message)
  if not jsonrpc.is_object(message) then return invalid(nil, "a message must be a JSON object") end
  local is_right, id = check_id(message)
  if not is_right then
    return invalid(nil, ("the id must be a string of at most %d bytes or a whole number below "
      .. "2^53"):format(MAX_ID))
  end
  if message.jsonrpc ~= "2.0" then return invalid(id, 'the field "jsonrpc" must be "2.0"') end
  local method, params = message.method, message.params
  if params == cjson.null then params = nil end
  if (method == nil or method == cjson.null)
    and (message.result ~= nil or message.error ~= nil) then
    return { kind = "response", id = id }
  end
  if type(method) ~= "string" then
    return invalid(id, 'the field "method" must be a string')
  end
  if params ~= nil and not jsonrpc.is_object(params) then
    return nil, {
      id = id, code = jsonrpc.INVALID_PARAMS, message = 'the field "params" must be an object',
    }
  end
  return {
    kind = id and "request" or "notification", id = id, method = method,
    params = without_nulls(params or {}),
  }
end

--- A reply that carries a result.
---@param id string|integer
---@param result table
---@return table
function jsonrpc.result(id, result)
  return { jsonrpc = "2.0", id = id, result = result }
end

--- A reply that carries an error. Where the id could not be read there is none: MCP's schema
--- has it optional, and never null.
---@param id string|integer|nil
---@param code integer
---@param message string
---@param data any
---@return table
function jsonrpc.error(id, code, message, data)
  return { jsonrpc = "2.0", id = id, error = { code = code, message = message, data = data } }
end

---@param method string
---@param params table
---@return table
function jsonrpc.notification(method, params)
  return { jsonrpc = "2.0", method = method, params = params }
end

--- The text of a message, on one line.
---@param message table
---@return string
jsonrpc.encode = json.encode

return jsonrpc
