--- One operation on images under way: what it asks of podman and of other programs, and whether it
--- was cancelled.
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local last_line = require "axosandbox.base.text.last_line"
local podman = require "axosandbox.podman"
local pull_progress = require "axosandbox.podman.images.pull_progress"

local GRACE = 2 -- seconds between TERM and KILL
local MAX_DRAWN = 64 * 1024

---@class axo.ImageErrand
---@field op string for errors
---@field client axo.Client
---@field asked { source: string? } as a start has it
local Errand = {}
Errand.__index = Errand

local errand = {}

local function stopped(self)
  return errors.new { code = "CANCELLED", op = self.op, message = "cancelled" }
end

local function wait(self, begin)
  if self.cancelled then return nil, stopped(self) end
  local result, err = await.call(function(done)
    local process, problem = begin(done)
    self.current = process
    return process, problem
  end)
  self.current = nil
  if self.cancelled then return nil, stopped(self) end
  return result, err
end

--- Asks podman, in the errand's coroutine.
---@param argv string[]
---@param opts axo.RequestOptions?
---@return table? result, axo.Error?
function Errand:ask(argv, opts)
  opts = opts or {}
  opts.op = opts.op or self.op
  return wait(self, function(done) return self.client:request(argv, opts, done) end)
end

local function error_of(self, argv, result)
  if result.timed_out then
    return errors.new { code = "TIMEOUT", op = self.op, message = argv[1] .. " took too long" }
  end
  if result.code == 0 then return nil end
  return errors.new {
    code = "FAILED", op = self.op,
    message = ("%s failed: %s"):format(argv[1], last_line(result.stderr)
      or last_line(result.stdout) or "it said nothing"),
    stderr = result.stderr, stdout = result.stdout,
    exit_code = result.code, signal = result.signal,
  }
end

--- Runs a program of this host, in the errand's coroutine.
---@param argv string[]
---@param opts axo.core.SpawnOptions
---@return axo.core.ProcessResult? result, axo.Error?
function Errand:run(argv, opts)
  return wait(self, function(done)
    return core.spawn(argv, opts, function(result) done(error_of(self, argv, result), result) end)
  end)
end

-- podman may hang where it is told to end.
local function stopper(pty)
  return function()
    pty:signal "TERM"
    await.after(GRACE, function() pty:signal "KILL" end)
  end
end

--- Runs podman on a terminal, where it draws how far it is; in the errand's coroutine.
---@param argv string[]
---@param opts { timeout: number, on_output: fun(bytes: string) }
---@return { stdout: string }? result all that was drawn, its last 64 KiB, axo.Error? as of `ask`
function Errand:watch(argv, opts)
  local drawn, timed_out, stop_waiting = "", false, nil
  return wait(self, function(done)
    local pty, err = core.pty(argv, {
      env = self.client.env, cwd = "/", rows = 50, cols = 200,
      on_output = function(bytes)
        drawn = (drawn .. bytes):sub(-MAX_DRAWN)
        opts.on_output(bytes)
      end,
    }, function(result)
      stop_waiting()
      done(podman.error_of({
        code = result.code, signal = result.signal, timed_out = timed_out, stdout = drawn,
        stderr = pull_progress.words(drawn),
      }, { op = self.op, timeout = opts.timeout }), { stdout = drawn })
    end)
    if not pty then return nil, err end
    local stop = stopper(pty)
    stop_waiting = await.after(opts.timeout, function()
      timed_out = true
      stop()
    end)
    return { cancel = stop }
  end)
end

--- Cancels it: what runs now is ended, and nothing more is begun. Idempotent.
function Errand:cancel()
  self.cancelled = true
  if self.current then self.current:cancel() end
end

--- Performs an operation that asks podman, in the style that the caller chose.
---@param op string
---@param body fun(self: axo.ImageErrand): any, axo.Error? in a coroutine; may raise errors
---@param callback fun(err: axo.Error?, ...)?
---@return any # with a callback what can be cancelled: `handle:cancel()`
function errand.begin(op, body, callback)
  local self = setmetatable({ op = op, asked = {} }, Errand)
  return await.call(function(done)
    await.defer(function()
      await.spawn(function()
        self.client = errors.must(podman.client())
        return body(self)
      end, done)
    end)
    return self
  end, callback)
end

return errand
