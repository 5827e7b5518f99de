--- What the library has to say, on stderr: warnings at once, progress only of what takes
--- long enough for somebody to wonder.
local uv = require "luv"
local axo = require "axosandbox"
local cli = require "axolua.lib.cli"

local console = {}

local PATIENCE_MS = 700

---@class cli.Console
local Console = {}
Console.__index = Console

function Console:progress(message)
  if self.impatient then return cli.say(message) end
  self.latest = message
end

-- From now on everything is shown, beginning with what is under way.
function Console:lose_patience()
  self.impatient = true
  if self.latest then cli.say(self.latest) end
  self.latest = nil
end

function Console:receive(level, message)
  if level == "error" then return cli.say(message) end
  if self.is_quiet then return end
  if level == "warn" then return cli.say("warning: " .. message) end
  if level == "info" or self.is_verbose then self:progress(message) end
end

--- Work on the session is over (or was it ever long?): no more progress is shown.
function Console:settle()
  self.latest = nil
  self.impatient = false
  if self.timer then self.timer:stop() end
end

--- Long work begins: progress is shown once it has lasted.
function Console:begin()
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
  }, Console)
  axo.set_logger(function(level, message) self:receive(level, message) end)
  return self
end

return console
