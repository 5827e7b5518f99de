--- Real processes for the specs, driven from the top level of a test: every function here
--- runs luv's loop until what it waits for has come, or raises when that never comes.
local uv = require "luv"

local proc = {}

--- How long a condition may take before the test fails. Generous: a slow machine is no
--- failure, and a test that passes never waits for it. AXO_DEADLINE_S says otherwise, where a
--- machine is slower than any (see spec/README.md).
proc.DEADLINE_S = tonumber(os.getenv "AXO_DEADLINE_S" or "") or 60

--- Runs the loop until `condition()` is true; returns what it returned.
---@param condition fun(): any
---@param what string? named in the error
---@param deadline_s number?
function proc.eventually(condition, what, deadline_s)
  local deadline = uv.hrtime() + (deadline_s or proc.DEADLINE_S) * 1e9
  local tick = uv.new_timer()
  tick:start(0, 10, function() end)
  local value = condition()
  while not value and uv.hrtime() < deadline do
    uv.run "once"
    value = condition()
  end
  tick:close()
  -- A handle that is still closing when Lua's state ends crashes luv 1.44.
  uv.run "nowait"
  if not value then
    error("this never came about: " .. (what or "the condition of eventually()"), 2)
  end
  return value
end

local function collect(pipe, into, running)
  pipe:read_start(function(_, bytes)
    if bytes then
      into[#into + 1] = bytes
    else
      running.streams = running.streams - 1
      pipe:close()
    end
  end)
end

local process = {}
process.__index = process

--- Starts a program; its output is collected.
---@param argv string[]
---@param opts { env: string[]?, cwd: string?, stdin: string|boolean?, detached: boolean? }?
function proc.start(argv, opts)
  opts = opts or {}
  local out, err, input = uv.new_pipe(), uv.new_pipe(), nil
  if opts.stdin then input = uv.new_pipe() end
  local self = setmetatable({ streams = 2, out = {}, err = {}, input = input }, process)
  local handle, pid
  handle, pid = uv.spawn(argv[1], {
    args = table.move(argv, 2, #argv, 1, {}),
    env = opts.env, cwd = opts.cwd, detached = opts.detached, hide = true,
    stdio = { input, out, err },
  }, function(code, signal)
    self.code, self.signal = code, signal
    handle:close()
  end)
  if not handle then error(("cannot run %s: %s"):format(argv[1], pid), 2) end
  self.handle, self.pid = handle, pid
  collect(out, self.out, self)
  collect(err, self.err, self)
  if type(opts.stdin) == "string" then
    self:write(opts.stdin)
    self:close_stdin()
  end
  return self
end

function process:write(bytes)
  self.input:write(bytes)
end

function process:close_stdin()
  if not self.input then return end
  local input = self.input
  self.input = nil
  input:shutdown(function() input:close() end)
end

function process:stdout() return table.concat(self.out) end
function process:stderr() return table.concat(self.err) end
function process:is_running() return self.code == nil end

function process:kill(signal)
  if self:is_running() then self.handle:kill(signal or "sigkill") end
end

--- Waits for a Lua pattern in what it printed, and returns the captures.
function process:wait_for(pattern)
  proc.eventually(function()
    return self:stdout():find(pattern) or not self:is_running() and self.streams == 0
  end, ("%q in the output of process %d"):format(pattern, self.pid))
  if not self:stdout():find(pattern) then
    error(("the process ended (%s) without printing %q; stdout: %s stderr: %s"):format(
      tostring(self.code), pattern, self:stdout(), self:stderr()), 2)
  end
  return self:stdout():match(pattern)
end

--- Waits for its end. With `leave_streams`, a descendant may still hold its pipes.
function process:wait(leave_streams)
  proc.eventually(function()
    return not self:is_running() and (leave_streams or self.streams == 0)
  end, "the end of process " .. self.pid)
  return { code = self.code, signal = self.signal,
    stdout = self:stdout(), stderr = self:stderr() }
end

--- Runs a program to its end.
---@return { code: integer, signal: integer, stdout: string, stderr: string }
function proc.run(argv, opts)
  return proc.start(argv, opts):wait()
end

--- Runs a program that must succeed; returns its stdout.
---@return string
function proc.must(argv, opts)
  local result = proc.run(argv, opts)
  if result.code ~= 0 or result.signal ~= 0 then
    error(("%s failed (%d): %s"):format(table.concat(argv, " "), result.code,
      result.stderr), 2)
  end
  return result.stdout
end

--- Lets the loop turn until nothing on it is due at once.
function proc.turn(times)
  for _ = 1, times or 1 do uv.run "nowait" end
end

--- The environment of this process as "K=V", with changes; a value of false removes one.
---@param changes table<string, string|false>?
---@return string[]
function proc.environment(changes)
  local list = {}
  for key, value in pairs(uv.os_environ()) do
    if not (changes and changes[key] ~= nil) then list[#list + 1] = key .. "=" .. value end
  end
  for key, value in pairs(changes or {}) do
    if value then list[#list + 1] = key .. "=" .. value end
  end
  return list
end

-- What this process was started with: the helper of the sanitised build takes it out of the
-- environment, since only an interpreter that loads the module needs it.
local function preloaded()
  local file = io.open "/proc/self/environ"
  local environment = file and file:read "a" or ""
  if file then file:close() end
  return ("\0" .. environment):match "%zLD_PRELOAD=(%Z*)"
end

--- The same for an interpreter that loads the module, in whatever build.
---@param changes table<string, string|false>?
---@return string[]
function proc.interpreter_environment(changes)
  local all = { LD_PRELOAD = preloaded() }
  for key, value in pairs(changes or {}) do all[key] = value end
  return proc.environment(all)
end

return proc
