--- The directory that a session's files and commands are in: what is checked of it before each
--- operation. `axo.attach` makes sessions with a directory of their own, which confines them.
local uv = require "luv"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"

local root = {}

local HINT = "commands and files of a session stay with the directory that it was started for: "
  .. "put that back, or stop the session and start it again"

--- What a session's directory is known by; nil where that is not known.
---@param dir string?
---@param identity axo.DirectoryIdentity?
---@return { dir: string, dev: integer, ino: integer }?
function root.known(dir, identity)
  return dir and identity and { dir = dir, dev = identity.dev, ino = identity.ino } or nil
end

local MISSING = { ENOENT = true, ENOTDIR = true, ELOOP = true }

--- Whether the session's directory is still where it was: what is mounted stays mounted, also
--- when it is removed or moved, or another one takes its place. While it is mounted, nothing
--- else has its number.
---@param way axo.Way
---@param op string
---@return axo.Error? err code "NO_ROOT"
function root.lost(way, op)
  local known = way.record and way.record.mounted
  if not known then return nil end
  local stat, message, name = uv.fs_stat(known.dir)
  if stat and stat.dev == known.dev and stat.ino == known.ino then return nil end
  if not stat and not MISSING[name or message:match "^(%u+)"] then return nil end
  return errors.new {
    code = "NO_ROOT", op = op, hint = HINT,
    message = ("the session's directory %s was removed or moved%s"):format(known.dir,
      stat and ", and another one is in its place" or ""),
  }
end

--- The error of a session whose own directory is not there any more.
---@param way axo.Way
---@param op string
---@param why string?
---@return axo.Error
function root.gone(way, op, why)
  return errors.new {
    code = "NO_ROOT", op = op, message = ("%s: %s"):format(way.base or way.root,
      why or "it is not there any more, or a symbolic link is in its place"),
    hint = "make the directory again, or attach to another one",
  }
end

-- ---- sessions with a directory of their own ----------------------------------------------

local REAL = 'cd -P -- "$1" && printf %s. "$PWD"'
local REAL_TIMEOUT = 30

--- Gives a path of `axo.attach` its directory, in a coroutine: from now on no symbolic link may
--- take its place. Where it cannot be looked at (it is not there yet, there is no shell), it is
--- taken as it was given.
---@param way axo.Way
function root.settle(way)
  local result = await.call(function(done)
    return way:exec({
      argv = { "sh", "-c", REAL, "sh", way.root }, cwd = "/", timeout = REAL_TIMEOUT,
    }, done)
  end)
  local real = result and result.code == 0 and result.stdout:match "^(/.*)%.$"
  way:confine(real or way.root)
end

-- What is wrong with the directory itself is the command's to say.
local STOPS = { OUTSIDE = true, NO_ROOT = true, GONE = true, STOPPED = true, TIMEOUT = true }

--- Begins what is to run in `relative` once that is known to be inside.
---@param way axo.Way
---@param relative string
---@param begin fun() in the directory as the way has it
---@param fail fun(err: axo.Error)
---@return true? begun, axo.Error?
function root.within(way, relative, begin, fail)
  local ok, err = way:check_directory(relative, function(problem)
    if problem and STOPS[problem.code] then return fail(problem) end
    begin()
  end)
  return ok and true, err
end

return root
