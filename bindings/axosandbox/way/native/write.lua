--- Replacing a file on the native way: the guest makes a new one beside it, which this host fills
--- and gives all that the old one has; then it takes the old one's name.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local naming = require "axosandbox.base.naming"
local file_faults = require "axosandbox.way.file_faults"
local faults = require "axosandbox.way.native.faults"
local stats = require "axosandbox.way.stat"
local scripted = require "axosandbox.way.scripted"

local write = {}

local O = core.open_flags
local NEW_FILE = 420 -- 0644, as `>` makes one under the usual umask
local HIDDEN = 384   -- 0600: nobody reads it before it is the old one's like
local NEW_DIRECTORY = 493
local OP = "write_file"
-- The bits of a mode that are ever set: none of them lets a file run as somebody else.
local MODE = 1023

-- Each of these is in a coroutine and raises what goes wrong: write.file leaves nothing behind then.
local function fail(err)
  error(err, 0)
end

local function failure(w, raw)
  return faults.of_file(raw, w.way, OP, w.path)
end

-- ---- what the guest does --------------------------------------------------------------------

local function noted(w, value, raw)
  if raw and raw.code == "ETIMEDOUT" then w.is_silent = true end
  return value, raw
end

local function open(w, path, flags, mode)
  return noted(w, await.call(function(done)
    return w.link:open_file(path, flags, mode or 0, done)
  end))
end

local function act(w, op, path, to, mode)
  return noted(w, await.call(function(done)
    return w.link:path(op, path, to, mode or 0, function(raw) done(raw, not raw or nil) end)
  end))
end

-- A descriptor, closed at the end of its variable's scope.
local Open = { __close = function(self) uv.fs_close(self.fd) end }

-- What is there, or what it leads to: nil when nothing is.
local function look(w, follow)
  local fd, raw = open(w, w.path, O.O_PATH | (follow and 0 or O.O_NOFOLLOW))
  if fd then return setmetatable({ fd = fd, stat = uv.fs_fstat(fd) }, Open) end
  if raw.code ~= "ENOENT" then fail(failure(w, raw)) end
end

-- A guest that does not answer is not waited for again: it finds the request when it comes back.
local function remove(w, op, path)
  if not w.is_silent then return act(w, op, path) end
  w.link:path(op, path, nil, 0, function() end)
end

-- ---- directories ----------------------------------------------------------------------------

local function prefixes(path)
  local list, at = {}, 0
  while true do
    at = path:find("/", at + 1, true)
    if not at then return list end
    list[#list + 1] = path:sub(1, at - 1)
  end
end

-- Which directory is not there.
local function missing_parent(w)
  for _, dir in ipairs(prefixes(w.path)) do
    local fd, raw = open(w, dir, O.O_PATH)
    if fd then uv.fs_close(fd) end
    if not fd then return raw.code == "ENOENT" and dir or nil end
  end
end

local function no_parent(w, raw)
  local dir = missing_parent(w)
  return dir and file_faults.no_parent(OP, w.path, dir) or failure(w, raw)
end

local function make_parents(w)
  for _, dir in ipairs(prefixes(w.path)) do
    local ok, raw = act(w, "mkdir", dir, nil, NEW_DIRECTORY)
    if ok then w.made[#w.made + 1] = dir end
    if not ok and raw.code ~= "EEXIST" then fail(failure(w, raw)) end
  end
end

-- ---- the new file ---------------------------------------------------------------------------

local function create(w, mode)
  local flags = O.O_WRONLY | O.O_CREAT | O.O_EXCL
  local fd, raw = open(w, w.temporary, flags, mode)
  if not fd and raw.code == "ENOENT" then
    if not w.parents then fail(no_parent(w, raw)) end
    make_parents(w)
    fd, raw = open(w, w.temporary, flags, mode)
  end
  if not fd then fail(failure(w, raw)) end
  return setmetatable({ fd = fd }, Open)
end

-- What luv does with a callback.
local function on_disk(w, start)
  local value, problem = await.call(function(done)
    return start(function(...) await.protect(done, ...) end)
  end)
  if not value then fail(file_faults.of_luv(OP, w.path, problem)) end
  return value
end

local function fill(w, fd)
  local bytes, at = w.bytes, 0
  while at < #bytes do
    local rest = at == 0 and bytes or bytes:sub(at + 1)
    local count = on_disk(w, function(done) return uv.fs_write(fd, rest, at, done) end)
    if count == 0 then
      fail(file_faults.of_luv(OP, w.path, "EIO: it could not be written whole"))
    end
    at = at + count
  end
  on_disk(w, function(done) return uv.fs_fsync(fd, done) end)
end

-- Gives the new file what the old one has, but no bit that lets it run as somebody else. False
-- where this host may not: one that is not root has no power over the other users of a rootless
-- container.
local function dress(w, fd, old)
  local new = uv.fs_fstat(fd)
  if old and (old.stat.uid ~= new.uid or old.stat.gid ~= new.gid)
    and not uv.fs_fchown(fd, old.stat.uid, old.stat.gid) then
    return false
  end
  if old and not core.copy_attributes(old.fd, fd) then return false end
  local mode = w.mode or old and old.stat.mode & MODE
  if not mode or mode == uv.fs_fstat(fd).mode & 0xFFF or uv.fs_fchmod(fd, mode) then return true end
  return act(w, "chmod", w.temporary, nil, mode) ~= nil
end

-- Neither the old file nor what its directory gives to new ones has an attribute.
local function is_plain(w, old)
  if not core.has_no_attributes(old.fd) then return false end
  local dir = open(w, w.path:match "^(.*)/[^/]*$" or ".", O.O_PATH | O.O_DIRECTORY)
  local plain = dir and core.has_no_attributes(dir) or false
  if dir then uv.fs_close(dir) end
  return plain
end

-- There is no shell, or none that this user may run.
local function has_no_scripts(err)
  return err.op == "exec" and (err.code == "NOT_FOUND" or err.code == "NOT_EXECUTABLE")
end

-- A script in the container is the container's root, and may.
local function by_script(w, plain)
  local ok, err = await.call(function(done)
    return scripted.write_file(w.way, w.path, w.bytes, { mode = w.mode, is_plain = plain }, done)
  end)
  if ok then return end
  fail(has_no_scripts(err) and file_faults.new(OP, w.path, "METADATA",
    "its owner, ACLs or attributes cannot be given to a new file by this user") or err)
end

local function check_unchanged(w, old)
  if not w.unchanged then return end
  if old and stats.signature_of(uv.fs_fstat(old.fd)) == w.unchanged then return end
  fail(errors.new {
    code = "CHANGED", op = OP, message = w.path .. ": somebody else has written it meanwhile",
    hint = "read it again, then edit",
  })
end

-- A new file that is like the old one; false where this host cannot make it so.
local function make(w, old)
  local new <close> = create(w, (old or w.mode) and HIDDEN or NEW_FILE)
  fill(w, new.fd)
  return dress(w, new.fd, old)
end

local function drop(w)
  remove(w, "unlink", w.temporary)
  w.is_dropped = true
end

local function replace(w, old)
  local is_dressed = make(w, old)
  check_unchanged(w, old) -- it took its time to reach the disk
  if not is_dressed then
    drop(w)
    return by_script(w, not old or is_plain(w, old))
  end
  local ok, raw = act(w, "rename", w.temporary, w.path)
  if not ok then fail(failure(w, raw)) end
end

local function replace_or_nothing(w, old)
  local ok, err = xpcall(replace, debug.traceback, w, old)
  if ok then return end
  if not w.is_dropped then drop(w) end
  for i = #w.made, 1, -1 do remove(w, "rmdir", w.made[i]) end
  fail(err)
end

-- The scripts' business, since it leads somewhere else.
local function through_link(w)
  local old <close> = look(w, true)
  check_unchanged(w, old)
  by_script(w, false)
end

--- Writes a file, in a coroutine; raises an axo.Error.
---@param way axo.NativeWay
---@param name string
---@param bytes string
---@param opts { parents: boolean?, mode: integer?, unchanged: string? }
---@return true ok
function write.file(way, name, bytes, opts)
  local w = {
    way = way, link = way.link, path = name, bytes = bytes, made = {},
    parents = opts.parents, mode = opts.mode and opts.mode & MODE, unchanged = opts.unchanged,
    temporary = (name:match "^(.*/)[^/]*$" or "") .. ".axo-write-" .. naming.token(8),
  }
  local old <close> = look(w, false)
  local kind = old and stats.kind_of(old.stat) or "file"
  if kind == "link" then
    through_link(w)
  elseif kind == "file" then
    check_unchanged(w, old)
    replace_or_nothing(w, old)
  else
    fail(file_faults.new(OP, w.path, "NOT_A_FILE", "it is a " .. kind))
  end
  return true
end

return write
