--- Runs policy files: a small environment of copies; a bound for instructions, time and memory.
---
--- A policy file is the operator's and not an attacker's, but what it looks at is: it guards against
--- a mistake in one (an endless loop, a string that doubles, a pattern that a command makes slow)
--- and a file that reaches for the host it runs in.
local core = require "axosandbox.core"

local env = {}

--- Lua instructions that one decision may use, over the whole chain of its files.
env.INSTRUCTIONS = 1000000
--- Bytes that one decision may allocate. Nothing is collected while it runs, so this is a
--- sum and not a peak.
env.MEMORY = 32 * 1024 * 1024
--- Seconds of the processor's time that one decision may take: what an instruction does may be
--- long. An endless loop of short ones uses its instructions up before.
env.TIME = 0.05

--- Seconds of processor time that loading a file may take, with its parts: once, so that it may be
--- many times what a decision may, and a machine that is very slow still has a policy.
env.LOADING_TIME = 2
--- The longest text that one call may build.
env.TEXT = 1024 * 1024

--- What it costs to ask the next file of the chain, besides what that file does.
env.CALL = 1000

-- The hook runs after so many instructions. It is small because a string can double in four.
local STEP = 5

-- A function of C takes one instruction, however much it does: after each of these the clock is
-- looked at.
local function counted(library)
  local copy = {}
  for name, value in pairs(library) do
    copy[name] = type(value) == "function" and core.counted(value) or value
  end
  return copy
end

local text, list = counted(string), counted(table)
local counted_next, counted_tonumber = core.counted(next), core.counted(tonumber)

-- Raised without a position: `env.run` knows which line of policy was in control.
local function check_size(bytes)
  if bytes > env.TEXT then
    error(("the result would be longer than %d bytes"):format(env.TEXT), 0)
  end
end

local function safe_rep(bytes, n, separator)
  local size = type(bytes) == "string" and #bytes or 32
  local gap = type(separator) == "string" and #separator or 0
  local count = tonumber(n)
  if count and count > 0 then check_size((size + gap) * count) end
  return text.rep(bytes, n, separator)
end

local function safe_format(template, ...)
  local total = type(template) == "string" and #template or 0
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if type(value) == "string" then total = total + #value end
  end
  check_size(total)
  return text.format(template, ...)
end

local function safe_concat(items, separator, first, last)
  if type(items) ~= "table" then return list.concat(items, separator, first, last) end
  local from, to = tonumber(first or 1), tonumber(last or #items)
  local gap = separator ~= nil and #tostring(separator) or 0
  local total = 0
  if from and to then
    for i = from, to do
      local value = items[i]
      if value == nil then break end
      total = total + gap + (type(value) == "string" and #value or 32)
      check_size(total)
    end
  end
  return list.concat(items, separator, first, last)
end

local function safe_move(from, first, last, to, target)
  local a, b = tonumber(first), tonumber(last)
  if a and b and b - a >= env.TEXT then
    error(("more than %d items to move"):format(env.TEXT), 0)
  end
  return list.move(from, first, last, to, target)
end

-- An instruction for each comparison that is to be expected.
local function safe_sort(items, is_less)
  local count = type(items) == "table" and #items or 0
  if count > 1 then core.spend(count * math.ceil(math.log(count, 2)) * 8) end
  return list.sort(items, is_less)
end

local function safe_pairs(items)
  if type(items) ~= "table" then return pairs(items) end
  return counted_next, items, nil
end

local function string_functions()
  local patterns = core.pattern
  return {
    byte = text.byte, char = text.char, find = patterns.find, format = safe_format,
    gmatch = patterns.gmatch, gsub = patterns.gsub, len = text.len, lower = text.lower,
    match = patterns.match, rep = safe_rep, reverse = text.reverse, sub = text.sub,
    upper = text.upper,
  }
end

local function table_functions()
  return {
    concat = safe_concat, insert = list.insert, move = safe_move, pack = list.pack,
    remove = list.remove, sort = safe_sort, unpack = list.unpack,
  }
end

local function math_functions()
  local copy = {}
  for name, value in pairs(math) do copy[name] = value end
  -- The generator's state is the host's.
  copy.random, copy.randomseed = nil, nil
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
    assert = assert, error = error, ipairs = ipairs, next = counted_next, pairs = safe_pairs,
    select = select, tonumber = counted_tonumber, tostring = tostring, type = type,
    math = math_functions(), string = string_functions(), table = table_functions(),
    utf8 = counted(utf8),
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

local function new_budget(watched, time)
  return core.budget {
    instructions = env.INSTRUCTIONS, memory = env.MEMORY,
    time = math.ceil((time or env.TIME) * 1000), step = STEP, methods = methods, watched = watched,
  }
end

-- One that has done its work takes the next.
local spare

local running

--- The budget of what runs just now.
---@return axo.core.Budget?
function env.running() return running end

local function run_under(budget, fn, ...)
  local outer = running
  running = budget
  local ok, result = budget:run(fn, budget, ...)
  running = outer
  if ok then return result end
  local co = budget:thread()
  return nil, { value = result, co = co, traceback = debug.traceback(co) }
end

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
  local result, failure = run_under(budget, fn, ...)
  if not failure and not watched then spare = budget end
  return result, failure
end

--- The same for what loads a file: it has more time.
---@param fn fun(budget: axo.core.Budget): any
---@return any result nil when it failed
---@return { value: any, co: thread, traceback: string }? failure
function env.run_loading(fn)
  return run_under(new_budget(nil, env.LOADING_TIME), fn)
end

return env
