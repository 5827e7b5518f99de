--- Runs policy files: a small environment of copies, an instruction budget, a memory bound.
---
--- A policy file is the operator's and not an attacker's; what this guards against is a
--- mistake in one (an endless loop, a string that doubles) and a file that reaches for the
--- host it runs in.
local core = require "axosandbox.core"

local env = {}

--- Lua instructions that one decision may use, over the whole chain of its files.
env.INSTRUCTIONS = 1000000
--- Bytes that one decision may allocate. Nothing is collected while it runs, so this is a
--- sum and not a peak.
env.MEMORY = 64 * 1024 * 1024
--- The longest text that a pattern may be matched against. Matching happens inside one
--- instruction, and no budget interrupts it. An argument of a command is no longer.
env.SUBJECT = 128 * 1024
--- The longest text that one call may build.
env.TEXT = 1024 * 1024

--- What it costs to ask the next file of the chain, besides what that file does.
env.CALL = 1000

-- The hook runs after so many instructions. It is small because a string can double in four.
local STEP = 5

local real = {
  find = string.find, match = string.match, gmatch = string.gmatch, gsub = string.gsub,
  rep = string.rep, format = string.format, concat = table.concat, move = table.move,
}

-- Raised without a position: `env.run` knows which line of policy was in control.
local function check_subject(text)
  if type(text) == "string" and #text > env.SUBJECT then
    error(("a text of %d bytes is too long for a pattern (at most %d)"):format(
      #text, env.SUBJECT), 0)
  end
end

local function check_size(bytes)
  if bytes > env.TEXT then
    error(("the result would be longer than %d bytes"):format(env.TEXT), 0)
  end
end

local function safe_find(text, ...)
  check_subject(text)
  return real.find(text, ...)
end

local function safe_match(text, ...)
  check_subject(text)
  return real.match(text, ...)
end

local function safe_gmatch(text, ...)
  check_subject(text)
  return real.gmatch(text, ...)
end

--- An upper bound of the length of gsub's result.
local function size_after_gsub(text, pattern, replacement)
  local most = (#text + 1) * (#replacement + 1)
  if most <= env.TEXT or replacement:find("%", 1, true) then return most end
  return #text + select(2, real.gsub(text, pattern, "")) * #replacement
end

--- What gsub builds grows where neither the hook nor the collector's count sees it.
local function bounded_replacement(text, replacement)
  local total = #text
  return function(...)
    local value
    if type(replacement) == "table" then value = replacement[...] else value = replacement(...) end
    if type(value) == "string" then
      total = total + #value
      check_size(total)
    end
    return value
  end
end

local function safe_gsub(text, pattern, replacement, ...)
  check_subject(text)
  if type(text) == "string" then
    local kind = type(replacement)
    if kind == "string" then
      check_size(size_after_gsub(text, pattern, replacement))
    elseif kind == "table" or kind == "function" then
      replacement = bounded_replacement(text, replacement)
    end
  end
  return real.gsub(text, pattern, replacement, ...)
end

local function safe_rep(text, n, separator)
  local size = type(text) == "string" and #text or 32
  local gap = type(separator) == "string" and #separator or 0
  local count = tonumber(n)
  if count and count > 0 then check_size((size + gap) * count) end
  return real.rep(text, n, separator)
end

local function safe_format(template, ...)
  local total = type(template) == "string" and #template or 0
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if type(value) == "string" then total = total + #value end
  end
  check_size(total)
  return real.format(template, ...)
end

local function safe_concat(list, separator, first, last)
  if type(list) ~= "table" then return real.concat(list, separator, first, last) end
  local from, to = tonumber(first or 1), tonumber(last or #list)
  local gap = separator ~= nil and #tostring(separator) or 0
  local total = 0
  if from and to then
    for i = from, to do
      local value = list[i]
      if value == nil then break end
      total = total + gap + (type(value) == "string" and #value or 32)
      check_size(total)
    end
  end
  return real.concat(list, separator, first, last)
end

local function safe_move(from, first, last, to, target)
  local a, b = tonumber(first), tonumber(last)
  if a and b and b - a >= env.TEXT then
    error(("more than %d items to move"):format(env.TEXT), 0)
  end
  return real.move(from, first, last, to, target)
end

local function string_functions()
  return {
    byte = string.byte, char = string.char, find = safe_find, format = safe_format,
    gmatch = safe_gmatch, gsub = safe_gsub, len = string.len, lower = string.lower,
    match = safe_match, rep = safe_rep, reverse = string.reverse, sub = string.sub,
    upper = string.upper,
  }
end

local function table_functions()
  return {
    concat = safe_concat, insert = table.insert, move = safe_move, pack = table.pack,
    remove = table.remove, sort = table.sort, unpack = table.unpack,
  }
end

local function math_functions()
  local copy = {}
  for name, value in pairs(math) do copy[name] = value end
  -- The generator's state is the host's.
  copy.random, copy.randomseed = nil, nil
  return copy
end

local function utf8_functions()
  local copy = {}
  for name, value in pairs(utf8) do copy[name] = value end
  return copy
end

local function unknown_name(_, name)
  error(("'%s' is not available to policy"):format(tostring(name)), 0)
end

--- A fresh environment for one policy file. Nothing in it is shared with the host or with
--- another file, but for functions that hold no state.
---@return table
function env.new()
  return setmetatable({
    assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs,
    select = select, tonumber = tonumber, tostring = tostring, type = type,
    math = math_functions(), string = string_functions(), table = table_functions(),
    utf8 = utf8_functions(),
  }, { __index = unknown_name, __metatable = false })
end

-- What ("x"):rep(n) finds while policy runs. The host's own table would offer the functions
-- without bounds. No policy can reach this table, only what is in it.
local methods = string_functions()

--- Where policy was when it failed: the innermost frame that a policy file owns.
---@param co thread as `env.run` gives it
---@param owners table<string, string> chunk name to path
---@return { path: string, line: integer, short: string }?
function env.frame_of(co, owners)
  for level = 0, 200 do
    local info = debug.getinfo(co, level, "Sl")
    if not info then return end
    local owner = owners[info.source]
    if owner and info.currentline > 0 then
      return { path = owner, line = info.currentline, short = info.short_src }
    end
  end
end

local function new_budget(watched)
  return core.budget {
    instructions = env.INSTRUCTIONS, memory = env.MEMORY, step = STEP, methods = methods,
    watched = watched,
  }
end

-- One that has done its work takes the next.
local spare

local running

--- The budget of what runs just now.
---@return axo.core.Budget?
function env.running() return running end

--- Runs `fn(budget, ...)` in a coroutine of its own: its hook is not the host's, it cannot yield
--- to the host's scheduler, and its stack is still there after an error. What
--- `budget:counted` calls in it is under the budget.
---@param watched table<function, any>? functions whose line of return is wanted: every return of a function is a call of the hook then, for an error alone
---@param fn fun(budget: axo.core.Budget, ...): any
---@param ... any
---@return any result nil when it failed
---@return { value: any, co: thread, traceback: string }? failure what was raised, and where
function env.run(watched, fn, ...)
  local budget = not watched and spare or new_budget(watched)
  if budget == spare then spare = nil end
  local outer = running
  running = budget
  local ok, result = budget:run(fn, budget, ...)
  running = outer
  if ok then
    if not watched then spare = budget end
    return result
  end
  local co = budget:thread()
  return nil, { value = result, co = co, traceback = debug.traceback(co) }
end

return env
