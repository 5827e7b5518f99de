--- What axolua does, loaded by its main(): finds its files, runs a script, a chunk of code or
--- a command as the main coroutine on luv's loop, and returns the exit code.
---
--- Called as a chunk: `runner({ exe, prefix, is_ours, hash }, argv)`, with argv[0] the program.
---
--- Nothing is loaded from the current directory, nor from one that somebody else can write:
--- what a session's container put there must not run here.
local host, argv = ...

host.share = host.prefix .. "/share/axosandbox"

local FAILED = 125 -- as the commands have it
local USAGE = [[
usage: axolua FILE.lua [ARGS...]     run a script; - reads it from stdin
       axolua -e CODE [ARGS...]      run a piece of Lua
       axolua COMMAND [ARGS...]      axolua help lists the commands
       axolua env                    print the paths that lua5.4 needs
       axolua --version]]

local function complain(message)
  io.stderr:write("axolua: ", message, "\n")
  return 1
end

-- ---- the environment of a chunk ---------------------------------------------------------

local KINDS = {
  { key = "path", variable = "LUA_PATH",
    names = { "share/lua/5.4/?.lua", "share/lua/5.4/?/init.lua" } },
  { key = "cpath", variable = "LUA_CPATH", names = { "lib/lua/5.4/?.so" } },
}

-- A rock's dependencies are in the tree that it was put into.
local ROCK = "^(.*)/lib/luarocks/rocks%-[^/]*/axosandbox/[^/]+/installed$"

local function variable(name)
  local versioned = os.getenv(name .. "_5_4")
  if versioned then return versioned, name .. "_5_4" end
  return os.getenv(name), name
end

-- Lua's own defaults hold these; nobody needs to be told of them.
local DEFAULTS = { ["./?.lua"] = true, ["./?/init.lua"] = true, ["./?.so"] = true }

--- Adds those entries of a path that lead to where nobody but root and we can put anything.
local function add_entries(list, path, on_problem)
  for entry in path:gmatch "[^;]+" do
    local dir = entry:match "^/[^?]*/" or entry:match "^/"
    local is_ours = dir and host.is_ours(dir)
    if is_ours and not list[entry] then
      list[entry], list[#list + 1] = true, entry
    elseif is_ours == false then
      on_problem(entry, "others can write there, or above")
    elseif not dir and not DEFAULTS[entry] then
      on_problem(entry, "it depends on the current directory")
    end
  end
end

local function ignore() end

--- Where the library and what it needs are looked for: the installation, then the system.
local function library_path(kind)
  local list, prefixes = {}, { host.prefix, host.prefix:match(ROCK) }
  for _, prefix in ipairs(prefixes) do
    for _, name in ipairs(kind.names) do
      local entry = prefix .. "/" .. name
      list[entry], list[#list + 1] = true, entry
    end
  end
  add_entries(list, package[kind.key], ignore)
  return list
end

--- What the caller's LUA_PATH or LUA_CPATH has besides.
local function callers_path(kind, on_problem)
  local set, name = variable(kind.variable)
  local list = {}
  for _, entry in ipairs(kind.library) do list[entry] = true end
  add_entries(list, set or "", function(entry, problem) on_problem(name, entry, problem) end)
  return list
end

local function complain_of(name, entry, problem)
  complain(("%s: %s is left out: %s"):format(name, entry, problem))
end

--- A loader that is asked last: what the caller names takes the place of nothing of the library's.
local function search_last(path, cpath)
  table.insert(package.searchers, function(name)
    local file, tried = package.searchpath(name, path)
    if file then return assert(loadfile(file)), file end
    local library, tried_too = package.searchpath(name, cpath)
    if not library then return tried .. "\n\t" .. tried_too end
    local symbol = "luaopen_" .. name:gsub("^.*%-", ""):gsub("%.", "_")
    return assert(package.loadlib(library, symbol)), library
  end)
end

local function set_paths()
  for _, kind in ipairs(KINDS) do
    kind.library = library_path(kind)
    package[kind.key] = table.concat(kind.library, ";")
  end
  package.loaded["axolua.host"] = host
end

local function use_bytecode()
  local own = host.prefix .. "/share/lua/5.4/axosandbox/axolua/"
  local bytecode = assert(loadfile(own .. "bytecode.lua", "t"))()
  host.search_compiled = bytecode.searcher(
    host.prefix .. "/lib/axosandbox/modules.luac", host.prefix, host.hash)
  table.insert(package.searchers, 2, host.search_compiled)
end

--- Modules are looked for by the caller's variables, too, and a script's in its directory.
local function add_callers_paths(script_dir, on_problem)
  local path = callers_path(KINDS[1], on_problem or ignore)
  local cpath = callers_path(KINDS[2], on_problem or ignore)
  if script_dir then
    table.insert(path, 1, script_dir .. "/?.lua")
    table.insert(path, 2, script_dir .. "/?/init.lua")
  end
  if #path + #cpath > 0 then search_last(table.concat(path, ";"), table.concat(cpath, ";")) end
end

--- Scripts see the library's messages on stderr, from the moment they load it.
local function show_log()
  local verbose = os.getenv "AXOLUA_DEBUG"
  package.preload["axosandbox.base.log"] = function(name)
    local path = assert(package.searchpath(name, package.path))
    local log = assert(loadfile(path, "t"))(name, path)
    log.set_logger(function(level, message)
      if level == "debug" and not verbose then return end
      message = require("axosandbox.base.text.unseen").escape_lines(message)
      io.stderr:write("axosandbox: ", level, ": ", message, "\n")
    end)
    return log
  end
end

--- os.exit closes the state unless told not to, so that children are not left behind.
local function close_on_exit()
  local exit = os.exit
  os.exit = function(code, close) -- luacheck: ignore 122
    return exit(code, close == nil or close)
  end
end

-- ---- running the main chunk --------------------------------------------------------------

--- Runs `chunk` in a coroutine until it has finished and then the loop until it is empty.
---@return boolean ok, any result the chunk's first result, or the error with its traceback
local function run_main(chunk, arguments)
  require "axosandbox.core" -- which guards the end of the state as well
  local uv = require "luv"
  local outcome
  local main = coroutine.create(function()
    local function body()
      return chunk(table.unpack(arguments, 1, arguments.n))
    end
    outcome = table.pack(xpcall(body, function(err)
      return debug.traceback(tostring(err), 2)
    end))
  end)
  local ok, err = coroutine.resume(main)
  collectgarbage "restart"
  if not ok then return false, debug.traceback(main, tostring(err)) end
  while not outcome do
    if coroutine.status(main) == "dead" then
      return false, "the main chunk's coroutine ended without a result"
    end
    if not uv.run "once" and not outcome then
      return false, debug.traceback(main, "the main chunk waits for something that cannot "
        .. "happen any more: nothing is left on the loop")
    end
  end
  if outcome[1] then uv.run() end
  return outcome[1], outcome[2]
end

local function exit_code(result)
  local code = math.type(result) == "integer" and result or 0
  if code < 0 or code > 255 then return 255 end
  return code
end

local function finish(ok, result)
  if ok then return exit_code(result) end
  io.stdout:flush()
  return complain(result)
end

local function run_chunk(chunk, name, first)
  local arguments = { n = #argv - first + 1, table.unpack(argv, first) }
  -- As in lua: the script is arg[0], what stands before it has negative indices.
  local arg_table = { [0] = name }
  for i = 0, #argv do
    local at = i - first + 1
    if at ~= 0 then arg_table[at] = argv[i] end
  end
  _G.arg = arg_table
  return finish(run_main(chunk, arguments))
end

-- ---- the ways to be called -----------------------------------------------------------------

local function directory_of(path)
  local uv = require "luv"
  local real = path ~= "-" and uv.fs_realpath(path)
  return real and real:match "^(.*)/"
end

local function run_file(path, first)
  local chunk, err
  if path == "-" then
    chunk, err = load(io.read "a", "=stdin")
  else
    chunk, err = loadfile(path)
  end
  if not chunk then return complain(err) end
  show_log()
  add_callers_paths(directory_of(path), complain_of)
  return run_chunk(chunk, path, first)
end

local function run_code()
  if not argv[2] then return complain("-e needs the code to run\n" .. USAGE) end
  local chunk, err = load(argv[2], "=(command line)")
  if not chunk then return complain(err) end
  show_log()
  add_callers_paths(nil, complain_of)
  return run_chunk(chunk, "-e", 3)
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- An export that puts our paths in front, once, and keeps what can be kept of what was there. Of
--- the variable that Lua 5.4 alone reads: another Lua's path keeps its defaults.
local function export(kind)
  local rest = callers_path(kind, complain_of)
  local list = table.move(rest, 1, #rest, #kind.library + 1, { table.unpack(kind.library) })
  return ("export %s_5_4=%s\n"):format(kind.variable, quote(table.concat(list, ";")))
end

local function print_out(...)
  local ok, problem = io.write(...)
  if ok then ok, problem = io.stdout:flush() end
  if ok then return 0 end
  complain("stdout could not be written: " .. problem)
  return FAILED
end

local function print_env()
  return print_out(export(KINDS[1]), export(KINDS[2]))
end

local function is_help(word)
  return word == "-h" or word == "--help"
end

local function refuse_words()
  complain "env takes no arguments: eval \"$(axolua env)\"\naxolua: see: axolua help env"
  return 2
end

local function print_version()
  local core = require "axosandbox.core"
  local uv = require "luv"
  return print_out(("axolua %s (%s, libuv %s)\n"):format(
    core.version, _VERSION, uv.version_string()))
end

local function run_command()
  local scripts = host.share .. "/scripts"
  local chunk, err = loadfile(scripts .. "/axolua/main.lua", "t")
  if not chunk then return complain(err) end
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(scripts, scripts, package.path)
  add_callers_paths()
  collectgarbage "stop" -- until it waits: what it has loaded by then stays
  return run_chunk(chunk, argv[0], 1)
end

--- A bare word is a command, never a file: what lies in somebody's directory must not run because
--- a command was mistyped.
local function is_file(word)
  return word == "-" or word:find("/", 1, true) ~= nil or word:find "%.lua$" ~= nil
end

local function main()
  local word = argv[1]
  set_paths()
  use_bytecode()
  close_on_exit()
  warn "@on"
  if word == "env" then
    if not argv[2] then return print_env() end
    if not is_help(argv[2]) then return refuse_words() end
    argv[1], argv[2], word = "help", "env", "help"
  end
  if word == "--version" or word == "-v" then return print_version() end
  if word == "-e" then return run_code() end
  if word and is_file(word) then return run_file(word, 2) end
  return run_command()
end

return main()
