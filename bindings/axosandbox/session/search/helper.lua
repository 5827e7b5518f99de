--- The search helper in a container: how it is asked, and what it says. It is our program, but it
--- runs among hostile ones: what it says is checked as if they had said it.
local errors = require "axosandbox.base.errors"
local guest = require "axosandbox.way.native.guest"
local last_line = require "axosandbox.base.text.last_line"
local roots = require "axosandbox.way.root"

local helper = {}

-- Bytes of what it says, and seconds that podman may take besides.
local MAX_OUTPUT = 8 * 1024 * 1024
local SPARE_OUTPUT = 4 * 1024 * 1024
local SPARE_TIME = 15
local MAX_SAID = 4096

local function encode(value)
  return (tostring(value):gsub("[^%w/._-]", function(c) return ("%%%02x"):format(c:byte()) end))
end

-- Podman passes on no byte that is not UTF-8, and a shell may stand between: so all are encoded.
local function argv_of(way, request)
  local argv = { way.search_program or guest.SEARCH_TARGET }
  local function add(key, value)
    if value == true then value = "1" end
    if value then argv[#argv + 1] = key .. "=" .. encode(value) end
  end
  add("root", way.base or way.root)
  add("plain", way.base ~= nil)
  add("path", request.path)
  add("pattern", request.pattern)
  add("paths", request.op == "glob")
  for _, key in ipairs { "fixed", "ignore_case", "hidden", "gitignore" } do
    add(key, request[key])
  end
  add("max", ("%d"):format(request.max))
  add("context", request.context)
  add("line", request.max_line)
  add("file", request.max_file)
  add("files", request.max_files)
  add("bytes", request.max_bytes)
  add("time", ("%d"):format(math.ceil(request.timeout * 1000)))
  add("output", MAX_OUTPUT)
  if request.wanted then
    add("by_name", request.wanted.by_name)
    -- A path is asked about from where the search begins, or hidden names that the pattern names.
    if request.op == "grep" and not request.wanted.by_name then add("hidden", true) end
    for _, text in ipairs(request.wanted.texts) do add("glob", text) end
  end
  return argv
end

-- ---- what it says ----------------------------------------------------------------------

local LINE, TEXTS, END = "<I8I8I8I8I8s4s4", "<s4s4s4", "<s4I8I8I8I8I8"

-- Lines come in their order, each once: what is context of one match may be a match, or context
-- of the next one too.
local function add_line(state, number, path, text)
  local recent = state.recent
  if state.path ~= path or state.line and number ~= state.line + 1 then
    recent = {}
    state.open = {}
  end
  local still_open = {}
  for _, match in ipairs(state.open) do
    if number - match.line <= state.context then
      match.after[#match.after + 1] = text
      still_open[#still_open + 1] = match
    end
  end
  state.recent, state.open, state.path, state.line = recent, still_open, path, number
end

local function remember(state, text)
  local recent = state.recent
  recent[#recent + 1] = text
  if #recent > 2 * state.context then
    state.recent = table.move(recent, #recent - state.context + 1, #recent, 1, {})
  end
end

local function before(state)
  local recent = state.recent
  return table.move(recent, math.max(1, #recent - state.context + 1), #recent, 1, {})
end

local READERS = {}

function READERS.m(state, body)
  local number, column, width, cut_before, cut_after, path, text = LINE:unpack(body, 2)
  local match = {
    path = path, line = number, text = text, column = column, width = width,
    cut_before = cut_before > 0 and cut_before or nil,
    cut_after = cut_after > 0 and cut_after or nil,
  }
  if state.context > 0 then
    add_line(state, number, path, text)
    match.before, match.after = before(state), {}
    table.insert(state.open, match)
    remember(state, text)
  end
  state.found[#state.found + 1] = match
end

function READERS.c(state, body)
  if state.context == 0 then return end
  local number, _, _, _, _, path, text = LINE:unpack(body, 2)
  add_line(state, number, path, text)
  remember(state, text)
end

function READERS.p(state, body)
  state.found[#state.found + 1] = ("<s4"):unpack(body, 2)
end

function READERS.u(state, body)
  local path, reason, detail = TEXTS:unpack(body, 2)
  table.insert(state.unsearched, {
    path = path, reason = reason, detail = detail ~= "" and detail:sub(1, MAX_SAID) or nil,
  })
end

function READERS.e(state, body)
  local code, offset, message = ("<s4i8s4"):unpack(body, 2)
  state.refusal = { code = code, offset = offset, message = message:sub(1, MAX_SAID) }
end

function READERS.z(state, body)
  local stopped, _, _, binaries, count, ignored = END:unpack(body, 2)
  state.finish = { stopped = stopped, binaries = binaries, count = count, ignored = ignored }
end

-- Each record once, from the first on; what is cut short or is none ends it.
local function read(bytes, context)
  local state = { found = {}, unsearched = {}, context = context, recent = {}, open = {} }
  local at = 1
  while at + 4 <= #bytes do
    local length = ("<I4"):unpack(bytes, at)
    if length < 1 or length > #bytes - at - 3 then break end
    local body = bytes:sub(at + 4, at + 3 + length)
    local reader = READERS[body:sub(1, 1)]
    -- A record that lies about the lengths inside it.
    if not reader or not pcall(reader, state, body) then break end
    at = at + 4 + length
  end
  return state
end

local function more_than_nothing(count)
  return count and count > 0 and count or nil
end

local function answer(state, result)
  local found, finish = state.found, state.finish or {}
  found.stopped = finish.stopped ~= "" and finish.stopped or nil
  if not state.finish then found.stopped = result.timed_out and "time" or "output" end
  found.truncated = found.stopped and true or nil
  found.binaries = more_than_nothing(finish.binaries)
  found.ignored = more_than_nothing(finish.ignored)
  if #state.unsearched > 0 then
    state.unsearched.count = math.max(finish.count or 0, #state.unsearched)
    found.unsearched = state.unsearched
  end
  return found
end

local REFUSALS = {
  NOT_FOUND = true, OUTSIDE = true, PERMISSION = true, NOT_A_DIRECTORY = true,
  NOT_A_FILE = true, PATTERN = true, GLOB = true,
}

local PATTERN_HINT = "the dialect is PCRE2, as Perl and grep -P have it; `fixed` searches for "
  .. "plain text"

local function refused(way, request, refusal)
  if refusal.code == "NO_ROOT" then return roots.gone(way, request.op) end
  local code = REFUSALS[refusal.code] and refusal.code or "IO"
  if code == "GLOB" then code = "INVALID" end
  if code ~= "PATTERN" then
    return errors.new {
      code = code, op = request.op, message = request.path .. ": " .. refusal.message,
    }
  end
  local where = refusal.offset >= 0 and (" (after %d bytes of it)"):format(refusal.offset) or ""
  return errors.new {
    code = code, op = request.op, offset = refusal.offset >= 0 and refusal.offset or nil,
    message = ("the pattern cannot be used: %s%s"):format(refusal.message, where),
    hint = PATTERN_HINT,
  }
end

local function broke_down(request, result)
  return errors.new {
    code = "IO", op = request.op, exit_code = result.code, signal = result.signal,
    message = ("the search program failed: %s%s"):format(tostring(result),
      result.stderr ~= "" and ": " .. (last_line(result.stderr) or "") or ""),
  }
end

local function conclude(way, request, result, done)
  if result.cancelled then
    return done(errors.new { code = "CANCELLED", op = request.op, message = "it was cancelled" })
  end
  local state = read(result.stdout, request.context or 0)
  if state.refusal then return done(refused(way, request, state.refusal)) end
  local is_partial = result.timed_out or result.stdout_truncated
  if not state.finish and not is_partial then
    -- Killed, for memory perhaps: what it had found is still worth having.
    if #state.found == 0 then return done(broke_down(request, result)) end
  end
  done(nil, answer(state, result))
end

--- Searches: see search.lua for the request.
---@param way axo.Way
---@param request table
---@param done fun(err: axo.Error?, found: table?)
---@return any handle, axo.Error?
function helper.run(way, request, done)
  return way:exec({
    argv = argv_of(way, request), cwd = "/", timeout = request.timeout + SPARE_TIME,
    max_output = MAX_OUTPUT + SPARE_OUTPUT,
  }, function(err, result)
    if err then return done(err) end
    conclude(way, request, result, done)
  end)
end

helper.read = read

return helper
