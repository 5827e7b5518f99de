--- Paths as texts. All are absolute, without `.`, `..` and symbolic links.
local path = {}

--- Whether one is a directory or lies in it.
---@param inner string
---@param dir string
---@return boolean
function path.is_in(inner, dir)
  return inner == dir or dir == "/" or inner:sub(1, #dir + 1) == dir .. "/"
end

--- Whether one is any of these directories or lies in it.
---@param inner string
---@param dirs string[]
---@return boolean
function path.is_in_any(inner, dirs)
  for _, dir in ipairs(dirs) do
    if inner == dir or dir == "/" or inner:sub(1, #dir + 1) == dir .. "/" then return true end
  end
  return false
end

--- Whether a directory and any of these paths lie within each other, either way.
---@param dir string
---@param others string[]
---@return string? other the first that does
function path.overlap(dir, others)
  local below = dir == "/" and "/" or dir .. "/"
  for _, other in ipairs(others) do
    if (other .. "/"):sub(1, #below) == below or below:sub(1, #other + 1) == other .. "/"
      or other == "/" then
      return other
    end
  end
end

return path
