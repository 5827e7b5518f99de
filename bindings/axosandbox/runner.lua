--- What axolua does, loaded by its main(): finds its files, runs a script, a chunk of code or
--- a command as the main coroutine on luv's loop, and returns the exit code.
---
--- Called as a chunk: `runner({ exe, prefix }, argv)`, with argv[0] the program.
local host, argv = ...

host.share = host.prefix .. "/share/axosandbox"
host.lua_path = ("%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua"):format(
  host.prefix, host.prefix)
host.lua_cpath = host.prefix .. "/lib/lua/5.4/?.so"

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

local function set_paths()
  package.path = host.lua_path .. ";" .. package.path
  package.cpath = host.lua_cpath .. ";" .. package.cpath
  package.loaded["axolua.host"] = host
end

--- Scripts see the library's messages on stderr, from the moment they load it.
local function show_log()
  local verbose = os.getenv "AXOLUA_DEBUG"
  package.preload["axosandbox.log"] = function(name)
    local path = assert(package.searchpath(name, package.path))
    local log = assert(loadfile(path, "t"))(name, path)
    log.set_logger(function(level, message)
      if level == "debug" and not verbose then return end
      message = require("axosandbox.unseen").escape_lines(message)
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

local function run_file(path, first)
  local chunk, err
  if path == "-" then
    chunk, err = load(io.read "a", "=stdin")
  else
    chunk, err = loadfile(path)
  end
  if not chunk then return complain(err) end
  show_log()
  return run_chunk(chunk, path, first)
end

local function run_code()
  if not argv[2] then return complain("-e needs the code to run\n" .. USAGE) end
  local chunk, err = load(argv[2], "=(command line)")
  if not chunk then return complain(err) end
  show_log()
  return run_chunk(chunk, "-e", 3)
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- An export that puts our paths in front, once, and keeps what was there.
local function export(name, front)
  local versioned = name .. "_5_4"
  if os.getenv(versioned) then name = versioned end
  local rest = os.getenv(name) or ";"
  if rest:sub(1, #front + 1) == front .. ";" then rest = rest:sub(#front + 2) end
  return ("export %s=%s\n"):format(name, quote(front .. ";" .. rest))
end

local function print_out(...)
  local ok, problem = io.write(...)
  if ok then ok, problem = io.stdout:flush() end
  if ok then return 0 end
  complain("stdout could not be written: " .. problem)
  return FAILED
end

local function print_env()
  return print_out(export("LUA_PATH", host.lua_path), export("LUA_CPATH", host.lua_cpath))
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
  package.path = scripts .. "/?.lua;" .. package.path
  return run_chunk(chunk, argv[0], 1)
end

local function is_readable(path)
  local file = io.open(path)
  if not file then return false end
  local _, err = file:read(0) -- a directory opens, and then cannot be read
  file:close()
  return err == nil
end

--- A command comes before a file of that name: what lies in somebody's directory must not
--- take the place of `axolua run`.
local function is_file(word)
  if word == "-" or word:find("/", 1, true) or word:find "%.lua$" then return true end
  if word == "help" or is_readable(host.share .. "/scripts/axolua/" .. word .. ".lua") then
    return false
  end
  return is_readable(word)
end

local function main()
  local word = argv[1]
  set_paths()
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
