--- The variables of devcontainer.json: `${localEnv:NAME:default}` and the like.
local variables = {}

--- Bytes that a configuration may have once its variables are put in.
variables.MAX_BYTES = 4 * 1024 * 1024

local jsonc = require "axosandbox.base.jsonc"

---@class axo.VariableContext
---@field root string the project's directory
---@field folder string? where its files are in the container
---@field id string
---@field allowed table<string, true> variables of this machine that may be read
---@field denied fun(name: string, property: string?) a variable that may not
---@field property string? being read
---@field budget { left: integer }

local function split(text)
  local parts, from = {}, 1
  while true do
    local at = text:find(":", from, true)
    parts[#parts + 1] = text:sub(from, (at or 0) - 1)
    if not at then return parts end
    from = at + 1
  end
end

-- What stands after the name, colons included: it may be an address.
local function default_of(parts)
  return parts[3] and table.concat(parts, ":", 3) or ""
end

-- Bounded: one that is named a thousand times is one variable.
local function local_env(context, parts, whole)
  local name = parts[2]
  if not name then
    error({ message = whole .. " does not name a variable", property = context.property }, 0)
  end
  if not context.allowed[name] then
    context.denied(name, context.property)
    return default_of(parts)
  end
  return os.getenv(name) or default_of(parts)
end

local function basename(path)
  return path and (path:gsub("^.*/", ""))
end

local READ = {
  localEnv = local_env,
  env = local_env,
  localWorkspaceFolder = function(context) return context.root end,
  localWorkspaceFolderBasename = function(context) return basename(context.root) end,
  containerWorkspaceFolder = function(context) return context.folder end,
  containerWorkspaceFolderBasename = function(context) return basename(context.folder) end,
  devcontainerId = function(context) return context.id end,
}

-- Calls `replace(parts, whole)` for each `${...}`, which ends at the first brace and spans no
-- lines; what it returns nil for stays. Linear: the next end is looked for once.
local function each(text, replace)
  local out, from, stop = {}, 1, 0
  while true do
    local start = text:find("${", from, true)
    if not start then break end
    if stop < start + 2 then stop = text:find("[}\r\n]", start + 2) end
    if not stop then break end
    if text:sub(stop, stop) == "}" then
      local whole = text:sub(start, stop)
      out[#out + 1] = text:sub(from, start - 1)
      out[#out + 1] = replace(split(whole:sub(3, -2)), whole) or whole
      from = stop + 1
    else
      out[#out + 1] = text:sub(from, start + 1)
      from = start + 2
    end
  end
  out[#out + 1] = text:sub(from)
  return table.concat(out)
end

local function spend(context, bytes)
  context.budget.left = context.budget.left - bytes
  if context.budget.left < 0 then
    error({ message = "too long once its variables are put in", property = context.property }, 0)
  end
end

local function in_text(context, text)
  spend(context, #text)
  return each(text, function(parts, whole)
    local read = READ[parts[1]]
    local value = read and read(context, parts, whole)
    if value then spend(context, #value) end
    return value
  end)
end

--- Puts the variables into all strings of a value, keys excepted. Those that are known only
--- in the container stay as they are. Raises `{ message, property }` for what cannot be read.
---@param context axo.VariableContext
---@param value any from `jsonc.decode`
---@return any # a copy
function variables.substitute(context, value)
  if type(value) == "string" then return in_text(context, value) end
  if jsonc.is_array(value) then
    local list = jsonc.array {}
    for i, item in ipairs(value) do list[i] = variables.substitute(context, item) end
    return list
  end
  if not jsonc.is_object(value) then return value end
  local keys = jsonc.keys(value)
  local object = jsonc.object(table.move(keys, 1, #keys, 1, {}))
  for _, key in ipairs(keys) do object[key] = variables.substitute(context, value[key]) end
  return object
end

--- Puts variables of the container into a text.
---@param text string
---@param env table<string, string>
---@param max integer bytes of the result, about
---@return string? # nil: too long
function variables.in_container(text, env, max)
  local left = max
  local result = each(text, function(parts)
    if parts[1] ~= "containerEnv" then return nil end
    local value = env[parts[2]] or default_of(parts)
    left = left - #value
    return left >= 0 and value or ""
  end)
  return left >= 0 and result or nil
end

--- Whether a text names variables of the container.
---@param text string
---@return boolean
function variables.needs_container(text)
  return text:find("${containerEnv", 1, true) ~= nil
end

return variables
