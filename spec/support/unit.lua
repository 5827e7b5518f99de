--- What the unit specs of the C module share.
local uv = require "luv"
local proc = require "spec.support.proc"
local core = require "axosandbox.core"

local unit = {}

--- Runs the loop until `is_done()`.
function unit.wait(is_done)
  while not is_done() do
    if not uv.run "once" and not is_done() then
      error("the loop ran empty before what was waited for", 2)
    end
  end
end

--- Starts a child and waits for its end.
---@return table? result, any process_or_err
function unit.run(argv, options)
  local result
  local process, err = core.spawn(argv, options, function(r) result = r end)
  if not process then return nil, err end
  unit.wait(function() return result ~= nil end)
  return result, process
end

--- Records the uncaught errors of callbacks while `fn` runs.
---@return string[]
function unit.uncaught(fn)
  local messages = {}
  core.set_uncaught(function(message) messages[#messages + 1] = message end)
  local ok, err = pcall(fn)
  core.set_uncaught(function(message) error(message) end)
  if not ok then error(err, 0) end
  return messages
end

--- Collects everything that can be collected, finalisers included.
function unit.collect()
  collectgarbage()
  collectgarbage()
end

--- True when `pid` is a process that is not a zombie.
function unit.is_running(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  if not file then return false end
  -- Nothing is read of one that goes between the two.
  local text = file:read "a"
  file:close()
  local state = text and text:match "^%d+ %(.*%) (%a)"
  return state ~= nil and state ~= "Z" and state ~= "X"
end

--- Waits until `pid` runs no more; raises when it does not end.
function unit.wait_for_death(pid)
  for _ = 1, 2000 do
    uv.run "nowait"
    if not unit.is_running(pid) then return end
    uv.sleep(5)
  end
  error(("process %d still runs"):format(pid), 2)
end

--- The prefix (build tree or installation) that the module under test lies in.
function unit.prefix()
  local path = assert(package.searchpath("axosandbox.core", package.cpath))
  return (path:gsub("/lib/lua/5%.4/axosandbox/core%.so$", ""))
end

--- The interpreter that runs this spec.
function unit.interpreter()
  local lowest = 0
  while arg[lowest - 1] do lowest = lowest - 1 end
  return arg[lowest]
end

--- Code that sets this interpreter's search paths in another one.
function unit.paths()
  return ("package.path = %q; package.cpath = %q; "):format(package.path, package.cpath)
end

--- Runs code in an interpreter of its own, with the same paths.
---@return table result
function unit.lua(code, ...)
  return assert(unit.run({ unit.interpreter(), "-W", "-e", unit.paths() .. code, ... },
    { env = proc.interpreter_environment() }))
end

--- A name in the temporary directory that nothing has yet.
function unit.temporary_name()
  local name = os.tmpname()
  os.remove(name)
  return name
end

return unit
