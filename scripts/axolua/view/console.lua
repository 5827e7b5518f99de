--- What the library has to say, on stderr: warnings at once, progress only of what takes
--- long enough for somebody to wonder, with how long it has taken.
local uv = require "luv"
local axo = require "axosandbox"
local cli = require "axolua.cli"
local status = require "axolua.view.status"

local console = {}

local PATIENCE_MS = 700

---@class cli.Console
local Console = {}
Console.__index = Console

-- A terminal has one line for it; a log gets a line each, with the time since the beginning.
function Console:report(message, since)
  if self.is_drawn then return status.show(message, since) end
  if not self.began then return cli.say(message) end
  cli.say(("[%s] %s"):format(status.span((uv.hrtime() - self.began) / 1e9), message))
end

function Console:progress(message)
  if self.impatient then return self:report(message, uv.hrtime()) end
  self.latest, self.latest_since = message, uv.hrtime()
end

-- From now on everything is shown, beginning with what is under way.
function Console:lose_patience()
  self.impatient = true
  if self.latest then self:report(self.latest, self.latest_since) end
  self.latest = nil
end

-- What was under way has come to this: it is no news any more.
function Console:warn(message)
  cli.say("warning: " .. message)
  self.latest, self.latest_since = self.whole, self.began
  if self.impatient and self.whole then self:report(self.whole, self.began) end
end

function Console:receive(level, message, fields)
  if level == "error" then return cli.say(message) end
  if self.is_quiet and not (fields and fields.unmet) then return end
  if level == "warn" then return self:warn(message) end
  if level == "info" or self.is_verbose then self:progress(message) end
end

--- Whether there is one line on a terminal that can be drawn again.
---@return boolean
function Console:has_line() return self.is_drawn and not self.is_quiet or false end

--- The long work that has begun is so far: on a terminal that is shown, with its whole time.
---@param message string
function Console:advance(message)
  if not self:has_line() or message == self.whole then return end
  self.whole, self.latest, self.latest_since = message, message, self.began
  if self.impatient then self:report(message, self.began) end
end

--- Work on the session is over (or was it ever long?): no more progress is shown.
function Console:settle()
  self.latest, self.began, self.whole = nil, nil, nil
  self.impatient = false
  if self.timer then self.timer:stop() end
  status.hide()
end

--- Long work begins: progress is shown once it has lasted.
---@param what string? shown on a terminal until there is something better to say
function Console:begin(what)
  self.began = uv.hrtime()
  if self.is_drawn and not self.is_quiet then
    self.whole, self.latest, self.latest_since = what, what, self.began
  end
  self.timer = self.timer or uv.new_timer()
  self.timer:start(PATIENCE_MS, 0, function() self:lose_patience() end)
  self.timer:unref()
end

--- Becomes the receiver of the library's messages.
---@param opts { quiet: boolean?, verbose: boolean? }
---@return cli.Console
function console.open(opts)
  local self = setmetatable({
    is_quiet = opts.quiet, is_verbose = opts.verbose, impatient = opts.verbose or false,
    is_drawn = status.is_possible() and not opts.verbose,
  }, Console)
  axo.set_logger(function(...) self:receive(...) end)
  return self
end

--- Does what may take a while, and says so on a terminal while it lasts. The library's messages are
--- received from then on.
---@param opts { quiet: boolean?, verbose: boolean? }
---@param what string
---@param fn fun(): any ...
---@return any ... what it returns
function console.during(opts, what, fn)
  local log = console.open(opts)
  log:begin(what)
  local results = table.pack(pcall(fn))
  log:settle()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

return console
