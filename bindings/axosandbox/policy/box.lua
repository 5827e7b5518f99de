--- The bounds of policy: its files run in a Lua state of their own, and a decision ends there.
---
--- A policy file is the operator's and not an attacker's, but what it looks at is: they guard
--- against a mistake in one (an endless loop, a string that doubles, a pattern that a command makes
--- slow). A state of its own also has nothing of the host that a file could reach.
local core = require "axosandbox.core"
local plain = require "axosandbox.policy.plain"

local box = {}

--- Lua instructions that one decision may use, over the whole chain of its files.
box.INSTRUCTIONS = 1000000
--- Bytes that the files of a set may hold, with all that a decision allocates.
box.MEMORY = 32 * 1024 * 1024
--- Seconds of the processor's time that one decision may take: what an instruction does may be
--- long. An endless loop of short ones uses its instructions up before.
box.TIME = 0.05
--- Seconds that loading a file may take, with its parts: once, so that it may be many times what a
--- decision may, and a machine that is very slow still has a policy.
box.LOADING_TIME = 2

--- An empty one.
---@return axo.core.Box
function box.new()
  return core.box {
    instructions = box.INSTRUCTIONS, memory = box.MEMORY, depth = plain.MAX_DEPTH,
    values = plain.MAX_VALUES, time = math.ceil(box.TIME * 1000),
    loading_time = math.ceil(box.LOADING_TIME * 1000),
  }
end

return box
