--- Other Lua hosts: separate processes that use the engine, for what takes two of them (two
--- starts at once, a host that was killed, a session that another host opens).
local uv = require "luv"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"

local host = {}

local PRELUDE = [[
local uv = require "luv"
local axo = require "axosandbox"
local function say(...)
  io.stdout:write(table.concat({ ... }, " "), "\n")
  io.stdout:flush()
end
local function wait_for_line() return io.stdin:read "l" end
_ENV = setmetatable({ uv = uv, axo = axo, say = say, wait_for_line = wait_for_line },
  { __index = _G })
]]

--- Writes a value as Lua source: tables of strings, numbers and booleans.
---@return string
function host.source(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local parts = {}
  for k, v in pairs(value) do
    parts[#parts + 1] = ("[%s] = %s"):format(host.source(k), host.source(v))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

--- Starts a Lua host that runs `code`. In it, `axo`, `uv`, `say(...)` (a line to the spec)
--- and `wait_for_line()` (from the spec) are at hand, and `options` is `opts.options`.
---@param code string
---@param opts { options: table?, env: table<string, string|false>?, cwd: string? }?
function host.start(code, opts)
  opts = opts or {}
  local file = temp.dir() .. "/host.lua"
  temp.write(file, PRELUDE .. "local options = " .. host.source(opts.options or {})
    .. "\n" .. code)
  local changes = { LUA_PATH_5_4 = package.path, LUA_CPATH_5_4 = package.cpath }
  for key, value in pairs(opts.env or {}) do changes[key] = value end
  return proc.start({ uv.exepath(), file }, {
    env = proc.interpreter_environment(changes), stdin = true, cwd = opts.cwd,
  })
end

--- Runs one to its end.
function host.run(code, opts)
  local process = host.start(code, opts)
  process:close_stdin()
  return process:wait()
end

--- A host that starts a session, says "started CONTAINER" (or "failed CODE MESSAGE") and
--- then does nothing until it is told to end or is killed.
function host.with_session(options)
  return host.start([[
    local sb, err = axo.start(options)
    if sb then
      say("started", sb:container())
    else
      say("failed", err.code, tostring(err))
    end
    wait_for_line()
  ]], { options = options })
end

return host
