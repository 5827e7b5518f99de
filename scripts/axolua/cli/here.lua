--- The current directory, which can be gone: removed while a shell stands in it.
local uv = require "luv"
local cli = require "axolua.cli"

local here = {}

local is_gone = false

--- Steps out of a directory that is gone: podman starts in none, and most commands need none.
function here.begin()
  if uv.cwd() then return end
  is_gone = true
  uv.chdir "/"
end

--- The absolute path of what was named; where the current directory is gone, the command ends.
---@param path string
---@return string
function here.absolute(path)
  if path:sub(1, 1) == "/" then return path end
  local dir = not is_gone and uv.cwd()
  if not dir then
    cli.abort(("the current directory is gone, so %q names nothing"):format(path),
      "cd to a directory that exists, or give the absolute path of one")
  end
  path = path:gsub("^%./+", "")
  return dir .. (path == "." and "" or (dir == "/" and "" or "/") .. path)
end

return here
