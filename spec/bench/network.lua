--- Connections that are passed on, side by side with direct ones, with podman's bridge and with
--- its -p. By hand, on a machine that has nothing else to do:
---
---   build/axolua spec/bench/network.lua [ROW...]
---
--- Every figure is a ratio of two things measured alternately in this one run. Exits with 1
--- when a goal is missed.
local here = debug.getinfo(1, "S").source:sub(2):match "^(.*)/spec/bench/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path

local uv = require "luv"
local axo = require "axosandbox"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local runner = require "axolua.host"
local images = require "spec.support.images"
local janitor = require "spec.support.janitor"
local measure = require "spec.bench.measure"
local podman = require "spec.support.podman"
local temp = require "spec.support.temp"

local MB = 1000 * 1000
local ROUNDS, BYTES = 5, 1000 * MB
local CONNECTS, TRIPS, IDLE = 400, 2000, 1000
local INSIDE = "4000" -- a port of the containers

local SOCKETS = runner.prefix .. "/spec/axo_bench_sockets"
local LOOPBACK = "127.0.0.1"

local function spawned(argv)
  local result = assert(await.call(function(done)
    return core.spawn(argv, {}, function(r) done(nil, r) end)
  end))
  assert(result.code == 0, result.stderr)
  return result.stdout
end

local function numbers(text, scale)
  local figures = {}
  for number in text:gmatch "[^\n]+" do figures[#figures + 1] = tonumber(number) / scale end
  return figures
end

-- A server of this host; `port` of the kernel's choice.
local function serve(address)
  local port
  local server = assert(core.spawn({ SOCKETS, "serve", address }, {
    on_stdout = function(bytes) port = port or tonumber(bytes) end,
  }, function() end))
  while not port do uv.run "once" end
  return server, port
end

-- What runs the client of each way: on this host, or in a container.
local function here_client(mode, address, port, count)
  return spawned { SOCKETS, mode, address, tostring(port), tostring(count) }
end

local function in_session(sb)
  return function(mode, address, port, count)
    local result = assert(sb:exec { "./sockets", mode, address, tostring(port), tostring(count) })
    assert(result:ok(), result.stderr)
    return result.stdout
  end
end

local function in_podman(name)
  return function(...)
    local argv = { podman.program(), "exec", name, "/b/sockets" }
    for _, word in ipairs { ... } do argv[#argv + 1] = tostring(word) end
    return spawned(argv)
  end
end

-- A way to a server: who asks, and where.
local function way(client, address, port)
  return function(mode, count) return client(mode, address, port, count) end
end

local function rates(name, ours, theirs, goal)
  for _, mode in ipairs { "up", "down" } do
    local function rate(path)
      return function() return numbers(path(mode, BYTES), MB)[1] end
    end
    local a, b = measure.alternate(ROUNDS, rate(ours), rate(theirs))
    measure.rate(("%s, %s"):format(name, mode), a, b, goal, "MB/s")
  end
end

local function times(mode, count, ours, theirs)
  local a, b = {}, {}
  for _ = 1, 4 do
    for into, path in pairs { [a] = ours, [b] = theirs } do
      local some = numbers(path(mode, count // 4), 1000)
      table.move(some, 1, #some, #into + 1, into)
    end
  end
  return a, b
end

-- Connects and trips; how much longer ours may be, in ms.
local function latencies(name, ours, theirs, beyond)
  local a, b = times("connect", CONNECTS, ours, theirs)
  measure.at_most(name .. ", connect and a byte back", a, b, 4)
  measure.value("  beyond the other, p50",
    measure.percentile(a, 0.5) - measure.percentile(b, 0.5), beyond, "ms")
  a, b = times("trip", TRIPS, ours, theirs)
  measure.at_most(name .. ", a byte there and back", a, b, 6)
end

-- Passes what comes on `fd` to a port of this host.
local function relay(fd, port)
  return assert(core.net.listener(fd, {
    on_connection = function(conn)
      assert(conn:dial({ address = LOOPBACK, port = port }, function(err)
        if err then conn:reset() end
      end))
    end,
  }))
end

-- ---- the rows ------------------------------------------------------------------------------

local function row_relay()
  local server, port = serve(LOOPBACK)
  local fd, relay_port = assert(core.net.listen(LOOPBACK, 0))
  local _ <close> = relay(fd, port)
  local ours, theirs = way(here_client, LOOPBACK, relay_port), way(here_client, LOOPBACK, port)
  latencies("relay / direct", ours, theirs, 0.150)
  rates("relay / direct", ours, theirs, 0.25)
  server:close()
end

local function wake_ups()
  local text = assert(temp.read "/proc/self/status")
  return tonumber(text:match "\nvoluntary_ctxt_switches:%s+(%d+)")
end

-- Open connections on which nothing moves. This process wakes once, to end the measuring.
local function row_idle()
  local server, port = serve(LOOPBACK)
  local fd, relay_port = assert(core.net.listen(LOOPBACK, 0))
  local listener <close> = relay(fd, port)
  local clients, echoed = {}, 0
  for i = 1, IDLE do
    clients[i] = uv.new_tcp()
    clients[i]:connect(LOOPBACK, relay_port, function(err)
      assert(not err, err)
      clients[i]:write "ex"
      clients[i]:read_start(function() echoed = echoed + 1 end)
    end)
  end
  while echoed < IDLE do await.sleep(0.05) end
  local before, wakes = wake_ups(), listener:counts().wakes
  await.sleep(2)
  measure.value("wake-ups in 2 s, 1000 connections", wake_ups() - before - 1, 0, "")
  measure.value("  that came to the listener", listener:counts().wakes - wakes, 0, "")
  measure.value("  pipes that they have", listener:counts().pipes, 2, "")
  for _, client in ipairs(clients) do client:close() end
  server:close()
end

local function session()
  local id, dir = "axotest-" .. temp.token(), temp.dir "project"
  janitor.made("container", "axo-ses-" .. id)
  assert(uv.fs_copyfile(SOCKETS, dir .. "/sockets"))
  local sb = assert(axo.start {
    id = id, dir = dir, image = images.base(),
    policy = { network = "none", allow_untrusted_image = true },
  })
  assert(sb:path() == "native", table.concat(sb:warnings(), "; "))
  return sb
end

local function container(...)
  local dir = temp.dir "bench"
  assert(uv.fs_chmod(dir, tonumber("755", 8)))
  assert(uv.fs_copyfile(SOCKETS, dir .. "/sockets"))
  return podman.start { "--network", "bridge", "-v", dir .. ":/b", ... }
end

-- Out of a container: a port in there that leads to this host, and podman's bridge.
local function row_out()
  local sb <close>, name = session(), container()
  local gateway = podman.inspect(name).NetworkSettings.Gateway
  local bridge_server, bridge_port = serve(gateway)
  local server, port = serve(LOOPBACK)
  local fd = assert(await.call(function(done) return sb.way:socket("inet", "stream", done) end))
  local inside = assert(core.net.bind(fd, LOOPBACK, 0))
  local _ <close> = relay(fd, port)
  local ours = way(in_session(sb), LOOPBACK, inside)
  local theirs = way(in_podman(name), gateway, bridge_port)
  latencies("out / bridge", ours, theirs, 0.150)
  rates("out / bridge", ours, theirs, 0.8)
  server:close()
  bridge_server:close()
  podman.must("rm", "-f", "-t", "0", name)
end

-- Into a container: a forward, and podman's -p.
local function row_into()
  local sb <close>, name = session(), container("-p", "127.0.0.1::" .. INSIDE)
  assert(sb:spawn_background { "./sockets", "serve", LOOPBACK, INSIDE })
  podman.must("exec", "-d", name, "/b/sockets", "serve", "0.0.0.0", INSIDE)
  local forward = assert(sb:forward { port = tonumber(INSIDE), host_port = 0 })
  local bound = podman.inspect(name).NetworkSettings.Ports[INSIDE .. "/tcp"][1].HostPort
  await.sleep(0.5)
  local ours = way(here_client, LOOPBACK, forward.host_port)
  local theirs = way(here_client, LOOPBACK, bound)
  latencies("forward / podman -p", ours, theirs, 0.300)
  rates("forward / podman -p", ours, theirs, 0.8)
  podman.must("rm", "-f", "-t", "0", name)
end

images.base()
podman.program()
uv.os_setenv("AXOSANDBOX_PATH", "native")
uv.os_setenv("XDG_STATE_HOME", temp.lasting_dir())

local ROWS = {
  { "relay", row_relay }, { "idle", row_idle }, { "out", row_out }, { "into", row_into },
}

local wanted = {}
for _, name in ipairs(arg) do wanted[name] = true end

measure.head()
for _, row in ipairs(ROWS) do
  if #arg == 0 or wanted[row[1]] then row[2]() end
end
os.exit(measure.verdict() and 0 or 1)
