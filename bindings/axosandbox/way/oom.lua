--- Whether the kernel killed something in a container for want of memory: its cgroup counts that.
---
--- The count is read when a command starts, which is one small file, and again only when it has
--- ended otherwise than well. Without the first, a later command would be blamed for a death that
--- an earlier one survived.
local cgroups = require "axosandbox.host.mounts.cgroups"
local hints = require "axosandbox.base.hints"
local host = require "axosandbox.host"
local limits = require "axosandbox.policy.limits"

local oom = {}

---@class axo.OomWatch
---@field record axo.Record
---@field last { kills: integer, hits: integer }? what was read last
local Watch = {}
Watch.__index = Watch

--- Of a running container.
---@param record { pid: integer?, container_id: string?, limits: axo.Limits? }
---@return axo.OomWatch
function oom.watch(record)
  return setmetatable({ record = record }, Watch)
end

-- Where the counts are; false: nowhere that can be read, and nothing is said.
local function find_files(record)
  local context = record.container_id and cgroups.context(record.pid, record.container_id)
  if not context then return false end
  local dir, is_v1 = cgroups.directory(context, "memory")
  if not dir then return false end
  if not is_v1 then return { kills = dir .. "/memory.events" } end
  return {
    kills = dir .. "/memory.oom_control",
    hits = { dir .. "/memory.failcnt", dir .. "/memory.memsw.failcnt" },
  }
end

--- The count as it is now, to compare with. Does not wait.
---@return table? mark nil: it is not known
function Watch:mark()
  if self.files == nil then self.files = find_files(self.record) end
  local text = self.files and host.read_file(self.files.kills)
  local kills = text and math.tointeger(text:match "%f[^\n\0]oom_kill (%d+)")
  if not kills then return nil end
  self.last = { kills = kills, hits = math.tointeger(text:match "%f[^\n\0]oom (%d+)") or 0 }
  return self.last
end

-- On cgroup v1 how often the limit was met is counted elsewhere, and read only when it matters.
local function met_limit(self, before, now)
  for _, path in ipairs(self.files.hits or {}) do
    if (tonumber(host.read_file(path)) or 0) > 0 then return true end
  end
  return now.hits > before.hits
end

--- Why something was killed since then. Does not wait.
---@param mark table?
---@return "limit"|"host"|nil cause nil: nothing was, or that is not known
function Watch:cause(mark)
  local now = mark and self:mark()
  if not now then return nil end
  if now.kills <= mark.kills then return nil end
  return met_limit(self, mark, now) and "limit" or "host"
end

--- The same since it was read last: for a container that has just ended.
---@return "limit"|"host"|nil cause
function Watch:latest() return self:cause(self.last) end

--- Why its container has ended. Once the cgroup is gone there is nothing to ask: the first answer
--- stays.
---@param cause "limit"|"host"|nil when it is known
---@return "limit"|"host"|nil cause
function Watch:ended_by(cause)
  self.end_cause = self.end_cause or cause or self:latest()
  return self.end_cause
end

local function limit_of(record)
  local memory = record.limits and record.limits.memory
  return memory and memory.applied and " of " .. limits.size(memory.applied) or ""
end

--- Who ended what, for a person.
---@param cause "limit"|"host"
---@param applied axo.Limits?
---@param what string "the command"
---@return string
function oom.sentence(cause, applied, what)
  if cause == "host" then return "the host ran out of memory, and the kernel ended " .. what end
  return ("the session's memory limit%s ended %s"):format(limit_of { limits = applied }, what)
end

-- What else than a signal from outside ends by KILL? A shell says it by its exit code.
local function is_itself(ended)
  return not (ended.timed_out or ended.cancelled or ended.limit_hit)
    and (ended.signal == "KILL" or ended.code == 137)
end

--- What is to be said of the end of a command, a task or a terminal.
---
---     local r = assert(sb:exec { "sh", "-c", "exit 3" })
---     print(axo.errors.memory(r, sb:limits(), "the command", "lua"))  --> nil
---@param ended axo.Result|axo.WorkStatus
---@param applied axo.Limits?
---@param what string "the command"
---@param reader "lua"|"cli"|"mcp"
---@return string? sentence nil: no memory ran out
---@return string? hint
function oom.note(ended, applied, what, reader)
  local cause = ended.oom_killed
  if not cause then return nil end
  local victim = is_itself(ended) and what or "something in " .. what
  local hint = hints.TABLE[cause == "host" and "host_memory" or "memory"][reader]
  return oom.sentence(cause, applied, victim), hint
end

--- A few words behind a status.
---@param ended axo.Result|axo.WorkStatus
---@return string
function oom.suffix(ended)
  if not ended.oom_killed then return "" end
  return is_itself(ended) and ", memory ran out" or ", memory ran out meanwhile"
end

return oom
