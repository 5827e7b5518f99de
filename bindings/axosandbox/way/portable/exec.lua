--- A command in the foreground on the portable way.
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local exec = require "axosandbox.way.exec"
local result = require "axosandbox.way.result"
local tree = require "axosandbox.way.portable.tree"

local portable_exec = {}

-- The client is ended by the kill sequence itself, each step of which is bounded; this bounds
-- the whole, whatever happens to the sequence.
local BACKSTOP = 120

---@class axo.PortableExec: axo.Exec
---@field tree axo.Tree
---@field complaint string the first bytes of a streamed stderr
---@field raw table? what was reported of the client's end
local Exec = exec.class()

function Exec:send_signal(name, is_tree, done)
  if self.tree.client.is_open then
    return nil, errors.new { code = "ESRCH", op = "signal", message = "the command has ended" }
  end
  return self.tree:signal(name, is_tree and "tree" or "main", done)
end

-- What podman itself complains of arrives there, too.
local function keep_complaint(self, pass)
  return function(bytes)
    local room = tree.COMPLAINT_MAX - #self.complaint
    if room > 0 then self.complaint = self.complaint .. bytes:sub(1, room) end
    pass(bytes)
  end
end

local function options_of(self)
  local spec = self.spec
  local opts = self:streams {
    env = self.tree:client_env(spec), cwd = "/",
    timeout = spec.timeout, grace = BACKSTOP + (spec.grace or 0),
    max_output = spec.max_output, on_limit = spec.on_limit,
    on_deadline = function() self.tree:kill(spec.grace) end,
  }
  if opts.on_stderr then opts.on_stderr = keep_complaint(self, opts.on_stderr) end
  return opts
end

local function spawn(self)
  local argv, err = self.tree:argv(self.spec, { interactive = self.spec.stdin ~= nil })
  if not argv then return nil, err end
  self.process, err = core.spawn(argv, options_of(self), function(raw)
    self.raw = raw
    self.tree:client_ended()
  end)
  if not self.process then return nil, err end
  self.tree:attach(self.process)
  if self.next_input then self:feed() end
  return true
end

-- The podman client was ended by somebody else, and its command may go on inside.
local function was_orphaned(self)
  return self.raw and self.raw.signal and not self.tree.is_cut and not self.tree.stopped
end

local function lost_result(self)
  return {
    stdout = "", stderr = "", stdout_total = 0, stderr_total = 0, duration = 0,
    timed_out = not self.was_cancelled, cancelled = self.was_cancelled,
  }
end

-- Everything has ended: what is there to say?
local function verdict(self, done)
  local raw = self.raw or lost_result(self)
  local failure = self:callback_failure()
  if failure then return done(failure) end
  if self.tree.stopped then return done(self.way:stopped_error "exec") end
  local fault = self.tree:judge {
    code = raw.code, signal = raw.signal, argv0 = self.spec.argv[1],
    stderr = self.spec.on_stderr and self.complaint or raw.stderr,
    stdout_total = raw.stdout_total,
  }
  if fault and not (raw.timed_out or raw.cancelled or raw.limit_hit) then return done(fault) end
  self.tree:check_gone(raw.code, function(gone)
    if gone then return done(gone) end
    raw.left_running = self.tree:count_left()
    local ended = result.new(raw, self.tree.is_cut)
    if ended.code ~= 0 then ended.oom_killed = self.tree:oom_cause() end
    done(nil, ended)
  end)
end

local function begin(self, done)
  if not self.way.is_open then return nil, self.way:stopped_error "exec" end
  self.tree = tree.new(self.way, self.spec.user)
  local spawned, err = spawn(self)
  if not spawned then
    self.tree:abandon()
    return nil, err
  end
  self.tree.client:on(function()
    if was_orphaned(self) then self.tree:kill(self.spec.grace) end
  end)
  self.tree.over:on(function() verdict(self, done) end)
  return self
end

--- Runs `spec.argv`. `done` comes once the command has ended and, after a timeout, a cancel or
--- a limit that kills, nothing of its tree runs any more.
---@param way axo.PortableWay
---@param spec axo.ExecSpec
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? exec, axo.Error?
function portable_exec.start(way, spec, done)
  local self = setmetatable({ way = way, spec = spec, process = false, complaint = "" }, Exec)
  if spec.within then return self:begin_within(begin, done) end
  return begin(self, done)
end

return portable_exec
