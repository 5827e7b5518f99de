--- Searching by the image's own tools, where our helper cannot run: find and grep, of busybox or of
--- GNU. One pipeline does one search and ends at `max`.
---
--- A path is printed as find gives it, with a NUL after it, and it begins with a spelling of "."
--- that nobody could know; grep's lines begin with a number. So no file and no name can hold
--- something that looks like another match.
local uv = require "luv"
local dialect = require "axosandbox.session.search.dialect"
local errors = require "axosandbox.base.errors"
local scripted = require "axosandbox.way.scripted"
local scripts = require "axosandbox.way.scripts"

local tools = {}

local MAX_OUTPUT = 16 * 1024 * 1024
local MAX_REPORTS, MAX_LINES = 100, 1000000
-- Lines of grep that are none, and bytes of complaints: whoever prints more of them is no grep.
local MAX_ODD, MAX_COMPLAINTS = 1000, 65536
local MAX_SAID = 4096

local HINT = "the container has only its own tools for it: start a session of this version in it, "
  .. "or use an image with GNU grep"

local function unsupported(request, what)
  return errors.new {
    code = "UNSUPPORTED", op = request.op, hint = HINT,
    message = ("the tools of this container cannot search with %s"):format(what),
  }
end

-- "././/.": 64 choices between two spellings.
local function secret_start()
  local bytes, parts = assert(uv.random(8)), {}
  for i = 0, 63 do
    local bit = bytes:byte(i // 8 + 1) >> (i % 8) & 1
    parts[#parts + 1] = bit == 1 and ".//" or "./"
  end
  return table.concat(parts) .. "."
end

-- ---- what they say ---------------------------------------------------------------------

local function lines_of(text, from)
  return function()
    if from > #text then return nil end
    local lf = text:find("\n", from, true)
    local line = text:sub(from, lf and lf - 1 or #text)
    from = (lf or #text) + 1
    return line
  end
end

-- find and grep complain as "find: PATH: why", where the path begins as above.
local function add_complaints(report, stderr, start)
  for line in lines_of(stderr:sub(1, MAX_COMPLAINTS), 1) do
    local at = line:find(start .. "/", 1, true)
    if at then
      report.count = report.count + 1
      if #report < MAX_REPORTS then
        local said = line:sub(at + #start + 1, at + #start + MAX_SAID)
        local colon = said:find(": ", 1, true)
        report[#report + 1] = {
          path = report.join(said:sub(1, (colon or #said + 1) - 1):gsub("['’]+$", "")),
          reason = "unreadable", detail = colon and said:sub(colon + 2) or nil,
        }
      end
    end
  end
end

-- Names that end in a NUL each, up to an empty one. Gives where the lines begin.
local function add_left_out(report, text, start)
  local at = 1
  while at <= #text do
    local stop = text:find("\0", at, true)
    if not stop then return #text + 1 end
    if stop == at then return at + 1 end
    report.count = report.count + 1
    if #report < MAX_REPORTS then
      local name = text:sub(at + #start + 1, stop - 1)
      report[#report + 1] = { path = report.join(name), reason = "too_large" }
    end
    at = stop + 1
  end
  return at
end

-- Not in the middle of a character.
local function boundary(text, at)
  for _ = 1, 3 do
    local byte = text:byte(at)
    if not byte or byte & 0xC0 ~= 0x80 then break end
    at = at + 1
  end
  return at
end

local function excerpt(match, request, literal)
  local text, max = match.text, request.max_line
  if #text <= max then return end
  local shown, wanted = text, literal
  if request.ignore_case then shown, wanted = text:lower(), literal:lower() end
  local at = wanted ~= "" and shown:find(wanted, 1, true) or 1
  local from = math.max(1, math.min(at - max // 4, #text - max + 1))
  from = from > 1 and boundary(text, from) or 1
  local to = boundary(text, from + max) - 1
  match.text = text:sub(from, to)
  match.cut_before = from > 1 and from - 1 or nil
  match.cut_after = to < #text and #text - to or nil
end

-- Each match, from `at` on: the path as find names it, from where it began ("" for a file that was
-- asked for itself), the number of the line, the line.
local function each_match(text, at, start)
  local path
  local odd = 0
  return function()
    while at <= #text and odd < MAX_ODD do
      if text:sub(at, at + #start) == start .. "/" then
        local stop = text:find("\0", at, true)
        if not stop then return nil end
        path, at = text:sub(at + #start + 1, stop - 1), stop + 1
      end
      local lf = text:find("\n", at, true) or #text + 1
      local colon = text:sub(at, at + 20):find(":", 1, true)
      colon = colon and at + colon - 1
      local number = colon and text:sub(at, colon - 1):match "^%d+$"
      local line = number and text:sub(colon + 1, lf - 1)
      at = lf + 1
      if line and path then return path, math.tointeger(tonumber(number)), line end
      odd = odd + 1
    end
  end
end

local function by_place(a, b)
  if a.path ~= b.path then return a.path < b.path end
  return a.line < b.line
end

local function finish(found, report, result)
  found.by_tools = true
  if result.timed_out then found.stopped = "time" end
  if result.stdout_truncated then found.stopped = found.stopped or "output" end
  found.truncated = found.stopped and true or nil
  if report.count > 0 then
    report.join = nil
    found.unsearched = report
  end
  return found
end

local function joiner(request)
  local base = request.path
  return function(name)
    if base == "." then return name end
    return name == "" and base or base .. "/" .. name
  end
end

local function read_matches(request, result, ask)
  local found, report = {}, { count = 0, join = joiner(request) }
  local at = add_left_out(report, result.stdout, ask.start)
  local wanted = request.wanted and request.wanted.match
  for path, number, line in each_match(result.stdout, at, ask.start) do
    local is_wanted = not wanted or wanted(path)
    if is_wanted and #found == request.max then
      found.stopped = "max"
      break
    end
    if is_wanted then
      if line:sub(-1) == "\r" then line = line:sub(1, -2) end
      local match = { path = report.join(path), line = number, text = line }
      excerpt(match, request, ask.literal)
      found[#found + 1] = match
    end
  end
  table.sort(found, by_place)
  add_complaints(report, result.stderr, ask.start)
  return finish(found, report, result)
end

-- ---- asking ----------------------------------------------------------------------------

local function run(way, request, script, arguments, done)
  return way:exec({
    argv = scripts.argv(script, way, request.path, arguments), cwd = "/",
    timeout = request.timeout, max_output = MAX_OUTPUT,
  }, function(err, result)
    if err then return done(err) end
    local is_partial = result.timed_out or result.code == 0 or result.code == 1
    err = not is_partial and scripted.failure_of(way, request, result)
    if err then return done(err) end
    done(nil, result)
  end)
end

-- The dialect is GNU grep's -P where it has that; `said` is the same as an extended expression.
local function flags_of(request, said)
  local case = (request.ignore_case or said and said.ignore_case) and "i" or ""
  if request.fixed then return "-F" .. case, "" end
  return "-E" .. case, "-P" .. (request.ignore_case and "i" or "")
end

local function wrong(request, problem)
  return errors.new {
    code = "PATTERN", op = request.op, message = "the pattern cannot be used: " .. problem,
    hint = "`fixed` searches for plain text",
  }
end

local function no_dialect(request, problem)
  local err = unsupported(request, "what the pattern has, " .. problem)
  err.hint = "write the pattern as an extended regular expression (grep -E), or " .. HINT
  return err
end

local function check(request)
  if request.context and request.context > 0 then return unsupported(request, "context") end
  for _, name in ipairs { "gitignore", "max_files", "max_bytes" } do
    if request[name] then return unsupported(request, name) end
  end
  if request.pattern and request.pattern:find("\n", 1, true) then
    return wrong(request, "a search goes line by line, so nothing matches a line feed")
  end
end

-- What a path begins with is spelled in many ways.
local function add_tests(arguments, request)
  local tests = request.wanted and request.wanted.tests or {}
  for i, test in ipairs(tests) do
    arguments[#arguments + 1] = tests[i - 1] == "-path" and "*" .. test or test
  end
  return arguments
end

local function grep(way, request, done)
  local said, problem, is_wrong = dialect.extended(request.pattern)
  if not said and is_wrong and not request.fixed then return nil, wrong(request, problem) end
  local flags, perl = flags_of(request, said)
  local ask = {
    start = secret_start(),
    literal = request.fixed and request.pattern or said and said.literal or "",
  }
  -- find's tests let more through than a glob on whole paths: then lines are counted here.
  local is_exact = not request.wanted or request.wanted.by_name
  -- A line may have its file's name on one before it.
  local lines = is_exact and 2 * (request.max + 1) or MAX_LINES
  local arguments = {
    request.fixed and request.pattern or said and said.pattern or "",
    request.fixed and request.pattern or dialect.with_crlf(request.pattern),
    flags, perl, said and "1" or "", ("%d"):format(lines), ask.start,
    ("%d"):format((request.max_file + 1023) // 1024),
  }
  return run(way, request, "grep", add_tests(arguments, request), function(err, result)
    if err and err.code == "DIALECT" then err = no_dialect(request, problem) end
    if err then return done(err) end
    done(nil, read_matches(request, result, ask))
  end)
end

local function read_paths(request, result, start)
  local text, found, report = result.stdout, {}, { count = 0, join = joiner(request) }
  local at = 1
  while true do
    local stop = text:find("\0", at, true)
    if not stop then break end
    local path = report.join(text:sub(at + #start + 1, stop - 1))
    if request.wanted.match(path) then found[#found + 1] = path end
    at = stop + 1
  end
  table.sort(found)
  if #found > request.max then
    found.stopped = "max"
    for i = #found, request.max + 1, -1 do found[i] = nil end
  end
  add_complaints(report, result.stderr, start)
  return finish(found, report, result)
end

local function find(way, request, done)
  local start = secret_start()
  return run(way, request, "find", add_tests({ start }, request), function(err, result)
    if err then return done(err) end
    done(nil, read_paths(request, result, start))
  end)
end

--- Searches: see search.lua for the request.
---@param way axo.Way
---@param request table
---@param done fun(err: axo.Error?, found: table?)
---@return any handle, axo.Error?
function tools.run(way, request, done)
  local err = check(request)
  if err then return nil, err end
  if request.op == "glob" then return find(way, request, done) end
  return grep(way, request, done)
end

return tools
