--- Signals that ask axolua to end: kept, told to whoever can act on them, and turned into
--- the exit code that they mean.
local uv = require "luv"

local signals = {}

local ENDING = { sigint = 2, sigterm = 15, sighup = 1, sigquit = 3 }

---@class cli.Guard
---@field signal string? the first one that came
---@field act fun(name: string)? called for each; set by whoever works at the moment
local Guard = {}
Guard.__index = Guard

--- Watches from now on. A third signal ends the process without more ado, for a user
--- whose patience is at its end.
---@param on_abandon fun(name: string)? before that
---@return cli.Guard
function signals.guard(on_abandon)
  local guard = setmetatable({ handles = {}, count = 0 }, Guard)
  for name in pairs(ENDING) do
    local handle = uv.new_signal()
    handle:start(name, function()
      guard.count = guard.count + 1
      guard.signal = guard.signal or name
      if guard.count >= 3 then
        if on_abandon then on_abandon(name) end
        os.exit(128 + ENDING[name], false)
      end
      if guard.act then guard.act(name) end
    end)
    handle:unref()
    guard.handles[#guard.handles + 1] = handle
  end
  return guard
end

--- Calls `act` for every signal from now on, and at once if one has come already.
---@param act fun(name: string)?
function Guard:on_signal(act)
  self.act = act
  if act and self.signal then act(self.signal) end
end

--- 128 + the number of the first signal; nil when none came.
---@return integer?
function Guard:code()
  return self.signal and 128 + ENDING[self.signal]
end

function Guard:close()
  self.act = nil
  for _, handle in ipairs(self.handles) do
    if not handle:is_closing() then handle:close() end
  end
end

--- A reader that goes away must be an error of the write, not the end of the process.
function signals.ignore_broken_pipes()
  local handle = uv.new_signal()
  handle:start("sigpipe", function() end)
  handle:unref()
end

return signals
