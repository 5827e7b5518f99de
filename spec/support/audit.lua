--- The audit log for the specs: in a file of a test's own, read back.
local cjson = require "cjson"
local uv = require "luv"
local audit = require "axosandbox.audit"
local temp = require "spec.support.temp"

local support = {}

--- Waits until everything that was recorded is written, or cannot be.
function support.flush()
  local over = false
  audit.flush(30, function() over = true end)
  while not over do uv.run "once" end
end

--- Turns the log off, with what waits written.
function support.off()
  support.flush()
  assert(audit.set_audit(nil))
  uv.run "nowait"
end

--- Turns it on, in a file of a fresh directory.
---@param opts table? max_size, keep
---@return string path
function support.on(opts)
  local path = temp.dir() .. "/audit.jsonl"
  local options = { file = path }
  for key, value in pairs(opts or {}) do options[key] = value end
  assert(audit.set_audit(options))
  return path
end

--- The names of the log's files that are there, oldest first.
---@param path string
---@return string[]
function support.files(path)
  local files = { path }
  for i = 1, 100 do
    local name = ("%s.%d"):format(path, i)
    if not uv.fs_stat(name) then break end
    table.insert(files, 1, name)
  end
  return files
end

--- Every event of the log, over all of its files, oldest first; a line that is none raises,
--- but for `damaged` of them.
---@param path string
---@param damaged integer?
---@return table[]
function support.events(path, damaged)
  local events, left = {}, damaged or 0
  for _, name in ipairs(support.files(path)) do
    for line in (temp.read(name) or ""):gmatch "[^\n]+" do
      local ok, event = pcall(cjson.decode, line)
      if ok then
        events[#events + 1] = event
      elseif left > 0 then
        left = left - 1
      else
        error("a damaged line: " .. line)
      end
    end
  end
  return events
end

--- Those of one name.
---@param events table[]
---@param name string
---@return table[]
function support.of(events, name)
  local found = {}
  for _, event in ipairs(events) do
    if event.event == name then found[#found + 1] = event end
  end
  return found
end

return support
