--- Searching in a session's directory: sb:grep and sb:glob. One process does one search: our own
--- helper in the container (core/search), or where it cannot run, the image's tools.
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local files = require "axosandbox.session.files"
local glob = require "axosandbox.base.glob"
local helper = require "axosandbox.session.search.helper"
local options = require "axosandbox.base.options"
local roots = require "axosandbox.way.root"
local tools = require "axosandbox.session.search.tools"

local search = {}

local MAX_MATCHES, MAX_PATHS = 1000, 10000
local MAX_NAMES = 60
local TIMEOUT = 30
-- Bytes of a line that are shown.
local MAX_LINE = 16 * 1024
local MAX_FILE = 256 * 1024 * 1024

---@class axo.Session
local methods = {}
search.methods = methods

local function check_string(value, name, where)
  if type(value) ~= "string" then
    error(("%s: %s must be a string, got %s"):format(where, name, type(value)), 3)
  end
end

local function is_missing(err)
  return err and err.op == "exec" and (err.code == "NOT_FOUND" or err.code == "NOT_EXECUTABLE")
end

-- Whether the helper is there is found out by the first search, and remembered.
local function by_helper_or_tools(way, request, done)
  if way.has_no_search then return tools.run(way, request, done) end
  return helper.run(way, request, function(err, found)
    if not is_missing(err) then return done(err, found) end
    way.has_no_search = true
    local ok, problem = tools.run(way, request, done)
    if not ok then done(problem) end
  end)
end

-- Nothing lies beneath a directory that is not there.
local function or_nothing(done)
  return function(err, found)
    if err and err.code == "NOT_FOUND" and err.op == "glob" then return done(nil, {}) end
    done(err, found)
  end
end

local function start(self, path, request, callback)
  return await.call(function(done)
    local relative, err = files.confine(path, self.way.root, request.op)
    if not relative then return nil, err end
    err = roots.lost(self.way, request.op)
    if err then return nil, err end
    request.path = relative
    return by_helper_or_tools(self.way, request, or_nothing(done))
  end, callback)
end

local LIMITS = {
  gitignore = "boolean",
  max = { type = "integer", min = 1, max = 1000000 },
  max_files = { type = "integer", min = 1 },
  timeout = { type = "number", min = 0.1, max = 3600 },
}

local function shape(own)
  for name, rule in pairs(LIMITS) do own[name] = rule end
  return own
end

local GREP_SHAPE = shape {
  path = "string", glob = "string", ignore_case = "boolean", fixed = "boolean",
  context = { type = "integer", min = 0, max = 50 },
  max_line = { type = "integer", min = 64, max = 1048576 },
  max_file = { type = "integer", min = 1 },
  max_bytes = { type = "integer", min = 1 },
}

-- The helper has a bit for each name.
local function short_enough(wanted, problem)
  if wanted and wanted.names > MAX_NAMES then
    return nil, ("a glob has at most %d names"):format(MAX_NAMES)
  end
  return wanted, problem
end

local function wanted_files(pattern)
  if not pattern then return {} end
  if not pattern:find("/", 1, true) then return glob.name(pattern) end
  return short_enough(glob.new(pattern, { hidden = true, from_root = true }))
end

local function check_pattern(pattern)
  if not pattern:find("\0", 1, true) then return nil end
  return errors.new {
    code = "PATTERN", op = "grep", message = "the pattern has a NUL in it",
    hint = "files with a NUL in them are binary, and passed over",
  }
end

---@class axo.Match
---@field path string relative to the session's directory
---@field line integer
---@field text string the line without its end (LF or CRLF); an excerpt around the match when it is longer than `max_line`
---@field column integer? the byte of the line where the match begins, from 1; nil where the image's tools searched
---@field width integer? bytes of the match
---@field cut_before integer? bytes of the line before `text`
---@field cut_after integer? and after it
---@field before string[]? lines before it, with `context`
---@field after string[]?

---@class axo.Unsearched
---@field path string
---@field reason "unreadable"|"too_large"|"too_deep"|"too_many_names"|"long_line"|"pattern_limit"|"gitignore"|"kernel"|"time"|"bytes" pattern_limit: the pattern takes too long on a line of it; long_line: one of more than 8 MiB, searched in pieces
---@field detail string? in words

---@class axo.Matches
---@field [integer] axo.Match
---@field truncated true? there is more than this
---@field stopped "max"|"time"|"files"|"bytes"|"output"|nil why it ended early
---@field unsearched axo.Unsearched[]? what could not be searched, the first 100, with `count` for all
---@field binaries integer? binary files (with a NUL near their beginning), which are passed over
---@field ignored integer? what .gitignore left out: files, and directories with all in them
---@field by_tools true? the image's own tools searched

--- Searches the lines of the text files beneath a path. The pattern is a regular expression of
--- PCRE2 (Perl's; `\d`, `(?i)`, lookaround and so on), matched within each line; with `fixed`,
--- plain text. No symbolic link is followed. What could not be searched is said in the result.
---
--- Where the helper cannot run (a container that was not started by this version, a remote podman)
--- the image's `grep` serves: with GNU's `-P` the dialect is the same; otherwise what extended
--- regular expressions cannot say is refused, as are `context`, `gitignore`, `max_files` and
--- `max_bytes` (code "UNSUPPORTED").
---
---     for _, it in ipairs(assert(sb:grep("TODO|FIXME", { glob = "*.lua" }))) do
---       print(it.path, it.line, it.text)
---     end  --> src/main.lua	1	-- TODO: say hello
---@param pattern string
---@param opts { path: string?, glob: string?, ignore_case: boolean?, fixed: boolean?, context: integer?, gitignore: boolean?, max: integer?, max_line: integer?, max_file: integer?, max_files: integer?, max_bytes: integer?, timeout: number? }? path: where; glob: only such files ("*.lua", or "src/**/*.c" from `path` on); context: lines before and after each match; gitignore: leave out what .gitignore says, and .git; max: matches in all, 1000 by default; max_line: bytes of a line that are shown, 16 KiB by default; max_file: larger files are not searched, 256 MiB by default; timeout: seconds, 30 by default, after which what was found is returned
---@param callback fun(err: axo.Error?, matches: axo.Matches?)?
---@return axo.Matches? matches by path and line, axo.Error? also code "PATTERN" (with `offset`, the bytes before what is wrong) and "UNSUPPORTED"
function methods:grep(pattern, opts, callback)
  opts, callback = options.arguments(GREP_SHAPE, opts, callback, "sandbox:grep")
  check_string(pattern, "the pattern", "sandbox:grep")
  local wanted, problem = wanted_files(opts.glob)
  if not wanted then error("sandbox:grep: " .. problem, 2) end
  local err = check_pattern(pattern)
  if err then
    return await.call(function() return nil, err end, callback)
  end
  return start(self, opts.path or ".", {
    op = "grep", pattern = pattern, fixed = opts.fixed, ignore_case = opts.ignore_case,
    context = opts.context or 0, gitignore = opts.gitignore, wanted = opts.glob and wanted,
    max = opts.max or MAX_MATCHES, max_line = opts.max_line or MAX_LINE,
    max_file = opts.max_file or MAX_FILE, max_files = opts.max_files,
    max_bytes = opts.max_bytes, timeout = opts.timeout or TIMEOUT,
  }, callback)
end

local GLOB_SHAPE = shape { hidden = "boolean" }

--- Finds paths by a pattern: `*`, `?`, `[a-z]`, `{a,b}` and `**` (any number of directories).
---
---     for _, path in ipairs(assert(sb:glob "src/**/*.lua")) do print(path) end  --> src/main.lua
---@param pattern string relative to the session's directory, e.g. "src/**/*.lua"
---@param opts { max: integer?, hidden: boolean?, gitignore: boolean?, max_files: integer?, timeout: number? }? max: paths, 10000 by default; hidden: names that begin with "." too; gitignore: leave out what .gitignore says, and .git; timeout: seconds, 30 by default
---@param callback fun(err: axo.Error?, paths: string[]?)?
---@return string[]? paths sorted, with `truncated`, `stopped` and `unsearched` as grep's matches have them, axo.Error?
function methods:glob(pattern, opts, callback)
  opts, callback = options.arguments(GLOB_SHAPE, opts, callback, "sandbox:glob")
  check_string(pattern, "the pattern", "sandbox:glob")
  if pattern:sub(1, 1) == "/" then
    pattern = files.strip_root(pattern, self.way.root)
      or error("sandbox:glob: the pattern is outside of the session's directory", 2)
  end
  local wanted, problem = short_enough(glob.new(pattern, { hidden = opts.hidden }))
  if not wanted then error("sandbox:glob: " .. problem, 2) end
  return start(self, wanted.base, {
    op = "glob", wanted = wanted, hidden = opts.hidden, gitignore = opts.gitignore,
    max = opts.max or MAX_PATHS, max_files = opts.max_files, timeout = opts.timeout or TIMEOUT,
  }, callback)
end

return search
