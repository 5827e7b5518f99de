--- How far one has to walk: the calls of Lua functions, and the files that these are in, of a
--- native start that has nothing to learn any more, of a warm native exec, and of one `bash` of the
--- MCP server. By hand:
---
---   build/axolua spec/bench/walk.lua [--calls]
---
--- --calls lists the functions, in the order in which they are called. Neither those of spec/ count,
--- nor those in C.
local here = debug.getinfo(1, "S").source:sub(2):match "^(.*)/spec/bench/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path

local uv = require "luv"
local runner = require "axolua.host"

-- ---- counting --------------------------------------------------------------------------

local names, files = {}, {}

local function on_call()
  local info = debug.getinfo(2, "S")
  if info.what ~= "Lua" or info.source:find "[@/]spec/" then return end
  files[info.source] = true
  names[#names + 1] = ("%s:%d"):format(info.source:match "[^/]*/[^/]*$", info.linedefined)
end

-- A hook belongs to one coroutine: to this one, the main one, and all that are made from now on.
local function listen()
  local create = coroutine.create
  rawset(coroutine, "create", function(fn)
    local co = create(fn)
    debug.sethook(co, on_call, "c")
    return co
  end)
  debug.sethook(debug.getregistry()[1], on_call, "c")
  debug.sethook(on_call, "c")
end

--- What was counted since it was asked last: the number of files, then the functions.
local function counted()
  local list, count = names, 0
  for _ in pairs(files) do count = count + 1 end
  names, files = {}, {}
  table.insert(list, 1, count)
  return list
end

local function report(name, list)
  print(("%-24s %5d Lua calls in %2d files"):format(name, #list - 1, list[1]))
  if arg[1] == "--calls" then print("  " .. table.concat(list, "\n  ", 2)) end
end

-- ---- the server, in a process of its own ---------------------------------------------------

-- It says what it has counted when it is told to, on stderr.
local function serve(dir)
  local scripts = runner.share .. "/scripts"
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(scripts, scripts, package.path)
  local server = require "axolua.mcp"
  listen()
  local told = uv.new_signal()
  told:start("sigusr1", function()
    io.stderr:write("\nbegin\n", table.concat(counted(), "\n"), "\nend\n")
  end)
  told:unref()
  os.exit(server.main { "--dir", dir, "--no-devcontainer", "--quiet" })
end

if arg[1] == "--serve" then serve(arg[2]) end

-- ---- what is walked ------------------------------------------------------------------------

local axo = require "axosandbox"
local cjson = require "cjson"
local core = require "axosandbox.core"
local gate = require "axosandbox.base.gate"
local images = require "spec.support.images"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"

local function session()
  local id = "axotest-" .. temp.token()
  janitor.made("container", "axo-ses-" .. id)
  local sb = assert(axo.start {
    id = id, dir = temp.dir "project", image = images.base(),
    policy = { network = "none", allow_untrusted_image = true },
  })
  assert(sb:path() == "native", table.concat(sb:warnings(), "; "))
  return sb
end

local function walk_library()
  assert(session():stop()) -- what this host needs is learnt
  listen()
  counted()
  local sb = session()
  report("a native start", counted())
  for _ = 1, 5 do assert(sb:exec { "true" }) end
  counted()
  assert(sb:exec { "true" })
  report("a warm native exec", counted())
  assert(sb:stop())
  debug.sethook()
end

-- A stream of a process: `wait` waits for a pattern, and takes all up to its end.
local function reader()
  local self, text, more = {}, "", gate.new()
  function self.add(bytes)
    text = text .. bytes
    local was = more
    more = gate.new()
    was:open()
  end
  function self.wait(pattern)
    while not text:find(pattern) do assert(more:wait(60), "the server does not answer") end
    local _, stop, capture = text:find(pattern)
    text = text:sub(stop + 1)
    return capture
  end
  return self
end

local function request(server, out, id, method, params)
  assert(server:write(cjson.encode {
    jsonrpc = "2.0", id = id, method = method, params = params,
  } .. "\n"))
  if id then out.wait(('"id":%d[^\n]*\n'):format(id)) end
end

local function walk_server()
  local out, err, over = reader(), reader(), gate.new()
  local argv = { runner.exe, here .. "/spec/bench/walk.lua", "--serve", temp.dir "project" }
  local server = assert(core.spawn(argv, {
    stdin = "pipe", on_stdout = out.add, on_stderr = err.add,
  }, function() over:open() end))
  request(server, out, 1, "initialize", {
    protocolVersion = "2025-11-25", capabilities = {}, clientInfo = { name = "w", version = "1" },
  })
  request(server, out, nil, "notifications/initialized")
  local list = {}
  for id = 2, 5 do
    request(server, out, id, "tools/call", { name = "bash", arguments = { command = "true" } })
    assert(server:signal "USR1")
    list = {}
    for line in err.wait "\nbegin\n(.-)\nend\n":gmatch "[^\n]+" do list[#list + 1] = line end
  end
  report("bash of the MCP server", list)
  server:close_stdin()
  over:wait(60)
end

images.base()
uv.os_setenv("AXOSANDBOX_PATH", "native")
uv.os_setenv("XDG_STATE_HOME", temp.lasting_dir())
walk_library()
walk_server()
