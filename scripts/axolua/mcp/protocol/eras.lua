--- The two eras of the protocol. The legacy one opens with `initialize` and keeps what was agreed
--- for the life of the process; in the modern one each request says in `_meta` what it speaks.
local axo = require "axosandbox"
local jsonrpc = require "axolua.mcp.protocol.jsonrpc"

local json = axo.json

local eras = {}

local VERSION = "io.modelcontextprotocol/protocolVersion"
local CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
local SERVER_INFO = "io.modelcontextprotocol/serverInfo"
local SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"

local UNSUPPORTED_VERSION = -32022
local MAX_VERSION = 64
-- The tools never change while the program runs; another version of it has others.
local TTL_MS = 3600 * 1000

eras.MODERN = { "2026-07-28" }
eras.LEGACY = { "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05" }
--- The one revision that has batches.
eras.WITH_BATCHES = "2025-03-26"

local INSTRUCTIONS = "Every tool works inside one sandbox: a container of its own, over one "
  .. "directory of the host that is mounted there at the same path. Nothing else of the host can "
  .. "be seen or changed, but for other directories that session_info names. Relative paths begin "
  .. "at that directory. Use bash for what ends by itself, bash_background for servers and long "
  .. "work, and a terminal for programs that ask. session_info tells the directory, the network "
  .. "and the limits."

local function identity()
  return { name = "axosandbox", title = "axosandbox", version = axo.version }
end

local function is_one_of(list, wanted)
  for _, each in ipairs(list) do
    if each == wanted then return true end
  end
  return false
end

local function copy(list)
  return json.array(table.move(list, 1, #list, 1, {}))
end

-- ---- what both have ----------------------------------------------------------------------

local function invalid(message)
  return nil, { code = jsonrpc.INVALID_PARAMS, message = message }
end

local function list_tools(server, params)
  if params.cursor ~= nil then
    return invalid "there is no such cursor: the list of tools is one page"
  end
  server.session:begin()
  return { tools = server.tools:list() }
end

-- ---- legacy ----------------------------------------------------------------------------

local legacy = {}
eras.legacy = legacy

legacy.requests = {
  ping = function() return {} end,
  ["tools/list"] = list_tools,
  ["tools/call"] = function(server, params, request) return server:call_tool(params, request) end,
}

function legacy.requests.initialize(server, params)
  local wanted = params.protocolVersion
  if type(wanted) ~= "string" then
    return invalid "initialize needs the string protocolVersion"
  end
  -- Who introduces himself means to stay; who only asks server/discover may be trying doors.
  server.session:begin()
  server.version = is_one_of(eras.LEGACY, wanted) and wanted or eras.LEGACY[1]
  return {
    protocolVersion = server.version, capabilities = { tools = {} }, serverInfo = identity(),
    instructions = INSTRUCTIONS,
  }
end

function legacy.finish(result) return result end

-- ---- modern ----------------------------------------------------------------------------

local modern = {}
eras.modern = modern

local function cacheable(result)
  result.ttlMs, result.cacheScope = TTL_MS, "public"
  return result
end

modern.requests = {
  ["tools/call"] = legacy.requests["tools/call"],
  ["tools/list"] = function(server, params)
    local result, err = list_tools(server, params)
    return result and cacheable(result), err
  end,
  ["server/discover"] = function()
    return cacheable {
      supportedVersions = copy(eras.MODERN), capabilities = { tools = {} },
      instructions = INSTRUCTIONS,
    }
  end,
}

-- There is nothing that changes and could be told, but the stream is the client's to have.
modern.requests["subscriptions/listen"] = function(server, params, request)
  if not jsonrpc.is_object(params.notifications) then
    return invalid "subscriptions/listen needs the object notifications"
  end
  server:hold(request, function()
    return { _meta = { [SUBSCRIPTION] = request.id } }
  end)
  server:notify("notifications/subscriptions/acknowledged", {
    _meta = { [SUBSCRIPTION] = request.id }, notifications = {},
  })
end

function modern.finish(result)
  result.resultType = "complete"
  result._meta = result._meta or {}
  result._meta[SERVER_INFO] = identity()
  return result
end

local function check_meta(meta)
  if type(meta[VERSION]) ~= "string" or #meta[VERSION] > MAX_VERSION then
    return { code = jsonrpc.INVALID_PARAMS, message = "params._meta needs the string " .. VERSION }
  end
  if not is_one_of(eras.MODERN, meta[VERSION]) then
    return {
      code = UNSUPPORTED_VERSION, message = "unsupported protocol version",
      data = { supported = copy(eras.MODERN), requested = meta[VERSION] },
    }
  end
  if not jsonrpc.is_object(meta[CAPABILITIES]) then
    return {
      code = jsonrpc.INVALID_PARAMS, message = "params._meta needs the object " .. CAPABILITIES,
    }
  end
end

-- ---- which one -------------------------------------------------------------------------

local function is_legacy(server, request, meta)
  if meta[VERSION] ~= nil or meta[CAPABILITIES] ~= nil then return false end
  if request.method == "initialize" or request.method == "ping" then return true end
  return server.version ~= nil and request.method ~= "server/discover"
end

--- Finds the era that a request belongs to.
---@param server mcp.Server
---@param request mcp.Message
---@return table? era, { code: integer, message: string, data: table? }? err
function eras.of(server, request)
  local meta = request.params._meta
  if meta ~= nil and not jsonrpc.is_object(meta) then
    return invalid "params._meta must be an object"
  end
  meta = meta or {}
  if is_legacy(server, request, meta) then return legacy end
  local err = check_meta(meta)
  if not err then return modern end
  if next(meta) == nil then
    err.message = err.message .. "; a client of an earlier revision sends initialize first"
  end
  return nil, err
end

return eras
