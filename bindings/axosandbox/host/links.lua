--- Symbolic links, one after the other: for who must know where a path leads, and by which way.
local uv = require "luv"

local links = {}

-- As the kernel has it.
local MAX_LINKS = 40

local function push(todo, path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part ~= "." then parts[#parts + 1] = part end
  end
  for i = #parts, 1, -1 do todo[#todo + 1] = parts[i] end
end

--- Where a path leads beneath a root: a link is followed as it is in there, where the kernel would
--- follow an absolute one to a place on this host.
---
---     print(axo.host.follow_links("", "/proc/../tmp"))  --> /tmp
---@param root string "" for this host's own
---@param path string absolute
---@param is_end (fun(at: string, target: string?): boolean?)? nil: it is followed to its end; is asked of each step, with where a link leads
---@return string? at "" for the root itself; nil: there are too many links, or that was the end
function links.follow(root, path, is_end)
  local todo, at, count = {}, "", 0
  push(todo, path)
  while #todo > 0 do
    local part = table.remove(todo)
    local child = at .. "/" .. part
    local target = part ~= ".." and uv.fs_readlink(root .. child) or nil
    if is_end and is_end(child, target) then return nil end
    if part == ".." then
      at = at:gsub("/[^/]*$", "")
    elseif not target then
      at = child
    elseif count == MAX_LINKS then
      return nil
    else
      count = count + 1
      if target:sub(1, 1) == "/" then at = "" end
      push(todo, target)
    end
  end
  return at
end

return links
