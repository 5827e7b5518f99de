--- Terminals on the portable way: a PTY out here under `podman exec -it`, its output in a ring that
--- is the scrollback.
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local naming = require "axosandbox.base.naming"
local portable_work = require "axosandbox.way.portable.work"
local work = require "axosandbox.way.work"

local terminal = {}

-- Seconds after a change of size at which podman is told to look again. It loses about one
-- change in five on a busy machine (4.3.1), and nothing tells which.
local REMINDERS = { 0.1, 0.5, 2 }

---@class axo.PortableTerminal: axo.PortableWork
local Terminal = portable_work.class()

function Terminal:on_final() self:retire() end

function Terminal:write(bytes)
  return self.pty:write(bytes)
end

function Terminal:remind(n)
  if self.forget_reminder then self.forget_reminder() end
  self.forget_reminder = REMINDERS[n] and await.after(REMINDERS[n], function()
    self.pty:signal "WINCH"
    self:remind(n + 1)
  end)
end

function Terminal:resize(rows, cols)
  local ok, err = self.pty:resize(rows, cols)
  if ok then
    self.rows, self.cols = rows, cols
    self:remind(1)
  end
  return ok, err
end

local function bound(self, timeout, grace)
  if not timeout or timeout <= 0 then return end
  self.tree.client:on(await.after(timeout, function() self:time_out(grace) end))
end

-- podman hands the size on when it starts, and the program may come too late or too early for
-- it. Its first output shows that it is there: so podman is told to look again.
local function on_output(self)
  if not self.was_heard then
    self.was_heard = true
    self.pty:signal "WINCH"
    if not self.forget_reminder then self:remind(1) end
  end
  self:announce()
end

local function begin(self, spec)
  local argv, err = self.tree:argv(spec, {
    interactive = true, tty = true, env = { TERM = work.TERM },
  })
  if not argv then return nil, err end
  self.pty, err = core.pty(argv, {
    env = self.tree:client_env(spec), cwd = "/", ring = self.ring,
    rows = spec.rows, cols = spec.cols, raw = true,
    on_output = function() on_output(self) end,
  }, function(raw)
    self:remind(#REMINDERS + 1)
    self.raw = raw
    self.tree:client_ended()
  end)
  if not self.pty then return nil, err end
  self.tree:attach(self.pty)
  bound(self, spec.timeout, spec.grace)
  return true
end

--- Starts a program on a terminal. Fails with code "LIMIT" when too many are open.
---@param way axo.PortableWay
---@param spec axo.WorkSpec
---@return axo.PortableWork? terminal, axo.Error?
function terminal.start(way, spec)
  local free, err = portable_work.check(way, "terminal")
  if not free then return nil, err end
  local ring
  ring, err = core.ring(spec.ring or work.RING.terminal)
  if not ring then return nil, err end
  return portable_work.start(Terminal, way, {
    id = work.LETTER.terminal .. naming.token(6), kind = "terminal", ring = ring,
    rows = spec.rows or 24, cols = spec.cols or 80,
  }, spec, begin)
end

return terminal
