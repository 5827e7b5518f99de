--- axolua server.lua DIR PORT: serves a directory from a box on 127.0.0.1, until stdin ends. Needs an
--- image with httpd, as busybox has it.
local axo = require "axosandbox"
local uv = require "luv"

local dir, port = arg[1], tonumber(arg[2])
local sb <close> = assert(axo.start {
  id = "example-server-" .. port, dir = dir, ports = { port },
})
local server = assert(sb:spawn_background { "httpd", "-f", "-p", tostring(port) })

local stdin = uv.new_pipe()
assert(stdin:open(0))
print(axo.async.first(function(done)
  stdin:read_start(function(_, bytes) if not bytes then done(nil, "stdin ended") end end)
  server:wait(nil, function(_, status) done(nil, "the server ended", status.code) end)
  print("http://127.0.0.1:" .. port)
  io.stdout:flush()
  return true
end))
stdin:close()
