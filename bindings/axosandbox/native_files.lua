--- Files on the native path. The guest opens them beneath the session's directory, by the
--- kernel's own confinement, and hands the descriptor over; what has no descriptor to it, and
--- what is rare, is done by the scripts of the portable path.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.await"
local errors = require "axosandbox.errors"
local naming = require "axosandbox.naming"
local faults = require "axosandbox.native_faults"
local root = require "axosandbox.root"
local scripted = require "axosandbox.portable_files"

---@class axo.NativePath
local files = {}

local O = core.open_flags
local O_PATH, O_NOFOLLOW, O_DIRECTORY = O.O_PATH, O.O_NOFOLLOW, O.O_DIRECTORY
local NEW_FILE = 420 -- 0644, as `>` makes one under the usual umask

-- Up to here reading is quicker than handing it to a thread.
local AT_ONCE = 256 * 1024

local CODES = {
  ENOENT = "NOT_FOUND", EXDEV = "OUTSIDE", ELOOP = "OUTSIDE", EACCES = "PERMISSION",
  EPERM = "PERMISSION", ENOTDIR = "NOT_A_DIRECTORY", EISDIR = "NOT_A_FILE", ENXIO = "NOT_A_FILE",
  EEXIST = "EXISTS", ENOTEMPTY = "NOT_EMPTY", ENOSPC = "NO_SPACE", EROFS = "READ_ONLY",
  ENAMETOOLONG = "INVALID", EINVAL = "INVALID", EDQUOT = "NO_SPACE",
}

local TYPES = {
  [0x8000] = "file", [0x4000] = "directory", [0xA000] = "link", [0x1000] = "fifo",
  [0xC000] = "socket", [0x2000] = "char", [0x6000] = "block",
}

local function failure(op, path, code, message)
  return errors.new { code = CODES[code] or code, op = op, message = path .. ": " .. message }
end

-- An error of the guest; those of the link itself keep their names.
local function fault(self, op, path, raw)
  if raw.stage ~= core.stage.FILE then return faults.of(raw, self, op) end
  local text = (raw.message:match "^.*:(.+)$" or raw.message):gsub("^ ", "")
  if raw.code == "ESTALE" then return root.gone(self, op) end
  if raw.code == "EXDEV" then text = "it leads out of the session's directory" end
  return failure(op, path, raw.code, text)
end

-- luv's words: "ENOSPC: no space left on device", or "Unknown system error -122: ...".
local function local_failure(op, path, problem)
  local unknown = problem:match "^Unknown system error %-(%d+)"
  if unknown then problem = ("%s: %s"):format(core.system_error(math.tointeger(unknown))) end
  return failure(op, path, problem:match "^(E%w+)" or "IO", problem)
end

-- Opens and gives the descriptor to `use`, which closes it.
local function open(self, request, use, done)
  if not self.is_open then return nil, self:stopped_error(request.op) end
  local ok, err = self.link:open_file(request.path, request.flags, request.mode or 0,
    function(raw, fd)
      if raw then return done(fault(self, request.op, request.path, raw)) end
      use(fd)
    end)
  if not ok then return nil, faults.of(err, self, request.op) end
  return true
end

local function kind_of(stat)
  return TYPES[stat.mode & 0xF000] or "unknown"
end

local function signature_of(stat)
  return ("%d:%d:%d:%d.%09d:%d.%09d"):format(stat.dev, stat.ino, stat.size, stat.mtime.sec,
    stat.mtime.nsec, stat.ctime.sec, stat.ctime.nsec)
end

-- ---- reading ---------------------------------------------------------------------------

-- How many bytes to read, or nil, err.
local function span(stat, path, opts)
  if kind_of(stat) ~= "file" then
    return nil, failure("read_file", path, "NOT_A_FILE", "it is a " .. kind_of(stat))
  end
  local wanted = math.max(stat.size - (opts.offset or 0), 0)
  -- Files of /proc and their like have no size.
  if stat.size == 0 then wanted = opts.max end
  if opts.limit and opts.limit < wanted then wanted = opts.limit end
  if wanted <= opts.max then return wanted end
  return nil, errors.new {
    code = "TOO_LARGE", op = "read_file", hint = "read it in parts: give offset and limit",
    message = ("%s: it has %d bytes, and one read returns at most %d")
      :format(path, stat.size, opts.max),
  }
end

local function read_slowly(fd, length, offset, finish)
  uv.fs_read(fd, length, offset, function(err, bytes)
    await.protect(finish, err and nil or bytes, err)
  end)
end

--- As on the portable path, and so are the others.
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
      if not bytes then return done(local_failure("read_file", path, problem)) end
      done(nil, bytes, signature_of(stat))
    end
    if not length then
      uv.fs_close(fd)
      return done(err)
    end
    if length > AT_ONCE then return read_slowly(fd, length, opts.offset or 0, finish) end
    finish(uv.fs_read(fd, length, opts.offset or 0))
  end, done)
end

-- ---- writing ---------------------------------------------------------------------------

local function fill(fd, bytes, done)
  uv.fs_write(fd, bytes, 0, function(err, count)
    if err or count ~= #bytes then
      return await.protect(done, err or "EIO: it could not be written whole")
    end
    uv.fs_fsync(fd, function(problem) await.protect(done, problem) end)
  end)
end

-- Gives the new file the owner and the mode that it shall have. False where this host may not:
-- one that is not root has no power over the other users of a rootless container.
local function dress(fd, write)
  local old, new = write.stat, uv.fs_fstat(fd)
  local mode = write.mode or old and old.mode & 0xFFF
  local is_given = old and (old.uid ~= new.uid or old.gid ~= new.gid)
  if is_given and not uv.fs_fchown(fd, old.uid, old.gid) then return false end
  -- A file that is given away loses its setuid bit.
  local is_right = not mode or not is_given and mode == new.mode & 0xFFF
  return is_right or uv.fs_fchmod(fd, mode) ~= nil
end

-- Removes the temporary file. A guest that does not answer is not waited for again: it finds the
-- request when it comes back.
local function drop(self, temporary, is_silent, dropped)
  local ok = self.link:path("unlink", temporary, nil, 0, is_silent and function() end or dropped)
  if is_silent or not ok then dropped() end
end

local function fill_and_rename(self, fd, temporary, write)
  local function give_up(err)
    drop(self, temporary, err.code == "TIMEOUT", function() write.done(err) end)
  end
  fill(fd, write.bytes, function(problem)
    uv.fs_close(fd)
    if problem then return give_up(local_failure("write_file", write.path, problem)) end
    local ok, err = self.link:path("rename", temporary, write.path, 0, function(raw)
      if raw then return give_up(fault(self, "write_file", write.path, raw)) end
      write.done(nil, true)
    end)
    if not ok then give_up(faults.of(err, self, "write_file")) end
  end)
end

local replace

-- There is no shell, or none that this user may run.
local function has_no_scripts(err)
  return err.op == "exec" and (err.code == "NOT_FOUND" or err.code == "NOT_EXECUTABLE")
end

-- A script in the container is the container's root, and may. Where none can run, what cannot be
-- kept is no reason not to write.
local function write_by_script(self, write)
  local ok, problem = scripted.write_file(self, write.path, write.bytes, {
    mode = write.mode, parents = false,
  }, function(err, written)
    if not err or not has_no_scripts(err) then return write.done(err, written) end
    write.is_plain = true
    local begun, failed = replace(self, write)
    if not begun then write.done(failed) end
  end)
  if not ok then write.done(problem) end
end

function replace(self, write)
  local path = write.path
  local temporary = (path:match "^(.*/)[^/]*$" or "") .. ".axo-write-" .. naming.token(8)
  return open(self, {
    op = "write_file", path = temporary, mode = write.mode or NEW_FILE,
    flags = O.O_WRONLY | O.O_CREAT | O.O_EXCL,
  }, function(fd)
    if dress(fd, write) or write.is_plain then
      return fill_and_rename(self, fd, temporary, write)
    end
    uv.fs_close(fd)
    drop(self, temporary, false, function() write_by_script(self, write) end)
  end, function(err)
    if err.code ~= "TIMEOUT" then return write.done(err) end
    drop(self, temporary, true, function() write.done(err) end)
  end)
end

local function changed(path)
  return errors.new {
    code = "CHANGED", op = "write_file",
    message = path .. ": somebody else has written it meanwhile",
    hint = "read it again, then edit",
  }
end

-- Looks at what is there, or at what it leads to.
local function look(self, path, follow, found)
  return open(self, {
    op = "write_file", path = path, flags = O_PATH | (follow and 0 or O_NOFOLLOW),
  }, function(fd)
    local stat = uv.fs_fstat(fd)
    uv.fs_close(fd)
    found(nil, stat)
  end, function(err)
    if err and err.code == "NOT_FOUND" then return found(nil, nil) end
    found(err)
  end)
end

local function is_stale(opts, stat)
  return opts.unchanged and (not stat or signature_of(stat) ~= opts.unchanged)
end

-- The scripts' business, since it leads somewhere else.
local function write_through_link(self, path, bytes, opts, done)
  local begun, problem = look(self, path, true, function(err, stat)
    if err then return done(err) end
    if is_stale(opts, stat) then return done(changed(path)) end
    local ok, failed = scripted.write_file(self, path, bytes, {
      mode = opts.mode, parents = false,
    }, done)
    if not ok then done(failed) end
  end)
  if not begun then done(problem) end
end

---@param path string
---@param bytes string
---@param opts { parents: boolean?, mode: integer?, unchanged: string? }
---@param done fun(err: axo.Error?, ok: true?)
---@return any handle, axo.Error?
function files:write_file(path, bytes, opts, done)
  if opts.parents then return scripted.write_file(self, path, bytes, opts, done) end
  return look(self, path, false, function(err, stat)
    if err then return done(err) end
    local kind = stat and kind_of(stat)
    if kind == "link" then return write_through_link(self, path, bytes, opts, done) end
    if kind and kind ~= "file" then
      return done(failure("write_file", path, "NOT_A_FILE", "it is a " .. kind))
    end
    if is_stale(opts, stat) then return done(changed(path)) end
    local begun, problem = replace(self, {
      path = path, bytes = bytes, stat = stat, mode = opts.mode, done = done,
    })
    if not begun then done(problem) end
  end)
end

-- ---- looking ---------------------------------------------------------------------------

local function entry_of(name, stat)
  return {
    name = name, type = kind_of(stat), mode = stat.mode & 0xFFF, size = stat.size,
    mtime = stat.mtime.sec,
  }
end

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
    done(nil, entry_of((path:gsub("^.*/", "")), stat))
  end, done)
end

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
  if stat then table.insert(listing.entries, entry_of(name, stat)) end
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
      if not is_refused(problem) then return done(local_failure("list_dir", path, problem)) end
      -- A host that is not root may not read what belongs to another user of the container.
      local ok, err = scripted.list_dir(self, path, max, done)
      if not ok then done(err) end
    end)
  end, done)
end

return files
