--- The axolua that belongs to the module under test, and its scripts.
local uv = require "luv"
local core = require "axosandbox.core"
local proc = require "spec.support.proc"

local cli = {}

local function prefix()
  local module = assert(package.searchpath("axosandbox.core", package.cpath))
  return assert(module:match "^(.*)/lib/.-/axosandbox/core%.so$", module)
end

--- The program: in the build tree, or installed.
---@return string path
function cli.axolua()
  for _, name in ipairs { "/axolua", "/bin/axolua" } do
    if uv.fs_access(prefix() .. name, "X") then return prefix() .. name end
  end
  error("there is no axolua beside " .. prefix())
end

--- Where the shell scripts and the commands' Lua files lie.
---@return string path
function cli.scripts()
  return assert(uv.fs_realpath(prefix() .. "/share/axosandbox/scripts"))
end

--- What package.path begins with where `axolua.*` can be loaded.
---@return string
function cli.lua_path()
  return ("%s/?.lua;%s/?/init.lua;"):format(cli.scripts(), cli.scripts())
end

--- Makes `axolua.*` loadable here.
function cli.expose_libraries()
  local entry = cli.lua_path()
  if package.path:sub(1, #entry) ~= entry then package.path = entry .. package.path end
end

--- Runs axolua to its end.
---@param arguments string[]
---@param opts { env: table?, cwd: string?, stdin: string|boolean? }?
function cli.run(arguments, opts)
  opts = opts or {}
  return proc.run({ cli.axolua(), table.unpack(arguments) }, {
    env = proc.environment(opts.env), cwd = opts.cwd, stdin = opts.stdin,
  })
end

--- Runs a shell script in which $AXOLUA is the program and "$@" are `...`.
---@param script string
---@return { code: integer, stdout: string, stderr: string }
function cli.shell(script, ...)
  return proc.run({ "/bin/sh", "-c", script, "sh", ... }, {
    env = proc.environment { AXOLUA = cli.axolua(), SCRIPTS = cli.scripts() },
  })
end

--- Runs a shell script on a terminal of its own, in which $AXOLUA is the program.
---@param script string
---@param list string[] its arguments
---@param size { [1]: integer, [2]: integer }? rows and columns
---@param env table<string, string|false>?
function cli.on_terminal(script, list, size, env)
  local changes = { AXOLUA = cli.axolua(), TERM = "xterm" }
  for name, value in pairs(env or {}) do changes[name] = value end
  local screen = { text = "" }
  local pty
  pty = assert(core.pty({ "/bin/sh", "-c", script, "sh", table.unpack(list) }, {
    rows = size and size[1] or 24, cols = size and size[2] or 80,
    env = proc.environment(changes),
    on_output = function(bytes) screen.text = screen.text .. bytes end,
  }, function(result) screen.result = result end))
  function screen.type(bytes) assert(pty:write(bytes)) end
  function screen.resize(rows, cols) assert(pty:resize(rows, cols)) end
  function screen.shows(pattern)
    return proc.eventually(function()
      if screen.result and not screen.text:find(pattern) then
        error("it ended without showing " .. pattern .. ": " .. screen.text)
      end
      return screen.text:match(pattern)
    end, ("%q on %q"):format(pattern, screen.text))
  end
  function screen.pid() return pty:pid() end
  function screen.wait()
    proc.eventually(function() return screen.result end, "the end; shown: " .. screen.text)
    return screen.result
  end
  return screen
end

return cli
