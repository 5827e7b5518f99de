--- Paths as clients write them, and as they are shown: those that text cannot hold are in the
--- notation of axo.text.write_name, apart from the others.
local text = require("axosandbox").text
local reply = require "axolua.mcp.reply"

local paths = {}

--- The argument that says how `path` is written.
paths.ESCAPED = {
  type = "boolean", default = false,
  description = "path is written with escapes, as lists show some: \\xe9 is a byte, \\\\ a "
    .. "backslash.",
}

local NOTE = "[names that text cannot hold, to be given with escaped=true: \\xe9 is a byte, \\\\ a "
  .. "backslash]\n"

--- A tool's function, with the path that was meant in its arguments.
---@param fn fun(arguments: table, call: mcp.Call): table?, axo.Error?
---@return fun(arguments: table, call: mcp.Call): table?, axo.Error?
function paths.meant(fn)
  return function(arguments, call)
    if not arguments.escaped then return fn(arguments, call) end
    local path, problem = text.read_name(arguments.path)
    if not path then
      return reply.refusal("path cannot be understood: " .. problem,
        "Write \\xHH for a byte and \\\\ for a backslash, or leave escaped out.")
    end
    local copy = {}
    for key, value in pairs(arguments) do copy[key] = value end
    copy.path = path
    return fn(copy, call)
  end
end

-- It is not UTF-8, or has what nobody sees, such as a line feed.
local function cannot_be_shown(path)
  return text.escape(path) ~= path
end

--- A path for a message.
---@param path string
---@return string
function paths.shown(path)
  return cannot_be_shown(path) and text.write_name(path) or path
end

--- Parts a list: first what can be shown as it is.
---@generic T
---@param list T[]
---@param path_of fun(item: T): string
---@return T[] plain, T[] escaped
function paths.part(list, path_of)
  local plain, escaped = {}, {}
  for _, item in ipairs(list) do
    table.insert(cannot_be_shown(path_of(item)) and escaped or plain, item)
  end
  return plain, escaped
end

--- Adds the lines of the second part to a result, in a block of their own.
---@param result table
---@param lines string[]
function paths.add(result, lines)
  if #lines == 0 then return end
  table.insert(result.content, { type = "text", text = NOTE .. table.concat(lines, "\n") .. "\n" })
end

return paths
