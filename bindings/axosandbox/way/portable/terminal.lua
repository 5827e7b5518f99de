--- Terminals on the portable path: a PTY out here under `podman exec -it`, its output in a ring
--- that is the scrollback.
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local naming = require "axosandbox.base.naming"
local source = require "axosandbox.way.portable.source"
local work = require "axosandbox.way.portable.work"

local terminal = {}

terminal.MAX_RUNNING = 64
terminal.MAX_ENDED = 64
terminal.RING = 256 * 1024
local TERM = "xterm-256color"

-- Seconds after a change of size at which podman is told to look again. It loses about one
-- change in five on a busy machine (4.3.1), and nothing tells which.
local REMINDERS = { 0.1, 0.5, 2 }

local Terminal = setmetatable({}, { __index = source.Source })
Terminal.__index = Terminal

--- Types bytes into the terminal.
---@param bytes string
---@return true?, axo.Error?
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

--- Changes its size, inside and out.
---@param rows integer
---@param cols integer
---@return true?, axo.Error?
function Terminal:resize(rows, cols)
  local ok, err = self.pty:resize(rows, cols)
  if ok then
    self.rows, self.cols = rows, cols
    self:remind(1)
  end
  return ok, err
end

---@return integer rows, integer cols
function Terminal:size()
  return self.rows, self.cols
end

local function bound(self, timeout, grace)
  if not timeout or timeout <= 0 then return end
  self.work.client:on(await.after(timeout, function() self:time_out(grace) end))
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

local function spawn(self, spec)
  local argv, err = self.work:argv(spec, {
    interactive = true, tty = true, env = { TERM = TERM },
  })
  if not argv then return nil, err end
  self.pty, err = core.pty(argv, {
    env = self.work:client_env(spec), cwd = "/", ring = self.ring,
    rows = spec.rows, cols = spec.cols, raw = true,
    on_output = function() on_output(self) end,
  }, function(raw)
    self:remind(#REMINDERS + 1)
    self.raw = raw
    self.work:client_ended()
  end)
  if not self.pty then return nil, err end
  self.work:attach(self.pty)
  bound(self, spec.timeout, spec.grace)
  return true
end

local function on_final(self)
  local path = self.work.path
  path.terminal_order = (path.terminal_order or 0) + 1
  self.ended_order = path.terminal_order
end

--- Starts a program on a terminal. Fails with code "LIMIT" when too many are open.
---@param path axo.Path
---@param spec { argv: string[], rows: integer?, cols: integer?, env: table<string, string>?, cwd: string?, user: string?, timeout: number?, grace: number?, ring: integer? }
---@return axo.Source?, axo.Error?
function terminal.start(path, spec)
  if source.count_running(path.local_terminals) >= terminal.MAX_RUNNING then
    return nil, errors.new {
      code = "LIMIT", op = "terminal", hint = "close one of them first",
      message = ("%d terminals are open in this session, and no more are allowed")
        :format(terminal.MAX_RUNNING),
    }
  end
  local ring, err = core.ring(spec.ring or terminal.RING)
  if not ring then return nil, err end
  local self = setmetatable(source.new {
    id = "p" .. naming.token(6), argv = spec.argv, ring = ring,
    rows = spec.rows or 24, cols = spec.cols or 80,
    work = work.new(path, spec.user), on_final = on_final,
  }, Terminal)
  local started
  started, err = spawn(self, spec)
  if not started then
    self.work:abandon()
    return nil, err
  end
  path.local_terminals[self.id] = self
  source.forget_oldest(path.local_terminals, terminal.MAX_ENDED, function() end)
  return self
end

return terminal
