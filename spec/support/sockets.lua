--- Sockets of the specs on loopback: servers, clients, and what came of them.
local uv = require "luv"

local sockets = {}

--- Listens on a port of the kernel's choice; `on_socket(socket)` gets each that connects.
---@return userdata server, integer port
function sockets.serve(on_socket)
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(4096, function(err)
    assert(not err, err)
    local socket = uv.new_tcp()
    assert(server:accept(socket))
    on_socket(socket)
  end))
  return server, server:getsockname().port
end

--- Gives back what comes, and ends when the other side has.
---@return userdata server, integer port
function sockets.echo()
  return sockets.serve(function(socket)
    socket:read_start(function(err, bytes)
      if bytes then
        socket:write(bytes)
      elseif err or not socket:is_closing() then
        if err then return socket:close() end
        socket:shutdown(function() socket:close() end)
      end
    end)
  end)
end

--- Connects; collects what comes. `heard` has bytes, ended, err, closed.
---@return userdata socket, table heard
function sockets.connect(port, on_open)
  local socket, heard = uv.new_tcp(), { parts = {} }
  function heard.text() return table.concat(heard.parts) end
  socket:connect("127.0.0.1", port, function(err)
    if err then
      heard.err = err
      return socket:close()
    end
    socket:read_start(function(read_err, bytes)
      if bytes then
        heard.parts[#heard.parts + 1] = bytes
      else
        heard.err, heard.ended = read_err, not read_err
      end
    end)
    if on_open then on_open(socket) end
  end)
  return socket, heard
end

--- How many descriptors this process has.
function sockets.count()
  local n = 0
  local scan = assert(uv.fs_scandir "/proc/self/fd")
  while uv.fs_scandir_next(scan) do n = n + 1 end
  return n
end

return sockets
