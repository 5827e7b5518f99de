--- The axolua that belongs to the module under test, and its scripts.
local uv = require "luv"
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

--- Makes `axolua.lib.*` loadable here.
function cli.expose_libraries()
  local entry = cli.scripts() .. "/?.lua;"
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

return cli
