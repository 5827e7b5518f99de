--- The keys that leave what one is attached to, as docker and podman have them: ctrl-p, ctrl-q.
local detach_keys = {}

local CTRL_P, CTRL_Q = "\16", "\17"

---@class cli.DetachKeys
---@field private is_held boolean a ctrl-p came, and what it is for is told by the next key
local DetachKeys = {}
DetachKeys.__index = DetachKeys

---@return cli.DetachKeys
function detach_keys.new()
  return setmetatable({ is_held = false }, DetachKeys)
end

--- Takes what was typed; gives what is to be passed on, and whether the keys were among it. What
--- comes after them is dropped.
---@param bytes string
---@return string passed, boolean is_detached
function DetachKeys:feed(bytes)
  local typed = (self.is_held and CTRL_P or "") .. bytes
  local at = typed:find(CTRL_P .. CTRL_Q, 1, true)
  self.is_held = not at and typed:sub(-1) == CTRL_P
  if at then return typed:sub(1, at - 1), true end
  return self.is_held and typed:sub(1, -2) or typed, false
end

return detach_keys
