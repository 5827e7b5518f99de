--- Checks tables that people and scripts write: the options of a call, a policy's decision.
--- A shape maps each allowed key to a rule; an unknown key is an error.
---
--- A rule is a type name ("string", "boolean", "number", "integer", "table", "function",
--- "any", or several joined by "|"), or a table:
---   { type = "...", required = true, one_of = { ... }, min = n, max = n,
---     shape = { ... },          -- for a table with known keys
---     items = rule,             -- for a sequence
---     values = rule,            -- for a map with string keys
---     check = function(v) return nil or "what is wrong" end }
local tables = require "axosandbox.base.tables"

local options = {}

local function type_of(value)
  if math.type(value) == "integer" then return "integer" end
  if math.type(value) == "float" and value == math.floor(value) then return "integral" end
  return type(value)
end

local function is_type(value, names)
  local actual = type_of(value)
  for name in names:gmatch "[^|]+" do
    if name == "any" or name == actual or name == type(value) then return true end
    if name == "integer" and actual == "integral" then return true end
  end
  return false
end

local check_rule, fitting

local function check_items(rule, value, where)
  local n = 0
  for k in pairs(value) do
    n = n + 1
    if math.type(k) ~= "integer" then
      return ("%s: expected a sequence, found the key %q"):format(where, tostring(k))
    end
  end
  if n ~= #value then return where .. ": a sequence must not have holes" end
  local fits = fitting(rule)
  for i, item in ipairs(value) do
    local problem = not fits(item) and check_rule(rule, item, ("%s[%d]"):format(where, i))
    if problem then return problem end
  end
end

local function check_values(rule, value, where)
  for _, k in ipairs(tables.keys(value)) do
    if value[k] == nil then return where .. ": keys must be strings" end
    local problem = check_rule(rule, value[k], where .. "." .. k)
    if problem then return problem end
  end
end

local function check_bounds(rule, value, where)
  if value ~= value then return where .. ": not a number" end
  if rule.min and value < rule.min then
    return ("%s: %s is below the minimum %s"):format(where, value, rule.min)
  end
  if rule.max and value > rule.max then
    return ("%s: %s is above the maximum %s"):format(where, value, rule.max)
  end
end

local function check_one_of(rule, value, where)
  for _, allowed in ipairs(rule.one_of) do
    if value == allowed then return end
  end
  local names = {}
  for _, allowed in ipairs(rule.one_of) do names[#names + 1] = tostring(allowed) end
  return ("%s: expected one of %s, got %q"):format(
    where, table.concat(names, ", "), tostring(value))
end

local function check_table(rule, value, where)
  if rule.shape then return options.validate(rule.shape, value, where) end
  if rule.items then return check_items(rule.items, value, where) end
  if rule.values then return check_values(rule.values, value, where) end
end

function check_rule(rule, value, where)
  if type(rule) == "string" then
    if type(value) == rule and value == value then return end
    rule = { type = rule }
  end
  if rule.type and type(value) ~= rule.type and not is_type(value, rule.type) then
    return ("%s: expected %s, got %s"):format(where, (rule.type:gsub("|", " or ")), type(value))
  end
  return type(value) == "number" and check_bounds(rule, value, where)
    or (rule.one_of and check_one_of(rule, value, where))
    or type(value) == "table" and check_table(rule, value, where)
    or (rule.check and rule.check(value) and where .. ": " .. rule.check(value))
    or nil
end

-- ---- what is plainly right ----------------------------------------------------------------

-- Almost everything is right, and then there is nothing to word. So each rule has a function that
-- knows it quickly; a value that it does not take may be right all the same.

local PLAIN = { type = true, required = true, check = true }
local BOUNDED = { type = true, required = true, min = true, max = true }

local function has_only(rule, keys)
  for key in pairs(rule) do
    if not keys[key] then return false end
  end
  return true
end

local math_type, type = math.type, type

local function fits_type(name, check)
  if not check then return function(value) return type(value) == name end end
  return function(value) return type(value) == name and not check(value) end
end

local function fits_bounds(rule)
  local low, high = rule.min or -math.huge, rule.max or math.huge
  if rule.type == "integer" then
    return function(value)
      return math_type(value) == "integer" and value >= low and value <= high
    end
  end
  return function(value) return type(value) == "number" and value >= low and value <= high end
end

local PLAIN_TYPES = { string = true, boolean = true, table = true, ["function"] = true }

local function new_fitting(rule)
  local of = type(rule) == "table" and rule or { type = rule }
  if PLAIN_TYPES[of.type] and has_only(of, PLAIN) then return fits_type(of.type, of.check) end
  if of.type == "number" or of.type == "integer" then
    if has_only(of, BOUNDED) then return fits_bounds(of) end
  end
  return function(value) return not check_rule(rule, value, "") end
end

local known = setmetatable({}, { __mode = "k" })

function fitting(rule)
  local fits = known[rule]
  if not fits then
    fits = new_fitting(rule)
    known[rule] = fits
  end
  return fits
end

local required_keys = setmetatable({}, { __mode = "k" })

local function required_of(shape)
  local keys = required_keys[shape]
  if keys then return keys end
  keys = {}
  for key, rule in pairs(shape) do
    if type(rule) == "table" and rule.required then keys[#keys + 1] = key end
  end
  required_keys[shape] = keys
  return keys
end

local function is_valid(shape, value)
  for key, item in pairs(value) do
    local rule = shape[key]
    if rule == nil or not (known[rule] or fitting(rule))(item) then return false end
  end
  local required = required_of(shape)
  for i = 1, #required do
    if value[required[i]] == nil then return false end
  end
  return true
end

--- Splits `opts?, callback?`: the callback is the last argument.
---@param opts any
---@param callback function?
---@return any opts, function? callback
function options.arguments(opts, callback)
  if type(opts) == "function" and callback == nil then return nil, opts end
  return opts, callback
end

-- ---- checking -----------------------------------------------------------------------------

--- Checks `value` against `shape`.
---@param shape table<string, any>
---@param value any
---@param where string how to name the value in a message
---@return string? problem
function options.validate(shape, value, where)
  if type(value) ~= "table" then
    return ("%s: expected a table, got %s"):format(where, type(value))
  end
  if is_valid(shape, value) then return end
  for _, key in ipairs(tables.keys(value)) do
    if shape[key] == nil then
      return ("%s: unknown key %q (known: %s)"):format(
        where, key, table.concat(tables.keys(shape), ", "))
    end
  end
  for _, key in ipairs(tables.keys(shape)) do
    local rule = shape[key]
    if value[key] ~= nil then
      local problem = check_rule(rule, value[key], where .. "." .. key)
      if problem then return problem end
    elseif type(rule) == "table" and rule.required then
      return ("%s: the key %q is required"):format(where, key)
    end
  end
end

--- The same for the options of a call: a mistake there is the programmer's and raises.
---@param shape table<string, any>
---@param value any
---@param where string the call, for a mistake in it
---@param level integer whose mistake it is, as of `error`
---@return table # `value`, or an empty table for nil
function options.check(shape, value, where, level)
  if value == nil then
    if #required_of(shape) == 0 then return {} end
    value = {}
  end
  local problem = options.validate(shape, value, where)
  if problem then error(problem, (level or 1) + 1) end
  return value
end

return options
