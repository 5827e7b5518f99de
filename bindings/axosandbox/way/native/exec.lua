--- A command in the foreground on the native way.
local environment = require "axosandbox.way.native.env"
local exec = require "axosandbox.way.exec"
local faults = require "axosandbox.way.native.faults"
local result = require "axosandbox.way.result"

local native_exec = {}

local GRACE = 2

local Exec = exec.class()

-- `done` hears how many processes there were.
function Exec:send_signal(name, tree, done)
  local function answered(err, count)
    done(err and faults.of_signal(err, self.way, "the command"), count)
  end
  local ok, err = self.process:signal(name, tree, answered)
  if not ok then return nil, faults.of_signal(err, self.way, "the command") end
  return true
end

local function options_of(self)
  local spec = self.spec
  local opts = {
    cwd = spec.cwd or self.way.root, timeout = spec.timeout, grace = spec.grace or GRACE,
    max_output = spec.max_output, on_limit = spec.on_limit,
  }
  opts.env = (spec.env or spec.secrets) and environment.list(spec.env, spec.secrets)
  opts.user = spec.user
  if spec.stdin or spec.on_stdout or spec.on_stderr then return self:streams(opts) end
  return opts
end

local function verdict(self, raw)
  local failure = self.callback_error and self:callback_failure()
  if failure then return failure end
  if not self.way.is_open then return self.way:stopped_error "exec" end
  if raw.failure then return faults.of(raw.failure, self.way, "exec", self.spec.argv[1]) end
  local ended = result.exact(raw)
  if ended.code ~= 0 then ended.oom_killed = self.way.memory:cause(self.mark) end
  return nil, ended
end

local function begin(self, done)
  local process, err = self.way.link:exec(self.spec.argv, options_of(self), function(raw)
    return done(verdict(self, raw))
  end)
  if not process then return nil, faults.of(err, self.way) end
  self.process = process
  if self.next_input then self:feed() end
  return self
end

--- Runs `spec.argv`.
---@param way axo.NativeWay
---@param spec axo.ExecSpec
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? exec, axo.Error?
function native_exec.start(way, spec, done)
  local self = setmetatable({
    way = way, spec = spec, process = false, mark = way.memory:mark(),
  }, Exec)
  if spec.within then return self:begin_within(begin, done) end
  return begin(self, done)
end

return native_exec
