--- A command in the foreground on the native way.
local core = require "axosandbox.core"
local exec = require "axosandbox.way.exec"
local faults = require "axosandbox.way.native.faults"
local result = require "axosandbox.way.result"
local signals = require "axosandbox.base.signals"

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

--- An environment as the guest takes it: variables as "K=V".
---@param env table<string, string>?
---@param secrets axo.Secrets? `env` goes before them
---@return string[]? # nil when there are none
function native_exec.environment(env, secrets)
  if not env and not secrets then return nil end
  local list = {}
  for name, value in pairs(env or {}) do list[#list + 1] = name .. "=" .. value end
  for name, value in pairs(secrets and secrets.values or {}) do
    if not (env and env[name]) then list[#list + 1] = name .. "=" .. value end
  end
  table.sort(list)
  return list
end

-- What a guest reports becomes the result: it knows a signal from an exit code.
local function verdict(self, raw)
  local denied = self.work_id and self.way.network:ended(self.work_id)
  local failure = self.callback_error and self:callback_failure()
  if failure then return failure end
  if not self.way.is_open then return self.way:stopped_error "exec" end
  if raw.failure then return faults.of(raw.failure, self.way, "exec", self.spec.argv[1]) end
  raw.drain_cut, raw.denied = nil, denied
  raw.left_output = (raw.left_running or 0) > 0 and "dropped" or nil
  if raw.code == -1 then raw.code = nil end
  if raw.signal then raw.code = signals.code_of(raw.signal) end
  if raw.code ~= 0 then raw.oom_killed = self.way.memory:cause(self.mark) end
  return nil, setmetatable(raw, result.Result)
end

local function begin(self, done)
  local spec, way = self.spec, self.way
  local opts = {
    cwd = spec.cwd or way.root, user = spec.user, timeout = spec.timeout,
    grace = spec.grace or GRACE, max_output = spec.max_output, on_limit = spec.on_limit,
    env = native_exec.environment(spec.env, spec.secrets),
  }
  if spec.stdin or spec.on_stdout or spec.on_stderr then self:streams(opts) end
  local process, err = way.link:exec(spec.argv, opts, function(raw)
    return done(verdict(self, raw))
  end)
  if not process then return nil, faults.of(err, way) end
  self.process = process
  if way.network then
    self.work_id = process:work_id()
    way.network:began(self.work_id, spec.argv)
  end
  if self.next_input then self:feed() end
  return self
end

--- Why nothing more is begun there.
---@param way axo.NativeWay
---@param op string
---@return axo.Error? err
function native_exec.refusal(way, op)
  if not way.is_open then return way:stopped_error(op) end
  return way.is_down and way:gone() or nil
end

--- Refuses what podman would be refused: there is one grammar of users, and a program has a name.
--- Only a guest that is root can become somebody else; podman always can.
---@param way axo.NativeWay
---@param op string
---@param spec axo.ExecSpec
---@return axo.Error? err, boolean? is_for_podman
function native_exec.check(way, op, spec)
  if way.is_down or not way.is_open then return native_exec.refusal(way, op) end
  local user = spec.user
  if not user and spec.argv[1] ~= "" then return nil end
  local _, problem = core.argv.exec {
    podman = way.client.program, container = way.container, command = { spec.argv[1] },
    user = user,
  }
  return problem, user and user ~= way.record.user and way.link:uid() ~= 0
end

--- Runs `spec.argv`.
---@param way axo.NativeWay
---@param spec axo.ExecSpec
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? exec, axo.Error?
function native_exec.start(way, spec, done)
  if way.is_down or not way.is_open or spec.user or spec.argv[1] == "" then
    local err, is_for_podman = native_exec.check(way, "exec", spec)
    if err then return nil, err end
    if is_for_podman then return way.podman:exec(spec, done) end
  end
  local self = setmetatable({
    way = way, spec = spec, process = false, mark = way.memory:mark(),
  }, Exec)
  if spec.within then return self:begin_within(begin, done) end
  return begin(self, done)
end

return native_exec
