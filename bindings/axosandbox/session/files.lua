--- The session's file operations: what is the same on every way. Paths are confined here
--- lexically; the way confines what they really lead to.
local audit = require "axosandbox.audit"
local audit_work = require "axosandbox.audit.work"
local await = require "axosandbox.base.await"
local edit = require "axosandbox.session.edit"
local encodings = require "axosandbox.base.text.encodings"
local errors = require "axosandbox.base.errors"
local options = require "axosandbox.base.options"
local roots = require "axosandbox.way.root"
local text_lines = require "axosandbox.session.text_lines"

local files = {}

--- What one read returns at most.
files.MAX_READ = 16 * 1024 * 1024
--- How many entries of a directory one list has at most.
files.MAX_ENTRIES = 100000

local function failure(op, code, message)
  return errors.new { code = code, op = op, message = message }
end

--- `root` and what is beneath it, as paths relative to it; anything else is nil.
---@param path string absolute
---@param root string
---@return string?
function files.strip_root(path, root)
  if root == "/" then return path:sub(2) end
  if path == root then return "" end
  if path:sub(1, #root + 1) == root .. "/" then return path:sub(#root + 2) end
end

local function resolve_dots(path)
  local names = {}
  for name in path:gmatch "[^/]+" do
    if name == ".." then
      if #names == 0 then return nil end
      names[#names] = nil
    elseif name ~= "." then
      names[#names + 1] = name
    end
  end
  return #names > 0 and table.concat(names, "/") or "."
end

--- Makes a path relative to the root, without "." and "..": nil, err with code "OUTSIDE" when
--- it leads out.
---@param path string relative to `root`, or absolute
---@param root string absolute, without a slash at its end
---@param op string
---@return string? relative "." for the root itself, axo.Error?
function files.confine(path, root, op)
  if path == "" or path:find("\0", 1, true) then
    return nil, failure(op, "INVALID", ("%q is not a path"):format(path))
  end
  local relative = path
  if path:sub(1, 1) == "/" then
    local clean = "/" .. (resolve_dots(path) or ""):gsub("^%.$", "")
    relative = files.strip_root(clean, root)
  end
  local confined = relative and resolve_dots(relative)
  if confined then return confined end
  return nil, failure(op, "OUTSIDE",
    ("%s is outside of the session's directory %s"):format(path, root))
end

---@class axo.Session
local methods = {}
files.methods = methods

local function check_string(value, name, where, level)
  if type(value) ~= "string" then
    error(("%s: %s must be a string, got %s"):format(where, name, type(value)), (level or 2) + 1)
  end
end

-- The frame of an operation on one path.
local function operate(self, spec, callback)
  local where = "sandbox:" .. spec.op
  check_string(spec.path, "the path", where, 3)
  local function begin(done)
    local relative, err = files.confine(spec.path, self.way.root, spec.op)
    if not relative then return nil, err end
    err = roots.lost(self.way, spec.op)
    if err then return nil, err end
    if spec.not_root and relative == "." then
      return nil, failure(spec.op, "INVALID", "this cannot be done to the session's directory")
    end
    return spec.start(relative, done)
  end
  return await.call(function(done)
    if spec.changes and audit.is_on then
      return audit_work.file(self.record, spec, begin, done)
    end
    return begin(done)
  end, callback)
end

local ENCODING = { type = "string", one_of = encodings.NAMES }
local READ_SHAPE = {
  offset = { type = "integer", min = 0 },
  limit = { type = "integer", min = 0, max = files.MAX_READ },
  first_line = { type = "integer", min = 1 },
  lines = { type = "integer", min = 1, max = text_lines.MAX_LINES },
  numbered = "boolean", encoding = ENCODING,
}

local function wants_text(opts)
  return opts.first_line or opts.lines or opts.numbered or opts.encoding
end

local function read_text(way, relative, opts, done)
  local reader = text_lines.new {
    first_line = opts.first_line, lines = opts.lines, numbered = opts.numbered,
    encoding = opts.encoding, limit = opts.limit or files.MAX_READ,
  }
  return way:stream_file(relative, function(bytes) return reader:add(bytes) end, function(err)
    if err then return done(err) end
    local text, span = reader:finish(relative)
    if not text then return done(span) end
    done(nil, text, span)
  end)
end

--- Reads a file, byte for byte. Without a limit, a file of more than 16 MiB is an error.
---
--- With `first_line`, `lines`, `numbered` or `encoding` it is read as text: UTF-8 whatever the file
--- is in, whole lines, without their CR where they all end in CRLF, and a span tells what that was.
--- "auto", the default, is what the byte order mark says, else UTF-8; no other guess is made. Pieces
--- that are no text are U+FFFD and counted. The file may be of any size: it is read up to the lines
--- that are wanted, for a minute at most.
---
--- Codes of all file operations: "NOT_FOUND", "OUTSIDE" (also by a symbolic link), "NOT_A_FILE"
--- (a directory, FIFO, device), "NOT_A_DIRECTORY", "TOO_LARGE", "PERMISSION", "INVALID", "IO",
--- "NO_ROOT" (the directory of the session, or the one attached to, was removed, moved or replaced).
---
---     local text = assert(sb:read_file "src/main.lua")
---     local two = assert(sb:read_file("src/main.lua", { first_line = 1, lines = 2, numbered = true }))
---     print(#text, two)
---@param path string relative to the session's directory, or absolute in it
---@param opts { offset: integer?, limit: integer?, first_line: integer?, lines: integer?, numbered: boolean?, encoding: string? }? offset: bytes passed over, of bytes only; limit: bytes returned at most, of text too; first_line: from 1; lines: how many, 1000000 at most; numbered: each line after its number and a tab; encoding: "auto", "utf-8", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be", "latin-1" or "windows-1252"
---@param callback fun(err: axo.Error?, bytes: string?, span: axo.Span?)?
---@return string? bytes, axo.Span|axo.Error|nil span of text; also code "NOT_TEXT" (text was wanted, and there is a NUL in its first 64 KiB) and "TIMEOUT"
function methods:read_file(path, opts, callback)
  opts, callback = options.arguments(READ_SHAPE, opts, callback, "sandbox:read_file")
  if opts.offset and wants_text(opts) then
    error("sandbox:read_file: offset counts bytes; of text, give first_line", 2)
  end
  return operate(self, {
    op = "read_file", path = path,
    start = function(relative, done)
      if wants_text(opts) then return read_text(self.way, relative, opts, done) end
      return self.way:read_file(relative, {
        max = files.MAX_READ, offset = opts.offset, limit = opts.limit,
      }, function(err, bytes) done(err, bytes) end)
    end,
  }, callback)
end

local STAT_SHAPE, MKDIR_SHAPE = { follow = "boolean" }, { parents = "boolean" }
local REMOVE_SHAPE = { recursive = "boolean" }
local WRITE_SHAPE = {
  parents = "boolean",
  -- No bit lets a file run as its owner: whoever is outside of the session could run it, too.
  mode = { type = "integer", min = 0, max = 1023 },
}

--- Replaces a file's content, or makes the file, in one step: nobody ever sees half of it, and its
--- mode, owner, ACLs, labels and user attributes stay; set-id bits and capabilities do not. Through
--- a symbolic link, the file that it leads to is written. A file with several names (hard links)
--- becomes a new one under this name, and the others keep what they have.
---
--- What cannot be given to a new file (it is somebody else's) is kept by writing into the old one,
--- which others may see half of; or it is an error with code "METADATA". After an error the file is
--- as it was, and no directory was made.
---
---     assert(sb:write_file("notes/today", "buy milk\n", { parents = true }))
---@param path string
---@param bytes string
---@param opts { parents: boolean?, mode: integer? }? parents: makes missing directories; mode: without set-id bits
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error? also code "NO_SPACE", "READ_ONLY", "METADATA"
function methods:write_file(path, bytes, opts, callback)
  opts, callback = options.arguments(WRITE_SHAPE, opts, callback, "sandbox:write_file")
  check_string(bytes, "the content", "sandbox:write_file")
  return operate(self, {
    op = "write_file", path = path, changes = { bytes = #bytes },
    start = function(relative, done)
      return self.way:write_file(relative, bytes, opts, done)
    end,
  }, callback)
end

local function edit_in_place(way, relative, change)
  local bytes, signature = await.call(function(done)
    return way:read_file(relative, { max = files.MAX_READ }, done)
  end)
  if not bytes then return nil, signature end
  local edited, count = edit.apply(bytes, change)
  if not edited then return nil, count end
  local ok, err = await.call(function(done)
    return way:write_file(relative, edited, { unchanged = signature }, done)
  end)
  return ok and count, err
end

local EDIT_SHAPE = { replace_all = "boolean", expected = "string", encoding = ENCODING }

--- Replaces a text in a file. It must be there exactly once, unless `replace_all` is set.
---
--- Texts are UTF-8; a file with the byte order mark of UTF-16 or UTF-32 is edited in that, and in
--- another encoding when it is named. Where the lines of a file end in CRLF and those of the texts
--- in LF, the file's line ends are kept; and the other way round.
---
---     print((sb:edit_file("src/main.lua", "TODO", "DONE")))  --> 1
---@param path string
---@param old string what is there; no pattern
---@param new string
---@param opts { replace_all: boolean?, expected: string?, encoding: string? }? expected: axo.digest of the content that the edit was made for; encoding: of a file without a mark, "latin-1" or "windows-1252"
---@param callback fun(err: axo.Error?, count: integer?)?
---@return integer? count how many were replaced, axo.Error? also code "NO_MATCH", "AMBIGUOUS", "CHANGED" (it is not the expected one, or somebody else wrote it meanwhile), "ENCODING"
function methods:edit_file(path, old, new, opts, callback)
  opts, callback = options.arguments(EDIT_SHAPE, opts, callback, "sandbox:edit_file")
  check_string(old, "the old text", "sandbox:edit_file")
  check_string(new, "the new text", "sandbox:edit_file")
  if old == "" then error("sandbox:edit_file: the old text is empty", 2) end
  return operate(self, {
    op = "edit_file", path = path, changes = { from_bytes = #old, to_bytes = #new },
    start = function(relative, done)
      local change = {
        path = path, old = old, new = new, replace_all = opts.replace_all,
        expected = opts.expected, encoding = opts.encoding,
      }
      return await.sequence(function()
        return edit_in_place(self.way, relative, change)
      end, done)
    end,
  }, callback)
end

---@class axo.Entry
---@field name string
---@field type "file"|"directory"|"link"|"fifo"|"socket"|"char"|"block"|"unknown"
---@field size integer bytes
---@field mtime integer seconds since the epoch
---@field mode integer permission bits

--- Lists a directory, sorted by name; names may hold any byte but NUL and "/". Of more than
--- 100000 entries, some 100000 are listed.
---
---     for _, entry in ipairs(assert(sb:list_dir "src")) do print(entry.type, entry.name) end
---@param path string? the session's directory by default
---@param callback fun(err: axo.Error?, entries: axo.Entry[]?)?
---@return axo.Entry[]? entries with `truncated` set when there are more, axo.Error?
function methods:list_dir(path, callback)
  if type(path) == "function" then path, callback = nil, path end
  return operate(self, {
    op = "list_dir", path = path or ".",
    start = function(relative, done)
      return self.way:list_dir(relative, files.MAX_ENTRIES, done)
    end,
  }, callback)
end

--- What a path is.
---
---     local entry = assert(sb:stat "src/main.lua")
---     print(entry.type)  --> file
---@param path string
---@param opts { follow: boolean? }? follow = false: a symbolic link itself
---@param callback fun(err: axo.Error?, entry: axo.Entry?)?
---@return axo.Entry? entry, axo.Error?
function methods:stat(path, opts, callback)
  opts, callback = options.arguments(STAT_SHAPE, opts, callback, "sandbox:stat")
  return operate(self, {
    op = "stat", path = path,
    start = function(relative, done)
      return self.way:stat(relative, opts.follow ~= false, done)
    end,
  }, callback)
end

--- Makes a directory.
---
---     assert(sb:mkdir("build/objects", { parents = true }))
---@param path string
---@param opts { parents: boolean? }? parents: makes missing ones above it, and it may exist
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error? also code "EXISTS"
function methods:mkdir(path, opts, callback)
  opts, callback = options.arguments(MKDIR_SHAPE, opts, callback, "sandbox:mkdir")
  return operate(self, {
    op = "mkdir", path = path, changes = {},
    start = function(relative, done)
      return self.way:mkdir(relative, opts.parents or false, done)
    end,
  }, callback)
end

--- Removes a file, a symbolic link (never what it leads to), or a directory.
---
---     assert(sb:mkdir "old")
---     assert(sb:remove("old", { recursive = true }))
---@param path string
---@param opts { recursive: boolean? }? recursive: a directory with all that is in it
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error? also code "NOT_EMPTY"
function methods:remove(path, opts, callback)
  opts, callback = options.arguments(REMOVE_SHAPE, opts, callback, "sandbox:remove")
  return operate(self, {
    op = "remove", path = path, not_root = true, changes = { recursive = opts.recursive },
    start = function(relative, done)
      return self.way:remove(relative, opts.recursive or false, done)
    end,
  }, callback)
end

--- Gives a file or a directory another path; a file that is there is replaced.
---
---     assert(sb:write_file("draft", "text\n"))
---     assert(sb:rename("draft", "final"))
---@param from string
---@param to string
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error? code "EXISTS" when `to` is a directory
function methods:rename(from, to, callback)
  check_string(to, "the new path", "sandbox:rename")
  return operate(self, {
    op = "rename", path = from, not_root = true, changes = { to = to },
    start = function(relative, done)
      local target, err = files.confine(to, self.way.root, "rename")
      if not target then return nil, err end
      return self.way:rename(relative, target, done)
    end,
  }, callback)
end

return files
