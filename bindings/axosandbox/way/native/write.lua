--- Replacing a file on the native way: the guest makes a new one beside it, which this host fills
--- and gives all that the old one has; then it takes the old one's name.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local naming = require "axosandbox.base.naming"
local file_faults = require "axosandbox.way.file_faults"
local faults = require "axosandbox.way.native.faults"
local stats = require "axosandbox.way.native.stat"
local scripted = require "axosandbox.way.scripted"

local write = {}

local O = core.open_flags
local NEW_FILE = 420 -- 0644, as `>` makes one under the usual umask
local HIDDEN = 384   -- 0600: nobody reads it before it is the old one's like
local NEW_DIRECTORY = 493
local OP = "write_file"
-- The bits of a mode that are ever set: none of them lets a file run as somebody else.
local MODE = 1023

local function failure(w, raw)
  return faults.of_file(raw, w.way, OP, w.path)
end

-- ---- what the guest does, in a coroutine ----------------------------------------------------

local function open(w, path, flags, mode)
  return await.call(function(done)
    return w.link:open_file(path, flags, mode or 0, done)
  end)
end

local function act(w, op, path, to, mode)
  return await.call(function(done)
    return w.link:path(op, path, to, mode or 0, function(raw) done(raw, not raw or nil) end)
  end)
end

-- What is there, or what it leads to: nil when nothing is.
local function look(w, follow)
  local fd, raw = open(w, w.path, O.O_PATH | (follow and 0 or O.O_NOFOLLOW))
  if fd then return { fd = fd, stat = uv.fs_fstat(fd) } end
  if raw.code == "ENOENT" then return nil end
  return nil, failure(w, raw)
end

-- A guest that does not answer is not waited for again: it finds the request when it comes back.
local function remove(w, op, path, raw)
  if raw and raw.code == "ETIMEDOUT" then
    w.link:path(op, path, nil, 0, function() end)
  else
    act(w, op, path)
  end
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

local function unmake(w, raw)
  for i = #w.made, 1, -1 do remove(w, "rmdir", w.made[i], raw) end
  w.made = {}
end

local function make_parents(w)
  for _, dir in ipairs(prefixes(w.path)) do
    local ok, raw = act(w, "mkdir", dir, nil, NEW_DIRECTORY)
    if ok then w.made[#w.made + 1] = dir end
    if not ok and raw.code ~= "EEXIST" then
      unmake(w, raw)
      return nil, raw
    end
  end
  return true
end

-- ---- the new file ---------------------------------------------------------------------------

-- The descriptor, or nil, the error and what the guest said.
local function create(w, mode)
  local flags = O.O_WRONLY | O.O_CREAT | O.O_EXCL
  local fd, raw = open(w, w.temporary, flags, mode)
  if not fd and raw.code == "ENOENT" then
    if not w.parents then return nil, no_parent(w, raw), raw end
    local ok
    ok, raw = make_parents(w)
    if ok then fd, raw = open(w, w.temporary, flags, mode) end
  end
  if fd then return fd end
  return nil, failure(w, raw), raw
end

local function fill(fd, bytes)
  local at = 0
  while at < #bytes do
    local count, problem = await.call(function(done)
      return uv.fs_write(fd, at == 0 and bytes or bytes:sub(at + 1), at, function(...)
        await.protect(done, ...)
      end)
    end)
    if not count then return problem end
    if count == 0 then return "EIO: it could not be written whole" end
    at = at + count
  end
  local _, problem = await.call(function(done)
    return uv.fs_fsync(fd, function(...) await.protect(done, ...) end)
  end)
  return problem
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
    return scripted.write_file(w.way, w.path, w.bytes, {
      mode = w.mode, is_plain = plain,
    }, done)
  end)
  if ok or not has_no_scripts(err) then return ok, err end
  return nil, file_faults.new(OP, w.path, "METADATA",
    "its owner, ACLs or attributes cannot be given to a new file by this user")
end

local function changed(w)
  return errors.new {
    code = "CHANGED", op = OP, message = w.path .. ": somebody else has written it meanwhile",
    hint = "read it again, then edit",
  }
end

local function is_stale(w, old)
  return w.unchanged and (not old or stats.signature_of(uv.fs_fstat(old.fd)) ~= w.unchanged)
end

local function give_up(w, raw, err)
  remove(w, "unlink", w.temporary, raw)
  unmake(w, raw)
  return nil, err
end

local function replace(w, old)
  local fd, err, raw = create(w, (old or w.mode) and HIDDEN or NEW_FILE)
  if not fd then return give_up(w, raw, err) end
  local problem = fill(fd, w.bytes)
  local is_dressed = not problem and dress(w, fd, old)
  uv.fs_close(fd)
  if problem then return give_up(w, nil, file_faults.of_luv(OP, w.path, problem)) end
  -- It took its time to reach the disk.
  if is_stale(w, old) then return give_up(w, nil, changed(w)) end
  local ok
  if not is_dressed then
    remove(w, "unlink", w.temporary)
    ok, err = by_script(w, not old or is_plain(w, old))
    if not ok then unmake(w) end
    return ok, err
  end
  ok, raw = act(w, "rename", w.temporary, w.path)
  if not ok then return give_up(w, raw, failure(w, raw)) end
  return true
end

-- ---- what is there already --------------------------------------------------------------

-- The scripts' business, since it leads somewhere else.
local function through_link(w)
  local old, err = look(w, true)
  if err then return nil, err end
  local ok
  if is_stale(w, old) then
    err = changed(w)
  else
    ok, err = by_script(w, false)
  end
  if old then uv.fs_close(old.fd) end
  return ok, err
end

local function over(w, old)
  local kind = old and stats.kind_of(old.stat)
  if kind == "link" then return through_link(w) end
  if kind and kind ~= "file" then
    return nil, file_faults.new(OP, w.path, "NOT_A_FILE", "it is a " .. kind)
  end
  if is_stale(w, old) then return nil, changed(w) end
  return replace(w, old)
end

--- Writes a file, in a coroutine.
---@param way axo.NativeWay
---@param name string
---@param bytes string
---@param opts { parents: boolean?, mode: integer?, unchanged: string? }
---@return true? ok, axo.Error?
function write.file(way, name, bytes, opts)
  local w = {
    way = way, link = way.link, path = name, bytes = bytes, made = {},
    parents = opts.parents, mode = opts.mode and opts.mode & MODE, unchanged = opts.unchanged,
    temporary = (name:match "^(.*/)[^/]*$" or "") .. ".axo-write-" .. naming.token(8),
  }
  local old, err = look(w, false)
  if err then return nil, err end
  local ok
  ok, err = over(w, old)
  if old then uv.fs_close(old.fd) end
  return ok, err
end

return write
