--- A PID namespace: processes that see each other and nothing else of this machine. What ends all
--- of it is the end of its first process, which comes with the end of whoever made it, too.
local uv = require "luv"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"

local pid_namespace = {}

-- Says which number it has outside, starts the rest in the background, and reaps what is left to it.
local FIRST = [[
  read -r pid rest </proc/self/stat && mount -t proc proc /proc || exit
  "$@" &
  trap '' CHLD
  echo "first process $pid"
  exec cat
]]

local function as_user(option)
  return uv.getuid() ~= 0 and option or nil
end

local function join(...)
  local all = {}
  for _, list in ipairs { ... } do table.move(list, 1, #list, #all + 1, all) end
  return all
end

local space = {}
space.__index = space

--- Makes one and starts a program in it, with a session of its own and no input.
---@param argv string[]
function pid_namespace.start(argv)
  local first = proc.start(join({ "unshare" }, { as_user "--map-root-user" },
    { "--pid", "--fork", "--mount", "--kill-child", "/bin/sh", "-c", FIRST, "sh", "setsid" }, argv),
    { stdin = true })
  local self = setmetatable({ first = first }, space)
  self.pid = first:wait_for "first process (%d+)\n"
  return self
end

--- The argv of a program that runs inside; its parent is seen there as 0.
function space:argv(argv)
  return join({ "nsenter", "--target", self.pid, "--pid", "--mount" },
    { as_user "--user" }, { as_user "--preserve-credentials" }, argv)
end

function space:stdout() return self.first:stdout() end

local function command(dir, pid)
  local bytes = temp.read(dir .. "/" .. pid .. "/cmdline") or ""
  return (bytes:gsub("%z$", ""):gsub("%z", " "))
end

--- The command lines of what runs inside, but for the first process.
---@return string[]
function space:commands()
  local dir, found = "/proc/" .. self.pid .. "/root/proc", {}
  local scan = assert(uv.fs_scandir(dir))
  for name in function() return uv.fs_scandir_next(scan) end do
    local text = name:find "^%d+$" and name ~= "1" and command(dir, name) or ""
    if text ~= "" then found[#found + 1] = text end
  end
  return found
end

--- How many run with exactly this command line.
function space:count(text)
  local count = 0
  for _, line in ipairs(self:commands()) do
    if line == text then count = count + 1 end
  end
  return count
end

--- Ends everything in it.
function space:close()
  self.first:close_stdin()
  self.first:wait()
end

return pid_namespace
