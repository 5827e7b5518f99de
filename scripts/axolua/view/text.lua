--- Text for people: tables, ages, sizes, quoted commands.
local axo = require "axosandbox"

local text = {}

local function width_of(cell)
  return utf8.len(cell) or #cell
end

local function widths_of(lines)
  local widths = {}
  for _, row in ipairs(lines) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, width_of(cell)) end
  end
  return widths
end

local function pad(cell, i, row, width, opts)
  local padding = (" "):rep(width - width_of(cell))
  local shown = opts.paint and opts.paint(cell, i, row) or cell
  if opts.right and opts.right[i] then return padding .. shown end
  return i < #row and shown .. padding or shown
end

--- Columns, padded; the last one is not.
---@param header string[]
---@param rows string[][]
---@param opts { right: table<integer, true>?, paint: (fun(cell: string, column: integer, row: string[]): string?)? }? right: columns of numbers; paint: wraps a cell in what takes no room
---@return string
function text.columns(header, rows, opts)
  opts = opts or {}
  local all = { header }
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do cells[i] = text.visible(cell) end
    all[#all + 1] = cells
  end
  local widths, lines = widths_of(all), {}
  for _, row in ipairs(all) do
    local cells = {}
    for i, cell in ipairs(row) do cells[i] = pad(cell, i, row, widths[i], opts) end
    lines[#lines + 1] = table.concat(cells, "  ") .. "\n"
  end
  return table.concat(lines)
end

--- A list as lines that are no longer than they must be: broken after its semicolons.
---@param list string
---@param indent integer what is before its first line, and before each other one
---@param width integer
---@return string
function text.wrapped(list, indent, width)
  local lines, line = {}, nil
  -- linear: it ends with one.
  for item in (list .. "; "):gmatch "(.-); " do
    local longer = line and line .. "; " .. item
    if longer and indent + #longer >= width then
      lines[#lines + 1], longer = line .. ";", nil
    end
    line = longer or item
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

local UNITS = { { 86400, "d" }, { 3600, "h" }, { 60, "m" } }

--- A span of seconds in its largest whole unit: "3d", "5h", "12m", "40s".
---@param seconds number?
---@return string
function text.age(seconds)
  if not seconds then return "-" end
  for _, unit in ipairs(UNITS) do
    if seconds >= unit[1] then return ("%d%s"):format(seconds // unit[1], unit[2]) end
  end
  return ("%ds"):format(math.max(0, seconds // 1))
end

local SIZES = { { 2 ^ 30, "GiB" }, { 2 ^ 20, "MiB" }, { 2 ^ 10, "KiB" } }

--- A count of bytes: "2 GiB", "1.5 MiB", "12 bytes".
---@param bytes number
---@return string
function text.size(bytes)
  for _, unit in ipairs(SIZES) do
    if bytes >= unit[1] then return ("%.3g %s"):format(bytes / unit[1], unit[2]) end
  end
  return ("%d bytes"):format(bytes)
end

local BAR = 24

--- How far something is: "[######------------------] 8.5 MiB of 34 MiB".
---@param done integer bytes
---@param total integer bytes, more than none
---@return string
function text.bar(done, total)
  local full = math.min(BAR, done * BAR // total)
  return ("[%s%s] %s of %s"):format(("#"):rep(full), ("-"):rep(BAR - full), text.size(done),
    text.size(total))
end

--- Control characters made visible: names and paths come from elsewhere, and a terminal
--- obeys what it is sent.
---@param value any
---@return string
function text.visible(value)
  return axo.text.escape(tostring(value))
end

--- The same for messages of several lines: the lines stay, indented.
---@param value any
---@return string
function text.printable(value)
  local lines = tostring(value):match "^.*[^\n]" or ""
  return (lines:gsub("[^\n]+", text.visible):gsub("\n", "\n        "))
end

--- An argument vector as one would type it.
---@param argv string[]
---@return string
function text.command(argv)
  return axo.text.command(argv)
end

return text
