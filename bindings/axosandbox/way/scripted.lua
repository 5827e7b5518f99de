--- Files by way of `way:exec`: each operation is one command, a script, on whichever way. Paths are
--- relative to the session's directory and lexically inside it already (session/files.lua); the
--- script sees to it that they are inside really.
local errors = require "axosandbox.base.errors"
local file_faults = require "axosandbox.way.file_faults"
local last_line = require "axosandbox.base.text.last_line"
local naming = require "axosandbox.base.naming"
local root = require "axosandbox.way.root"
local plain_file = require "axosandbox.host.plain_file"
local scripts = require "axosandbox.way.scripts"
local stats = require "axosandbox.way.stat"

local files = {}

local TIMEOUT = 60
local LIST_MAX = 16 * 1024 * 1024
local SPARE = 64 * 1024
-- Bytes of what the container says of itself that an error repeats.
local MAX_SAID = 4096

---@class axo.FileFailure
---@field code string "NOT_FOUND", "OUTSIDE", "NOT_A_FILE", "NOT_A_DIRECTORY", "TOO_LARGE", "EXISTS", "NOT_EMPTY", "PERMISSION", "NO_SPACE", "READ_ONLY", "CHANGED", "PATTERN", "NO_ROOT", "IO"

-- What the tools say of an error of the system, whatever their language may be for the rest.
local CAUSES = {
  { "no space left", "NO_SPACE" }, { "permission denied", "PERMISSION" },
  { "not permitted", "PERMISSION" }, { "read%-only file system", "READ_ONLY" },
  { "disk quota exceeded", "NO_SPACE" }, { "is a directory", "NOT_A_FILE" },
  { "file too large", "TOO_LARGE" }, { "file size limit", "TOO_LARGE" },
}

local function cause_of(complaint)
  local text = complaint:lower()
  for _, cause in ipairs(CAUSES) do
    if text:find(cause[1]) then return cause[2] end
  end
end

local function message_of(request, code, text, complaint)
  if code == "TOO_LARGE" and request.max then
    return ("%s: %s bytes are more than the %d that are read at once"):format(
      request.path, text, request.max)
  end
  local said = last_line(complaint)
  return ("%s: %s%s"):format(request.path, text, said and " (" .. said .. ")" or "")
end

local function refused(way, request, result)
  local complaint, code, text = result.stderr:match "^(.*)\naxo%-files (%u[%u_]*) ([^\n]*)\n$"
  if not code then return nil end
  text = text:sub(1, MAX_SAID)
  if code == "NO_PARENT" then return file_faults.no_parent(request.op, request.path, text) end
  if code == "NO_ROOT" then return root.gone(way, request.op, text) end
  if code == "IO" then code = cause_of(complaint) or code end
  return errors.new {
    code = code, op = request.op, stderr = complaint ~= "" and complaint or nil,
    message = message_of(request, code, text, complaint),
    hint = file_faults.hint(code, request.op),
  }
end

local function failure(way, request, result)
  if result.timed_out then
    return errors.new {
      code = "TIMEOUT", op = request.op, message = request.path .. ": it took too long",
    }
  end
  if result.cancelled then
    return errors.new { code = "CANCELLED", op = request.op, message = "it was cancelled" }
  end
  if result.code == scripts.FAILED then
    local err = refused(way, request, result)
    if err then return err end
  end
  if result.code == 0 or (request.is_lenient and result.code == 1) then return nil end
  return errors.new {
    code = "IO", op = request.op, exit_code = result.code, stderr = result.stderr,
    message = ("%s: %s"):format(request.path,
      last_line(result.stderr) or "exit code " .. tostring(result.code)),
  }
end

--- Why a script failed; nil when it did not. Scripts of others, such as the searches, ask too.
files.failure_of = failure

-- Runs one script. The working directory is "/": the session's own may have vanished.
local function run(way, request, done)
  return way:exec({
    argv = scripts.argv(request.script, way, request.path, request.arguments), cwd = "/",
    stdin = request.stdin,
    timeout = request.timeout or TIMEOUT, max_output = request.max_output or SPARE,
    on_stdout = request.on_stdout,
  }, function(err, result)
    err = err or failure(way, request, result)
    if err then return done(err) end
    if request.answer then result = request.answer(result) end
    done(nil, result)
  end)
end

local function always_true() return true end

--- Reads a file's bytes: `max` bounds what one call returns.
---@param path string
---@param opts { max: integer, offset: integer?, limit: integer? }
---@param done fun(err: axo.Error?, bytes: string?, signature: string?) signature: for write_file's `unchanged`
---@return any handle, axo.Error?
function files:read_file(path, opts, done)
  local request = {
    op = "read_file", script = "read", path = path, max = opts.max,
    max_output = opts.max + SPARE,
    arguments = {
      ("%d"):format(opts.max), ("%d"):format(opts.offset or 0),
      opts.limit and ("%d"):format(opts.limit) or "",
    },
  }
  return run(self, request, function(err, result)
    if err then return done(err) end
    -- It may have grown between the look at its size and the reading.
    local bytes = result.stdout
    if #bytes > opts.max then bytes = bytes:sub(1, opts.max) end
    done(nil, bytes, result.stderr:match "\naxo%-signature ([^\n]*)\n")
  end)
end

--- Reads a file of any size from its beginning, until `take` returns false.
---@param path string
---@param take fun(bytes: string): boolean
---@param done fun(err: axo.Error?)
---@return any handle, axo.Error?
function files:stream_file(path, take, done)
  local handle, problem
  local has_enough = false
  handle, problem = run(self, {
    op = "read_file", script = "stream", path = path,
    on_stdout = function(bytes)
      if has_enough or take(bytes) then return end
      has_enough = true
      handle:cancel()
    end,
  }, function(err)
    if has_enough then err = nil end
    done(err)
  end)
  return handle, problem
end

-- Whether the file has neither ACLs nor other attributes, where this host can look at it.
local function plain(self, path, opts)
  if opts.is_plain ~= nil then return opts.is_plain end
  return plain_file.is_plain(self, path)
end

--- Replaces a file's content in one step.
---@param path string
---@param bytes string
---@param opts { parents: boolean?, mode: integer?, unchanged: string? } unchanged: a signature that the file must still have
---@param done fun(err: axo.Error?, ok: true?)
---@return any handle, axo.Error?
function files:write_file(path, bytes, opts, done)
  return run(self, {
    op = "write_file", script = "write", path = path, stdin = bytes, answer = always_true,
    arguments = {
      ("%d"):format(#bytes), ".axo-write-" .. naming.token(8), opts.parents and "1" or "",
      opts.mode and ("%o"):format(opts.mode) or "", opts.unchanged or "",
      plain(self, path, opts) and "1" or "",
    },
  }, done)
end

local function entry_of(mode, size, mtime, name)
  return stats.entry_of(name, {
    mode = tonumber(mode, 16), size = math.tointeger(tonumber(size)),
    mtime = { sec = math.tointeger(tonumber(mtime)) },
  })
end

-- Names hold any byte but NUL and "/": records begin with a token that nobody could know.
local function parse_list(text, token, max)
  local entries = {}
  local from = 1
  while true do
    local _, stop, mode, size, mtime = text:find(
      "^" .. token .. " (%x+) (%d+) (%-?%d+) %./", from)
    if not stop then break end
    if #entries == max then
      entries.truncated = true
      break
    end
    local after = text:find("\n" .. token, stop, true)
    local last = after and after - 1 or #text - 1
    if not after and text:sub(-1) ~= "\n" then break end
    entries[#entries + 1] = entry_of(mode, size, mtime, text:sub(stop + 1, last))
    from = last + 2
  end
  return entries
end

--- The entries of a directory, sorted by name; `truncated` is set when there are more.
---@param path string
---@param max integer how many at most
---@param done fun(err: axo.Error?, entries: table[]?)
---@return any handle, axo.Error?
function files:list_dir(path, max, done)
  local token = naming.token(16)
  return run(self, {
    op = "list_dir", script = "list", path = path, arguments = { token },
    max_output = LIST_MAX, is_lenient = true,
    answer = function(result)
      local entries = parse_list(result.stdout, token, max)
      -- The last one may be cut short.
      if result.stdout_truncated and not entries.truncated then
        entries.truncated = true
        table.remove(entries)
      end
      table.sort(entries, function(a, b) return a.name < b.name end)
      return entries
    end,
  }, done)
end

--- What a path is.
---@param path string
---@param follow boolean a final symbolic link is followed
---@param done fun(err: axo.Error?, entry: table?)
---@return any handle, axo.Error?
function files:stat(path, follow, done)
  return run(self, {
    op = "stat", script = "stat", path = path, arguments = { follow and "1" or "" },
    answer = function(result)
      local mode, size, mtime = result.stdout:match "^(%x+) (%d+) (%-?%d+)"
      return entry_of(mode, size, mtime, (path:gsub("^.*/", "")))
    end,
  }, done)
end

--- Whether a path is that of a directory, and inside.
---@param path string
---@param done fun(err: axo.Error?, ok: true?)
---@return any handle, axo.Error?
function files:check_directory(path, done)
  return run(self, {
    op = "exec", script = "directory", path = path, answer = always_true,
  }, done)
end

local function command(op, script)
  return function(self, path, argument, done)
    return run(self, {
      op = op, script = script, path = path, answer = always_true,
      arguments = { type(argument) == "string" and argument or argument and "1" or "" },
    }, done)
  end
end

--- Makes a directory; `argument`: its parents too, and it may exist.
---@type fun(self: axo.Way, path: string, argument: boolean, done: fun(err: axo.Error?, ok: true?)): any, axo.Error?
files.mkdir = command("mkdir", "mkdir")

--- Removes a file, a link or a directory; `argument`: with all that is in it.
---@type fun(self: axo.Way, path: string, argument: boolean, done: fun(err: axo.Error?, ok: true?)): any, axo.Error?
files.remove = command("remove", "remove")

--- Gives a file the path `argument`, replacing a file that is there.
---@type fun(self: axo.Way, path: string, argument: string, done: fun(err: axo.Error?, ok: true?)): any, axo.Error?
files.rename = command("rename", "rename")

return files
