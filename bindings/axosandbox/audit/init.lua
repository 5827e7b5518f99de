--- The audit log: what this process did in sessions, an event each, in a file of JSON lines or
--- to a function. Off unless asked for, and then it costs nothing.
---
--- Every event has `time` (UTC), `event`, `pid`, `uid` and, when it belongs to one, `session`;
--- README.md lists the events and what else they hold. Values of secrets are replaced by their
--- names in every text.
local uv = require "luv"
local audit_file = require "axosandbox.audit.file"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"
local json = require "axosandbox.base.json"
local log = require "axosandbox.base.log"
local options = require "axosandbox.base.options"
local redact = require "axosandbox.audit.redact"
local written = require "axosandbox.base.text.written"

local audit = {
  --- Whether anybody wants events.
  is_on = false,
}

local FILE = "audit.jsonl"
local MAX_SIZE = 10 * 1024 * 1024
local KEEP = 5

-- Of one text, and of one list.
local MAX_TEXT = 4096
local MAX_ITEMS = 256
local MAX_DEPTH = 8

---@class axo.AuditSink
---@field write fun(event: table)
---@field flush fun(seconds: number, fn: fun())
---@field close fun()

---@type axo.AuditSink?
local sink

-- ---- events --------------------------------------------------------------------------------

local function now()
  local seconds, micro = uv.gettimeofday()
  return ("%s.%03dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", seconds), micro // 1000)
end

-- Where a text is cut, not within a character.
local function cut_at(text)
  local at = MAX_TEXT
  while at > MAX_TEXT - 3 and text:byte(at + 1) & 0xC0 == 0x80 do at = at - 1 end
  return at
end

-- Redacted before it is cut: half a secret would not be recognised.
local function clean_text(text)
  text = redact.text(text)
  if #text <= MAX_TEXT then return text end
  return ("%s...(%d bytes in all)"):format(text:sub(1, cut_at(text)), #text)
end

local function clean(value, depth)
  if type(value) == "string" then return clean_text(value) end
  if type(value) ~= "table" then return value end
  if depth > MAX_DEPTH then return "..." end
  local copy, count = {}, 0
  for key, item in pairs(value) do
    count = count + 1
    if math.type(key) ~= "integer" or key <= MAX_ITEMS then copy[key] = clean(item, depth + 1) end
  end
  if #value > MAX_ITEMS then copy[MAX_ITEMS + 1] = ("...(%d in all)"):format(count) end
  return copy
end

local own_pid, own_uid = uv.os_getpid(), uv.getuid()

local function complete(event, session, fields)
  local made = clean(fields or {}, 1)
  made.time, made.event, made.session = now(), event, session
  made.pid, made.uid = own_pid, own_uid
  return made
end

--- Records an event; does nothing when the log is off.
---@param event string its name
---@param session string? the session's id
---@param fields table? what else there is to say: plain data, copied
function audit.emit(event, session, fields)
  if sink then sink.write(complete(event, session, fields)) end
end

-- ---- where they go -------------------------------------------------------------------------

local function file_sink(path, opts)
  local file = audit_file.new {
    path = path, max_size = opts.max_size or MAX_SIZE, keep = opts.keep or KEEP, now = now,
    note = function(gap)
      return complete("lost", nil, { count = gap.lost, since = gap.since })
    end,
  }
  return {
    write = function(event) file:push(json.encode(written.object(event)) .. "\n") end,
    flush = function(seconds, fn) file:flush(seconds, fn) end,
    close = function() file:close() end,
  }
end

-- A function that raises loses the event; the next call that does not is told how many.
local function function_sink(fn)
  local lost, since = 0, nil
  local function deliver(event)
    local ok, err = xpcall(fn, debug.traceback, event)
    if ok then return true end
    if lost == 0 then
      since = event.time
      log.uncaught(err)
    end
    lost = lost + 1
    return false
  end
  local function tell_of_gap()
    local count = lost
    if count == 0 then return end
    lost = 0
    if not deliver(complete("lost", nil, { count = count, since = since })) then lost = count end
  end
  return {
    write = function(event)
      if deliver(event) then tell_of_gap() end
    end,
    flush = function(_, done) await.defer(done) end,
    close = function() end,
  }
end

local function check_path(path)
  if path:sub(1, 1) ~= "/" then return "the path must be absolute" end
end

local SHAPE = {
  file = { type = "string", check = check_path },
  max_size = { type = "integer", min = 4096, max = 2 ^ 40 },
  keep = { type = "integer", min = 0, max = 99 },
}

--- The log that `axolua` writes, and a library that is told no other file:
--- `$XDG_STATE_HOME/axosandbox/audit.jsonl`. Its directory is made, but for who only reads it.
---
---     local path = assert(axo.audit_file(true))
---     print(path:match "^.*/(.*)$")  --> audit.jsonl
---@param is_read boolean?
---@return string? path, axo.Error?
function audit.default_file(is_read)
  local dir, err = is_read and host.state_path() or nil, nil
  if not dir then dir, err = host.state_dir() end
  return dir and dir .. "/" .. FILE, err
end

local function replace(new)
  local old = sink
  sink, audit.is_on = new, new ~= nil
  if old then old.close() end
  return true
end

--- Turns the audit log on: to a function, which gets each event as a table, or to a file of
--- JSON lines. nil turns it off.
---
--- The file has mode 0600, is appended to, and is renamed to FILE.1 when it would grow beyond
--- `max_size`; `keep` of those are kept. Writing never makes the loop wait: events wait in a
--- queue of 1 MiB while the disk does not take them, those beyond are counted, and an event
--- `lost` tells the count once writing works again. `sb:stop()` waits for the events up to then
--- to be written, one second at most. A function is called at once and must not wait; what it
--- raises is logged, and `lost` tells it how many events that cost.
---
---     assert(axo.set_audit { file = "/some/state/audit.jsonl", max_size = 1024 * 1024, keep = 2 })
---@param receiver (fun(event: table))|{ file: string?, max_size: integer?, keep: integer? }|nil file: absolute, by default $XDG_STATE_HOME/axosandbox/audit.jsonl; max_size: bytes, 10 MiB by default; keep: 5 by default
---@return true? on, axo.Error? err the default file has no place
function audit.set_audit(receiver)
  if receiver == nil then return replace(nil) end
  if type(receiver) == "function" then return replace(function_sink(receiver)) end
  local opts = options.check(SHAPE, receiver, "axosandbox.set_audit", 2)
  local path, err = opts.file, nil
  if not path then path, err = audit.default_file() end
  if not path then return nil, err end
  return replace(file_sink(path, opts))
end

--- Calls `fn` once what was recorded so far is written, or cannot be; on a later turn of the
--- loop.
---@param seconds number at most
---@param fn fun()
function audit.flush(seconds, fn)
  if not sink then return await.defer(fn) end
  sink.flush(seconds, fn)
end

--- An error as an event tells it.
---@param err any
---@return { code: string?, message: string }
function audit.error_fields(err)
  if not errors.is_error(err) then return { message = tostring(err) } end
  return { code = err.code, message = err.message }
end

return audit
