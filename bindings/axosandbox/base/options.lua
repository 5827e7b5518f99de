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
local nearest = require "axosandbox.base.text.nearest"
local tables = require "axosandbox.base.tables"

local options = {}

local math_type, type = math.type, type

-- What Lua calls the values of a type; "integer" takes a float without a fraction as well.
local KINDS = {
  number = { "integer", "float" },
  any = { "string", "boolean", "integer", "float", "table", "function", "userdata", "thread" },
}

local function kinds_of(names)
  local kinds = {}
  for name in names:gmatch "[^|]+" do
    for _, kind in ipairs(KINDS[name] or { name }) do kinds[kind] = true end
  end
  return kinds
end

local function is_type(value, names)
  local kinds = kinds_of(names)
  if kinds[math_type(value) or type(value)] then return true end
  return kinds.integer and math_type(value) == "float" and value == math.floor(value)
end

local check_rule, is_right

local function check_items(rule, value, where)
  local n = 0
  for k in pairs(value) do
    n = n + 1
    if math.type(k) ~= "integer" then
      return ("%s: expected a sequence, found the key %q"):format(where, tostring(k))
    end
  end
  if n ~= #value then return where .. ": a sequence must not have holes" end
  for i, item in ipairs(value) do
    local problem = check_rule(rule, item, ("%s[%d]"):format(where, i))
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
  if type(rule) == "string" then rule = { type = rule } end
  if rule.type and not is_type(value, rule.type) then
    return ("%s: expected %s, got %s"):format(where, (rule.type:gsub("|", " or ")), type(value))
  end
  return type(value) == "number" and check_bounds(rule, value, where)
    or (rule.one_of and check_one_of(rule, value, where))
    or type(value) == "table" and check_table(rule, value, where)
    or (rule.check and rule.check(value) and where .. ": " .. rule.check(value))
    or nil
end

-- ---- what is plainly right ----------------------------------------------------------------

-- Almost everything is right, and then there is nothing to word. So each rule has a form in which
-- that is seen quickly: which kinds of values it takes, and whether there is more to look at. What
-- is not seen to be right there may be right all the same.

---@class axo.options.Form
---@field kinds table<string, true>
---@field low number? of what can only be a number
---@field high number?
---@field rule table? when there is more to look at
---@field items axo.options.Form?

---@type fun(rule: string|table): axo.options.Form
local form_of

local function new_form(rule)
  if type(rule) == "string" then rule = { type = rule } end
  local kinds = kinds_of(rule.type or "any")
  local more = rule.one_of or rule.shape or rule.items or rule.values or rule.check
  if rule.type == "integer" or rule.type == "number" then
    return {
      kinds = kinds, rule = more and rule,
      low = rule.min or -math.huge, high = rule.max or math.huge,
    }
  end
  return {
    kinds = kinds, rule = (more or kinds.integer) and rule,
    items = rule.items and form_of(rule.items),
  }
end

local forms = setmetatable({}, { __mode = "k" })

function form_of(rule)
  local form = forms[rule]
  if not form then
    form = new_form(rule)
    forms[rule] = form
  end
  return form
end

local function are_right(form, list)
  local count = 0
  for _ in pairs(list) do count = count + 1 end
  if count ~= #list then return false end
  for i = 1, count do
    local item = list[i]
    if not form.kinds[math_type(item) or type(item)]
      or form.low and not (item >= form.low and item <= form.high)
      or form.rule and not is_right(form, item) then
      return false
    end
  end
  return true
end

-- Of a value whose kind is right.
function is_right(form, value)
  local rule = form.rule
  if type(value) == "number" then
    local low, high = rule.min or -math.huge, rule.max or math.huge
    if not (value >= low and value <= high) then return false end
  elseif type(value) == "table" then
    if form.items and not are_right(form.items, value) then return false end
    if (rule.shape or rule.values) and check_table(rule, value, "") then return false end
  end
  if rule.one_of and check_one_of(rule, value, "") then return false end
  return not (rule.check and rule.check(value))
end

local function new_forms(shape)
  local rules, required = {}, {}
  for key, rule in pairs(shape) do
    rules[key] = form_of(rule)
    if type(rule) == "table" and rule.required then required[#required + 1] = key end
  end
  return { rules = rules, required = required }
end

local shapes = setmetatable({}, { __mode = "k" })

local function forms_of(shape)
  local known = shapes[shape]
  if not known then
    known = new_forms(shape)
    shapes[shape] = known
  end
  return known
end

-- ---- checking -----------------------------------------------------------------------------

local function unknown(shape, key, where)
  local known = tables.keys(shape)
  local meant = nearest(key, known)
  return ("%s: unknown key %q%s (known: %s)"):format(
    where, key, meant and (": did you mean %q?"):format(meant) or "", table.concat(known, ", "))
end

local function problem_of(shape, value, where)
  for _, key in ipairs(tables.keys(value)) do
    if shape[key] == nil then return unknown(shape, key, where) end
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

--- Checks `value` against `shape`.
---@param shape table<string, any>
---@param value any
---@param where string how to name the value in a message
---@return string? problem
function options.validate(shape, value, where)
  if type(value) ~= "table" then
    return ("%s: expected a table, got %s"):format(where, type(value))
  end
  local known = shapes[shape] or forms_of(shape)
  for key, item in pairs(value) do
    local form = known.rules[key]
    if not form or not form.kinds[math_type(item) or type(item)]
      or form.low and not (item >= form.low and item <= form.high)
      or form.rule and not is_right(form, item) then
      return problem_of(shape, value, where)
    end
  end
  for _, key in ipairs(known.required) do
    if value[key] == nil then return problem_of(shape, value, where) end
  end
end

--- The same for the options of a call: a mistake there is the programmer's and raises.
---@param shape table<string, any>
---@param value any
---@param where string the call, for a mistake in it
---@param level integer? whose mistake it is, as of `error`
---@return table # `value`, or an empty table for nil
function options.check(shape, value, where, level)
  if value == nil then value = {} end
  local problem = options.validate(shape, value, where)
  if problem then error(problem, (level or 1) + 1) end
  return value
end

--- The options and the callback that end a call's arguments; either may be missing.
---@param shape table<string, any>
---@param opts any
---@param callback any
---@param where string the call, for a mistake in it
---@param level integer? whose mistake it is; 2 by default
---@return table opts checked
---@return function? callback
function options.arguments(shape, opts, callback, where, level)
  if type(opts) == "function" and callback == nil then opts, callback = nil, opts end
  if opts == nil then return {}, callback end
  local problem = options.validate(shape, opts, where)
  if problem then error(problem, (level or 2) + 1) end
  return opts, callback
end

return options
