--- The programs of ours that are installed beside the modules, and are run from there.
local uv = require "luv"

local FILE = select(2, ...) -- as require hands it over

local programs = {}

local OTHERS_WRITE = 18 -- 022

--- Where one lies. PREFIX/share/lua/5.4/axosandbox has it at PREFIX/lib/axosandbox; by the text of
--- the path, since in a build tree the module directory is a symbolic link.
---@param name string "axo-guest"
---@return string path
function programs.path(name)
  local directory = FILE:match "^(.*)/[^/]*/[^/]*$" or ".."
  local prefix = directory:match "^(.*)/[^/]+/[^/]+/[^/]+/[^/]+$" or "../../../../.."
  return prefix .. "/lib/axosandbox/" .. name
end

local function problem_with(stat)
  if not stat then return "it is missing" end
  if stat.type ~= "file" then return "it is no file" end
  if stat.uid ~= 0 and stat.uid ~= uv.getuid() then return "it belongs to somebody else" end
  if stat.mode & OTHERS_WRITE ~= 0 then return "others can write to it" end
end

--- The real path of a program that nobody else can have changed.
---@param path string
---@return string? real absolute, string? why_not
function programs.trusted(path)
  local real = uv.fs_realpath(path)
  local why = problem_with(real and uv.fs_stat(real))
  if why then return nil, why end
  return real
end

return programs
