--- Small files of this user's alone, in the project's own directories.
local uv = require "luv"

local private_file = {}

local OTHERS = 63 -- 077

--- What is in one. One that is somebody else's, that others may touch, that is no regular file
--- or is too long is as good as none.
---@param path string
---@param max integer bytes
---@return string?
function private_file.read(path, max)
  local stat = uv.fs_lstat(path)
  if not stat or stat.type ~= "file" or stat.uid ~= uv.getuid() or stat.size > max
    or stat.mode & OTHERS ~= 0 then
    return nil
  end
  local file = io.open(path, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  return text
end

--- Writes a whole one, mode 0600: the old one or the new one is there, never half of it.
---@param path string
---@param text string
---@return true? written, string? problem
function private_file.replace(path, text)
  local fd, temporary = uv.fs_mkstemp(path .. ".XXXXXX")
  if not fd then return nil, temporary end
  local written, problem = uv.fs_write(fd, text)
  uv.fs_close(fd)
  local ok = written == #text
  if ok then ok, problem = uv.fs_rename(temporary, path) end
  if ok then return true end
  uv.fs_unlink(temporary)
  return nil, problem or "not all of it could be written"
end

return private_file
