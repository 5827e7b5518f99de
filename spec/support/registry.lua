--- A container registry on the loopback that has one image: as much of its protocol as a pull takes.
local uv = require "luv"
local cjson = require "cjson"
local podman = require "spec.support.podman"
local temp = require "spec.support.temp"

local registry = {}

---@class support.Registry
---@field port integer
---@field name string the image's, "127.0.0.1:PORT/REPOSITORY:1"
---@field environment table<string, string> for podman, which takes it without TLS
---@field asked string[] the paths that were asked for
local Registry = {}
Registry.__index = Registry

local PIECE, PAUSE_MS = 64 * 1024, 1

local function head(status, fields, length)
  local lines = { "HTTP/1.1 " .. status, "Content-Length: " .. length, "Connection: close" }
  for name, value in pairs(fields) do lines[#lines + 1] = name .. ": " .. value end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function close(client)
  if not client:is_closing() then client:close() end
end

-- Piece by piece, so that it goes as far as is wanted.
local function send_in_pieces(self, client, bytes)
  local timer, at = uv.new_timer(), 1
  timer:start(0, PAUSE_MS, function()
    if self.most and at > self.most and not client:is_closing() then return end
    local piece = bytes:sub(at, at + PIECE - 1)
    at = at + PIECE
    if piece == "" or client:is_closing() then
      timer:stop()
      timer:close()
      return client:is_closing() or client:shutdown(function() close(client) end)
    end
    client:write(piece)
  end)
  self.timers[#self.timers + 1] = timer
end

local function answer(self, client, method, path)
  self.asked[#self.asked + 1] = path
  local blob = path:match "/blobs/sha256:(%x+)$"
  local body, kind
  if path == "/v2/" then
    body, kind = "{}", "application/json"
  elseif path:find "/manifests/" and not path:find "missing" then
    body, kind = self.manifest, self.kind
  elseif blob then
    body, kind = temp.read(self.dir .. "/" .. blob), "application/octet-stream"
  end
  if not body then
    local text = '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
    client:write(head("404 Not Found", { ["Content-Type"] = "application/json" }, #text) .. text)
    return client:shutdown(function() close(client) end)
  end
  client:write(head("200 OK", { ["Content-Type"] = kind,
    ["Docker-Distribution-Api-Version"] = "registry/2.0" }, #body))
  if method == "HEAD" then return client:shutdown(function() close(client) end) end
  send_in_pieces(self, client, body)
end

local function serve(self, client)
  local text = ""
  client:read_start(function(err, bytes)
    if err or not bytes then return close(client) end
    text = text .. bytes
    -- podman asks with TLS first, and would wait for ten seconds.
    if not text:find "^%u" then return close(client) end
    local method, path = text:match "^(%u+) (%S+) HTTP/1.1\r\n.*\r\n\r\n"
    if not method then return end
    text = ""
    answer(self, client, method, path)
  end)
end

--- Starts one.
---@param image string in podman's store: what it has
---@return support.Registry
function registry.start(image)
  local dir = temp.dir() .. "/image"
  podman.must("save", "--quiet", "--format", "docker-dir", "--output", dir, image)
  local self = setmetatable({ dir = dir, asked = {}, timers = {} }, Registry)
  self.manifest = temp.read(dir .. "/manifest.json")
  self.kind = cjson.decode(self.manifest).mediaType
  self.server = uv.new_tcp()
  assert(self.server:bind("127.0.0.1", 0))
  assert(self.server:listen(16, function()
    local client = uv.new_tcp()
    self.server:accept(client)
    serve(self, client)
  end))
  -- A client that goes away must not end the specs.
  self.sigpipe = uv.new_signal()
  self.sigpipe:start("sigpipe", function() end)
  self.sigpipe:unref()
  self.port = self.server:getsockname().port
  self.name = ("127.0.0.1:%d/axotest/%s:1"):format(self.port, temp.token())
  self.environment = { CONTAINERS_REGISTRIES_CONF = temp.write(temp.dir() .. "/registries.conf",
    ('[[registry]]\nlocation = "127.0.0.1:%d"\ninsecure = true\n'):format(self.port)) }
  return self
end

--- From now on no more than so many bytes of anything are sent, give or take a piece.
---@param bytes integer
function Registry:stall(bytes) self.most = bytes end

--- The rest is sent.
function Registry:go_on() self.most = nil end

--- Ends it.
function Registry:stop()
  close(self.server)
  close(self.sigpipe)
  for _, timer in ipairs(self.timers) do
    if not timer:is_closing() then timer:close() end
  end
end

return registry
