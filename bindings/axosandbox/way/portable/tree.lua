--- What runs on the portable way, a command, a task or a terminal: a podman client out here, a
--- marked tree of processes inside, and their common end.
local await = require "axosandbox.base.await"
local complaint = require "axosandbox.base.text.complaint"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local gate = require "axosandbox.base.gate"
local naming = require "axosandbox.base.naming"
local kill = require "axosandbox.way.portable.kill"
local locale = require "axosandbox.way.portable.locale"
local outside = require "axosandbox.way.portable.outside"
local secrets = require "axosandbox.podman.secrets"
local signals = require "axosandbox.base.signals"
local tables = require "axosandbox.base.tables"

local tree = {}

-- Beyond any podman complaint: what is longer belongs to the command.
tree.COMPLAINT_MAX = 16 * 1024

---@class axo.Tree
---@field way axo.PortableWay
---@field mark string what its processes carry in their environment
---@field user string?
---@field client axo.Gate open once the podman client has ended
---@field over axo.Gate open once nothing of it runs any more, inside or out
---@field stopped boolean? the session was stopped under it
---@field killing axo.Gate?
---@field kill_error axo.Error? some of it may run on
local Tree = {}
Tree.__index = Tree

---@param way axo.PortableWay
---@param user string? whose processes they are; nil: the container's own user
---@return axo.Tree
function tree.new(way, user)
  local self = setmetatable({
    way = way, user = user, mark = way.key .. "." .. naming.token(8),
    client = gate.new(), over = gate.new(), memory_mark = way.memory:mark(),
  }, Tree)
  way.trees[self] = true
  return self
end

--- The `podman exec` of a spec.
---@param spec { argv: string[], env: table<string, string>?, secrets: axo.Secrets?, cwd: string?, user: string? }
---@param shape { interactive: boolean?, tty: boolean?, env: table<string, string>? }
---@return string[]? argv, axo.Error?
function Tree:argv(spec, shape)
  local env = tables.merged(shape.env, locale.with_default(spec.env, self.way.record))
  env[kill.VARIABLE] = self.mark
  return core.argv.exec {
    podman = self.way.client.program, container = self.way.container,
    command = spec.argv, workdir = spec.cwd or self.way.root, user = self.user, env = env,
    env_names = secrets.names_for(spec.secrets, env),
    interactive = shape.interactive, tty = shape.tty,
  }
end

--- The environment of that `podman exec`.
---@param spec { secrets: axo.Secrets? }
---@return string[] "NAME=value"
function Tree:client_env(spec)
  return secrets.client_env(self.way.client.env, spec.secrets)
end

--- The client is there.
---@param process any it has :signal and :close
function Tree:attach(process)
  self.process = process
end

--- It could not be started: there is nothing to end.
function Tree:abandon()
  self.way.trees[self] = nil
  self.client:open()
  self.over:open()
end

--- The client has ended.
function Tree:client_ended()
  self.client:open()
  if not self.killing then return self:finish() end
end

function Tree:finish()
  self.way.trees[self] = nil
  self.over:open()
end

--- Ends the tree inside, then the client. `over` opens when both are done; calling again
--- changes nothing.
---@param grace number? seconds between TERM and KILL
function Tree:kill(grace)
  if self.killing or self.over.is_open then return end
  self.killing = gate.new()
  local target = {
    way = self.way, mark = self.mark, user = self.user, client = self.client,
    grace = grace or kill.GRACE,
    cut = function() self:cut() end,
  }
  await.spawn(function() return kill.tree(target) end, function(err)
    self.kill_error = err
    if err and not self.stopped then self.way:warn(err.message) end
    self.killing:open()
    if not self.client.is_open then self:lose_client() end
    self:finish()
  end)
end

--- Ends the client by force. Nothing that it reports from now on is believed.
function Tree:cut()
  self.is_cut = true
  self.process:signal "KILL"
end

-- A client that even SIGKILL does not end (it hangs in the kernel): go on without it.
function Tree:lose_client()
  self.is_cut = true
  self.process:close()
  self.client:open()
end

--- Sends a signal inside.
---@param signal string
---@param mode "tree"|"main"
---@param done fun(err: axo.Error?, found: integer?)
---@return any handle, axo.Error?
function Tree:signal(signal, mode, done)
  return kill.pass(self.way, {
    mark = self.mark, signal = signal, user = self.user, mode = mode,
  }, function(err, report)
    done(err, report and report.found)
  end)
end

--- How much of it runs on after its end.
---@return integer? count nil: not known
function Tree:count_left()
  return outside.count(self.way, kill.VARIABLE .. "=" .. self.mark)
end

--- Whether memory ran out while it ran.
---@return "limit"|"host"|nil
function Tree:oom_cause()
  return self.way.memory:cause(self.memory_mark)
end

--- What podman's own failure amounts to, or nil when the exit is the command's.
---@param outcome { code: integer?, signal: string?, argv0: string, stderr: string, stdout_total: integer }
---@return axo.Error?
function Tree:judge(outcome)
  if self.is_cut or not (outcome.code or outcome.signal) then return nil end
  if outcome.signal then
    return errors.new {
      code = "PODMAN", op = "exec", signal = outcome.signal, stderr = outcome.stderr,
      message = ("the podman client was ended by SIG%s"):format(outcome.signal),
    }
  end
  local fault = core.podman.judge {
    code = outcome.code, argv0 = outcome.argv0,
    stderr = complaint.without_log(outcome.stderr), stdout_total = outcome.stdout_total,
  }
  -- Why that is, podman does not say.
  return fault and fault.code == "GONE" and self.way.memory.end_cause and self.way:gone() or fault
end

--- An exit with 137 that nobody asked for may be the container's end rather than the
--- command's: podman says nothing of it, so it is asked.
---@param code integer?
---@param done fun(err: axo.Error?) code "GONE" when the container does not run any more
function Tree:check_gone(code, done)
  if signals.of_code(code) ~= "KILL" or self.killing or self.stopped then return done() end
  local cause = self:oom_cause() -- soon there will be nothing to read
  self.way:is_running(function(is_running)
    done(is_running == false and self.way:gone(cause) or nil)
  end)
end

return tree
