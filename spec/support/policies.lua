--- Policy sets made from texts, in directories of their own.
local uv = require "luv"
local policy = require "axosandbox.policy"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"

local policies = {}

policies.names = {
  "sandbox", "image_trust", "post_create", "provision", "exec", "names", "egress", "retry",
}

--- Registers a spec file's housekeeping; call it first inside each outermost describe.
function policies.housekeeping(hooks)
  local mark
  hooks.setup(function() mark = janitor.mark() end)
  hooks.teardown(function() janitor.sweep(mark) end)
end

--- Writes `texts` (decision, or decision/part, to file text) into a fresh directory.
---@return string dir
function policies.dir(texts)
  local dir = temp.dir()
  for name, text in pairs(texts) do
    local decision = name:match "^(.*)/"
    if decision then uv.fs_mkdir(dir .. "/" .. decision, 448) end
    temp.write(("%s/%s.lua"):format(dir, name), text, "600")
  end
  return dir
end

--- A set that knows the shipped policies and what lies in `dirs`, and nothing of this machine.
function policies.new(overrides, dirs)
  return policy.new(overrides, { dirs = dirs or {} })
end

--- A set with one operator's file; raises when it cannot be made.
function policies.with(name, text)
  local dir = policies.dir { [name] = text }
  return assert(policies.new(nil, { dir })), ("%s/%s.lua"):format(dir, name)
end

--- The error of a set, or of the decision when the set could be made, and the file.
function policies.error_of(name, text, request)
  local dir = policies.dir { [name] = text }
  local set, err = policies.new(nil, { dir })
  if set then
    local decision
    decision, err = set:decide(name, request or { argv = { "true" }, kind = "exec" })
    assert(decision == nil, "the decision succeeded")
  end
  return err, ("%s/%s.lua"):format(dir, name)
end

--- Runs `fn` with environment variables set (false: unset), and restores them.
function policies.with_env(vars, fn)
  local before = {}
  for name, value in pairs(vars) do
    before[name] = os.getenv(name) or false
    if value then uv.os_setenv(name, value) else uv.os_unsetenv(name) end
  end
  local ok, err = pcall(fn)
  for name, value in pairs(before) do
    if value then uv.os_setenv(name, value) else uv.os_unsetenv(name) end
  end
  if not ok then error(err, 0) end
end

return policies
