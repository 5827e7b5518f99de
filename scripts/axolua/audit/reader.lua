--- Reads the audit log: the file and those that were rotated away, oldest first, and goes on as
--- more comes.
---
--- Each file is known by its inode, so that it does not matter under which name it is found
--- again, nor whether another process still appends to one that was rotated away.
local cjson = require "cjson.safe"
local uv = require "luv"
local async = require("axosandbox").async

local audit_reader = {}

local CHUNK = 256 * 1024
-- A line beyond that is none of ours.
local MAX_LINE = 1024 * 1024
local MOST_KEPT = 100
local MAX_SCANS = 5

---@class cli.AuditReader
---@field path string
---@field files table<string, { offset: integer, rest: string }> by inode
---@field damaged integer lines that could not be read
local Reader = {}
Reader.__index = Reader

--- `on_event(event, line)` gets each.
---@param path string
---@param on_event fun(event: table, line: string)
---@return cli.AuditReader
function audit_reader.new(path, on_event)
  return setmetatable({ path = path, on_event = on_event, files = {}, damaged = 0 }, Reader)
end

local function take_line(self, line)
  if line == "" then return end
  local event = cjson.decode(line)
  if type(event) ~= "table" or type(event.event) ~= "string" then
    self.damaged = self.damaged + 1
    return
  end
  self.on_event(event, line)
end

local function take(self, state, bytes)
  local text = state.rest .. bytes
  local from = 1
  while true do
    local at = text:find("\n", from, true)
    if not at then break end
    take_line(self, text:sub(from, at - 1))
    from = at + 1
  end
  state.rest = text:sub(from)
  if #state.rest > MAX_LINE then
    state.rest = ""
    self.damaged = self.damaged + 1
  end
end

-- What is new in one file; false when there is no such file.
local function read_file(self, path)
  local flags = uv.constants.O_RDONLY | uv.constants.O_NONBLOCK
  local fd, message, code = uv.fs_open(path, flags, 0)
  if code == "ENOENT" then return false end
  if not fd then return nil, message end
  local stat = uv.fs_fstat(fd)
  if not stat or stat.type ~= "file" then
    uv.fs_close(fd)
    return nil, path .. " is not a regular file"
  end
  local key = stat.dev .. ":" .. stat.ino
  local state = self.files[key] or { offset = 0, rest = "" }
  self.files[key], self.seen[key] = state, true
  while true do
    local bytes = uv.fs_read(fd, CHUNK, state.offset)
    if not bytes or bytes == "" then break end
    state.offset = state.offset + #bytes
    take(self, state, bytes)
  end
  uv.fs_close(fd)
  return true
end

local function forget_removed(self)
  for key in pairs(self.files) do
    if not self.seen[key] then self.files[key] = nil end
  end
end

local function scan(self)
  local names = { self.path }
  for i = 1, MOST_KEPT do
    local name = ("%s.%d"):format(self.path, i)
    if not uv.fs_stat(name) then break end
    names[#names + 1] = name
  end
  for i = #names, 1, -1 do
    local found, problem = read_file(self, names[i])
    if found == nil then return nil, problem end
  end
  return true
end

local function inode_of(path)
  local stat = uv.fs_stat(path)
  return stat and stat.ino
end

--- Reads what is new.
---@return true? ok, string? problem
function Reader:read()
  self.seen = {}
  for _ = 1, MAX_SCANS do
    local before = inode_of(self.path)
    local ok, problem = scan(self)
    if not ok then return nil, problem end
    -- Rotated meanwhile: a file may have changed its name before it was looked for.
    if inode_of(self.path) == before then break end
  end
  forget_removed(self)
  return true
end

--- Calls `fn` whenever the log may have grown, until the returned function is called. The
--- directory is watched and not the file: it is renamed, and made anew.
---@param fn fun()
---@return (fun())? stop, string? problem
function Reader:watch(fn)
  local handle = uv.new_fs_event()
  local name = self.path:gsub("^.*/", "")
  local ok, message = handle:start(self.path:match "^(.*)/" .. "/", {}, function(err, changed)
    async.protect(function()
      if not err and (not changed or changed:sub(1, #name) == name) then fn() end
    end)
  end)
  local function stop()
    if not handle:is_closing() then handle:close() end
  end
  if ok then return stop end
  stop()
  return nil, message
end

return audit_reader
