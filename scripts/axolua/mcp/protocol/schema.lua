--- Checks a tool's arguments against its JSON Schema: the part of the language that the tools
--- use. The same table is what clients get to see.
local cjson = require "cjson"

local schema = {}

local function is_integer(value)
  return type(value) == "number" and math.tointeger(value) ~= nil
end

local IS = {
  string = function(value) return type(value) == "string" end,
  boolean = function(value) return type(value) == "boolean" end,
  number = function(value) return type(value) == "number" end,
  integer = is_integer,
}

local NAMES = {
  string = "a string", boolean = "true or false", number = "a number",
  integer = "a whole number",
}

local function kind_of(value)
  if value == cjson.null then return "null" end
  if type(value) == "table" then return value[1] ~= nil and "an array" or "an object" end
  return NAMES[type(value)] or type(value)
end

-- Some clients write every argument as a string.
local BOOLEANS = { ["true"] = true, True = true, ["false"] = false, False = false }

local function from_string(rule, value)
  if rule.type == "boolean" then
    if BOOLEANS[value] ~= nil then return BOOLEANS[value] end
  elseif rule.type ~= "string" then
    local digits = value:match "^-?(%d+)$" or value:match "^-?(%d+%.%d+)$"
    if digits and #digits < 20 then return tonumber(value) + 0.0 end
  end
  return value
end

-- What stands for an argument: nil when it is not given, by null or as nothing.
local function given(input, name, value)
  local rule = input.properties[name]
  if value == cjson.null then return nil end
  if type(value) ~= "string" then return value end
  if value == "" and (rule.minLength or rule.type ~= "string") then
    for _, each in ipairs(input.required or {}) do
      if each == name then return value end
    end
    return nil
  end
  return from_string(rule, value)
end

local function number(value)
  return math.tointeger(value) and ("%d"):format(value) or ("%g"):format(value)
end

local function check_bounds(rule, value)
  if rule.minimum and value < rule.minimum then
    return ("must be at least %s, got %s"):format(number(rule.minimum), number(value))
  end
  if rule.exclusiveMinimum and value <= rule.exclusiveMinimum then
    return ("must be more than %s, got %s"):format(number(rule.exclusiveMinimum), number(value))
  end
  if rule.maximum and value > rule.maximum then
    return ("must be at most %s, got %s"):format(number(rule.maximum), number(value))
  end
end

local function check_enum(rule, value)
  for _, allowed in ipairs(rule.enum) do
    if allowed == value then return end
  end
  return ("must be one of %s, got %q"):format(table.concat(rule.enum, ", "), value:sub(1, 64))
end

local function check_value(rule, value)
  if not IS[rule.type](value) then
    return ("must be %s, got %s"):format(NAMES[rule.type], kind_of(value))
  end
  if type(value) == "number" then return check_bounds(rule, value) end
  if rule.enum then return check_enum(rule, value) end
  if rule.minLength and #value < rule.minLength then return "must not be empty" end
end

local function names_of(input)
  local names = {}
  for name in pairs(input.properties or {}) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function unknown(input, name)
  local names = names_of(input)
  name = name:sub(1, 64)
  if #names == 0 then return ("unknown argument %q: this tool takes none"):format(name) end
  return ("unknown argument %q; it takes: %s"):format(name, table.concat(names, ", "))
end

local function check_names(input, arguments)
  local names = {}
  for name, value in pairs(arguments) do
    if value ~= cjson.null then names[#names + 1] = tostring(name) end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if not (input.properties or {})[name] then return unknown(input, name) end
  end
end

local function missing(input, values)
  for _, name in ipairs(input.required or {}) do
    if values[name] == nil then
      return ("the argument %q is required: %s"):format(
        name, input.properties[name].description)
    end
  end
end

--- Checks arguments; null stands for "not given", and so does an empty text where it could mean
--- nothing else. "30" is a number and "true" a truth where those are wanted.
---@param input table the tool's inputSchema
---@param arguments table as it was read from JSON
---@return table? values with integers as integers, and the defaults filled in
---@return string? problem
function schema.check(input, arguments)
  local problem = check_names(input, arguments)
  if problem then return nil, problem end
  local values = {}
  for _, name in ipairs(names_of(input)) do
    local rule = input.properties[name]
    local value = arguments[name]
    if value ~= nil then value = given(input, name, value) end
    if value ~= nil then
      problem = check_value(rule, value)
      if problem then return nil, ("the argument %q %s"):format(name, problem) end
      if rule.type == "integer" then value = math.tointeger(value) end
    else
      value = rule.default
    end
    values[name] = value
  end
  problem = missing(input, values)
  if problem then return nil, problem end
  return values
end

return schema
