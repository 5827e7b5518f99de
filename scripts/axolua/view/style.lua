--- Colours, where somebody looks: on a terminal, unless $NO_COLOR or a dumb one says otherwise.
local uv = require "luv"

local style = {}

local CODES = { bold = "1", red = "31", green = "32", yellow = "33", dim = "2" }

--- Whether what goes to a descriptor may be coloured.
---@param fd integer
---@return boolean
function style.is_on(fd)
  local refused = os.getenv "NO_COLOR"
  if refused and refused ~= "" or os.getenv "TERM" == "dumb" then return false end
  return uv.guess_handle(fd) == "tty"
end

--- A painter for a descriptor: gives text back in a colour, or as it is.
---@param fd integer
---@return fun(colour: string?, text: string): string
function style.painter(fd)
  local is_on = style.is_on(fd)
  return function(colour, text)
    if not is_on or not colour then return text end
    return ("\27[%sm%s\27[0m"):format(CODES[colour], text)
  end
end

--- A `paint` for tables: the header bold, cells of the given columns by what they say.
---@param colours table<integer, fun(cell: string, row: string[]): string?> a colour's name
---@param header string[]
---@return fun(cell: string, column: integer, row: string[]): string
function style.table_paint(colours, header)
  local paint = style.painter(1)
  return function(cell, column, row)
    if row == header then return paint("bold", cell) end
    return paint(colours[column] and colours[column](cell, row), cell)
  end
end

return style
