--- Files on the native way. The guest opens them beneath the session's directory, by the
--- kernel's own confinement, and hands the descriptor over; what has no descriptor to it, and
--- what is rare, is done by scripts (scripted.lua).
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local file_faults = require "axosandbox.way.file_faults"
local faults = require "axosandbox.way.native.faults"
local stats = require "axosandbox.way.stat"
local write = require "axosandbox.way.native.write"
local scripted = require "axosandbox.way.scripted"

---@class axo.NativeWay
local files = {}

local O = core.open_flags
local O_PATH, O_NOFOLLOW, O_DIRECTORY = O.O_PATH, O.O_NOFOLLOW, O.O_DIRECTORY

-- Up to here reading is quicker than handing it to a thread.
local AT_ONCE = 256 * 1024

-- Opens and gives the descriptor to `use`, which closes it.
local function open(self, request, use, done)
  if not self.is_open then return nil, self:stopped_error(request.op) end
  local ok, err = self.link:open_file(request.path, request.flags, request.mode or 0,
    function(raw, fd)
      if raw then return done(faults.of_file(raw, self, request.op, request.path)) end
      use(fd)
    end)
  if not ok then return nil, faults.of(err, self, request.op) end
  return true
end

-- ---- reading ---------------------------------------------------------------------------

-- How many bytes to read, or nil, err.
local function span(stat, path, opts)
  if stats.kind_of(stat) ~= "file" then
    return nil, file_faults.new("read_file", path, "NOT_A_FILE", "it is a " .. stats.kind_of(stat))
  end
  local wanted = math.max(stat.size - (opts.offset or 0), 0)
  -- Files of /proc and their like have no size.
  if stat.size == 0 then wanted = opts.max end
  if opts.limit and opts.limit < wanted then wanted = opts.limit end
  if wanted <= opts.max then return wanted end
  return nil, errors.new {
    code = "TOO_LARGE", op = "read_file", hint = file_faults.hint("TOO_LARGE", "read_file"),
    message = ("%s: it has %d bytes, and one read returns at most %d")
      :format(path, stat.size, opts.max),
  }
end

local function read_slowly(fd, length, offset, finish)
  uv.fs_read(fd, length, offset, function(err, bytes)
    await.protect(finish, err and nil or bytes, err)
  end)
end

--- As scripted.lua has it, and so are the others.
---@param path string
---@param opts { max: integer, offset: integer?, limit: integer? }
---@param done fun(err: axo.Error?, bytes: string?, signature: string?)
---@return any handle, axo.Error?
function files:read_file(path, opts, done)
  return open(self, { op = "read_file", path = path, flags = O.O_RDONLY }, function(fd)
    local stat = uv.fs_fstat(fd)
    local length, err = span(stat, path, opts)
    local function finish(bytes, problem)
      uv.fs_close(fd)
      if not bytes then return done(file_faults.of_luv("read_file", path, problem)) end
      done(nil, bytes, stats.signature_of(stat))
    end
    if not length then
      uv.fs_close(fd)
      return done(err)
    end
    if length > AT_ONCE then return read_slowly(fd, length, opts.offset or 0, finish) end
    finish(uv.fs_read(fd, length, opts.offset or 0))
  end, done)
end

-- Of a file that is read in pieces.
local PIECE = 256 * 1024
local STREAM_TIME = 60

local function stream(fd, path, take)
  local kind, at = stats.kind_of(uv.fs_fstat(fd)), 0
  if kind ~= "file" then
    return nil, file_faults.new("read_file", path, "NOT_A_FILE", "it is a " .. kind)
  end
  local deadline = uv.hrtime() + STREAM_TIME * 1e9
  while uv.hrtime() < deadline do
    local bytes, problem = await.call(function(done)
      return uv.fs_read(fd, PIECE, at, function(...) await.protect(done, ...) end)
    end)
    if not bytes then return nil, file_faults.of_luv("read_file", path, problem) end
    if bytes == "" or not take(bytes) then return true end
    at = at + #bytes
  end
  return nil, file_faults.new("read_file", path, "TIMEOUT", "it took too long")
end

--- Reads a file of any size from its beginning, until `take` returns false.
---@param path string
---@param take fun(bytes: string): boolean
---@param done fun(err: axo.Error?)
---@return any handle, axo.Error?
function files:stream_file(path, take, done)
  return open(self, { op = "read_file", path = path, flags = O.O_RDONLY }, function(fd)
    await.spawn(function() return stream(fd, path, take) end, function(err)
      uv.fs_close(fd)
      done(err)
    end)
  end, done)
end

-- ---- writing ---------------------------------------------------------------------------

---@param path string
---@param bytes string
---@param opts { parents: boolean?, mode: integer?, unchanged: string? }
---@param done fun(err: axo.Error?, ok: true?)
---@return any handle, axo.Error?
function files:write_file(path, bytes, opts, done)
  if not self.is_open then return nil, self:stopped_error "write_file" end
  await.spawn(function() return write.file(self, path, bytes, opts) end, done)
  return true
end

-- ---- looking ---------------------------------------------------------------------------

---@param path string
---@param follow boolean
---@param done fun(err: axo.Error?, entry: table?)
---@return any handle, axo.Error?
function files:stat(path, follow, done)
  return open(self, {
    op = "stat", path = path, flags = O_PATH | (follow and 0 or O_NOFOLLOW),
  }, function(fd)
    local stat = uv.fs_fstat(fd)
    uv.fs_close(fd)
    done(nil, stats.entry_of((path:gsub("^.*/", "")), stat))
  end, done)
end

--- Whether a command may begin in that directory: it is one, and beneath the root.
---@param path string
---@param done fun(err: axo.Error?, ok: true?)
---@return any handle, axo.Error?
function files:check_directory(path, done)
  return open(self, { op = "exec", path = path, flags = O_PATH | O_DIRECTORY }, function(fd)
    uv.fs_close(fd)
    done(nil, true)
  end, done)
end

-- ---- listing ---------------------------------------------------------------------------

-- Names that are read and looked at in one turn of the loop.
local BATCH = 128

local function is_refused(problem)
  return problem:find "^EACCES" ~= nil or problem:find "^EPERM" ~= nil
end

-- What is gone by now is left out. nil, problem when an entry may not be looked at.
local function add(listing, name)
  if #listing.entries == listing.max then
    listing.entries.truncated = true
    return true
  end
  local stat, problem = uv.fs_lstat(listing.dir .. "/" .. name)
  if stat then table.insert(listing.entries, stats.entry_of(name, stat)) end
  if problem and is_refused(problem) then return nil, problem end
  return true
end

local function add_all(listing, batch)
  for _, found in ipairs(batch) do
    local ok, problem = add(listing, found.name)
    if not ok then return nil, problem end
    if listing.entries.truncated then break end
  end
  return true
end

local function read_on(listing, handle, finish)
  uv.fs_readdir(handle, function(problem, batch)
    local ok = batch ~= nil
    if ok then ok, problem = add_all(listing, batch) end
    if ok and not listing.entries.truncated then return read_on(listing, handle, finish) end
    uv.fs_closedir(handle, function() await.protect(finish, problem) end)
  end)
end

-- Closes the descriptor at the end.
local function list(fd, max, done)
  local listing = { dir = "/proc/self/fd/" .. fd, max = max, entries = {} }
  local function finish(problem)
    uv.fs_close(fd)
    if problem then return done(problem) end
    table.sort(listing.entries, function(a, b) return a.name < b.name end)
    done(nil, listing.entries)
  end
  uv.fs_opendir(listing.dir, function(problem, handle)
    if problem then return await.protect(finish, problem) end
    read_on(listing, handle, finish)
  end, BATCH)
end

---@param path string
---@param max integer
---@param done fun(err: axo.Error?, entries: table[]?)
---@return any handle, axo.Error?
function files:list_dir(path, max, done)
  return open(self, { op = "list_dir", path = path, flags = O.O_RDONLY | O_DIRECTORY }, function(fd)
    list(fd, max, function(problem, entries)
      if not problem then return done(nil, entries) end
      if not is_refused(problem) then return done(file_faults.of_luv("list_dir", path, problem)) end
      -- A host that is not root may not read what belongs to another user of the container.
      local ok, err = scripted.list_dir(self, path, max, done)
      if not ok then done(err) end
    end)
  end, done)
end

return files
