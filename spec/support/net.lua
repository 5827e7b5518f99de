--- TCP from the host's side, for the network specs.
local uv = require "luv"
local proc = require "spec.support.proc"

local net = {}

local given = {}

--- A port that nobody holds now, and that was not given before.
---@return integer
function net.free_port()
  local port
  repeat
    local socket = uv.new_tcp()
    assert(socket:bind("127.0.0.1", 0))
    port = socket:getsockname().port
    socket:close()
    uv.run "nowait"
  until not given[port]
  given[port] = true
  return port
end

--- Listens on a port; close it with :close(), or with <close>.
---@param port integer? one that is free by default
---@return { port: integer, accepted: integer, close: fun(self) }
function net.listen(address, port)
  local socket = uv.new_tcp()
  assert(socket:bind(address, port or 0))
  local listener = { accepted = 0 }
  assert(socket:listen(8, function()
    listener.accepted = listener.accepted + 1
    local client = uv.new_tcp()
    socket:accept(client)
    client:close()
  end))
  listener.port = socket:getsockname().port
  function listener.close()
    socket:close()
    uv.run "nowait"
  end
  return setmetatable(listener, { __close = listener.close })
end

net.REPLY = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"

--- A server on loopback that answers whatever is asked with `net.REPLY`, and a "hold" by nothing.
---@return { port: integer, count: integer, open: table, said: string, close: fun() } count: of connections that came; said: by the last one
function net.serve()
  local socket = uv.new_tcp()
  assert(socket:bind("127.0.0.1", 0))
  local server = { port = socket:getsockname().port, count = 0, open = {}, said = "" }
  assert(socket:listen(1024, function()
    local client = uv.new_tcp()
    socket:accept(client)
    server.count, server.open[client] = server.count + 1, true
    local said = ""
    client:read_start(function(err, bytes)
      if bytes then
        said = said .. bytes
        server.said = said
      end
      if bytes and bytes:find "^hold" then return end
      if not err and bytes then
        return client:write(net.REPLY, function() client:shutdown() end)
      end
      server.open[client] = nil
      client:close()
    end)
  end))
  function server.close()
    for client in pairs(server.open) do client:close() end
    socket:close()
    uv.run "nowait"
  end
  return server
end

--- Asks for a page; nil and the reason when nothing answers.
---@return string? bytes, string? reason
function net.get(address, port)
  local socket, parts, outcome = uv.new_tcp(), {}, nil
  local started, reason = pcall(socket.connect, socket, address, port, function(err)
    if err then
      outcome = err
      return
    end
    socket:read_start(function(read_err, bytes)
      if bytes then parts[#parts + 1] = bytes else outcome = read_err or true end
    end)
    socket:write "GET / HTTP/1.0\r\n\r\n"
  end)
  if not started then outcome = reason end
  local waited = pcall(proc.eventually, function() return outcome end, "an answer", 5)
  socket:close()
  uv.run "nowait"
  if not waited then return nil, "no answer" end
  if outcome ~= true or #parts == 0 then return nil, tostring(outcome) end
  return table.concat(parts)
end

--- The addresses of this machine that are not loopback.
---@return string[]
function net.own_addresses()
  local list = {}
  for _, addresses in pairs(uv.interface_addresses()) do
    for _, each in ipairs(addresses) do
      if not each.internal and not each.ip:find "^fe80" then list[#list + 1] = each.ip end
    end
  end
  return list
end

return net
