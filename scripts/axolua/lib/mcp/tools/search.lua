--- Tools: finding text and files.
local reply = require "axolua.lib.mcp.reply"
local text = require "axolua.lib.mcp.text"
local visible = require("axolua.lib.text").visible

local DEFAULT_MATCHES, MAX_MATCHES = 200, 5000
local MAX_LINE = 500

-- The library raises on a pattern that is none: here it came from a client.
local function search(call, start)
  local problem
  local found, err = call:await(function(done)
    local ok, handle, failure = pcall(start, done)
    if ok then return handle, failure end
    problem = tostring(handle):gsub("^.-sandbox:%a+: ", "")
    return nil, nil
  end)
  if problem then
    return reply.refusal("the pattern cannot be used: " .. problem,
      "In a glob are * ? [a-z] {a,b} and **, as in src/**/*.c.")
  end
  return nil, err, found
end

local function shorten(line)
  if #line <= MAX_LINE then return line end
  return ("%s [... %d bytes left out]"):format(text.head(line, MAX_LINE), #line - MAX_LINE)
end

-- Lines up to the cap, and a note on the rest.
local function present(lines, is_cut, noun, advice)
  if #lines == 0 then return reply.text("", "no " .. noun .. "es") end
  local shown, size = {}, 0
  for i, line in ipairs(lines) do
    size = size + #line + 1
    if size > reply.MAX_TEXT then break end
    shown[i] = line
  end
  local note
  if #shown < #lines then
    note = ("%d of %d %ses are left out: %s"):format(#lines - #shown, #lines, noun, advice)
  elseif is_cut then
    note = ("the first %s; there are more: %s"):format(reply.count(#lines, noun), advice)
  end
  return reply.text(table.concat(shown, "\n") .. "\n", note)
end

local function grep(arguments, call)
  local result, err, matches = search(call, function(done)
    return call.sandbox:grep(arguments.pattern, {
      path = arguments.path, glob = arguments.glob, ignore_case = arguments.ignore_case,
      fixed = arguments.fixed, max = arguments.max,
    }, done)
  end)
  if not matches then return result, err end
  local lines = {}
  for i, match in ipairs(matches) do
    lines[i] = ("%s:%d:%s"):format(visible(match.path), match.line, shorten(match.text))
  end
  return present(lines, matches.truncated, "match", "search beneath a path, or set glob or max")
end

local function glob(arguments, call)
  local result, err, paths = search(call, function(done)
    return call.sandbox:glob(arguments.pattern, {
      hidden = arguments.hidden, max = arguments.max,
    }, done)
  end)
  if not paths then return result, err end
  local lines = {}
  for i, path in ipairs(paths) do lines[i] = visible(path) end
  return present(lines, paths.truncated, "match", "use a narrower pattern, or set max")
end

local MAX = {
  type = "integer", minimum = 1, maximum = MAX_MATCHES, default = DEFAULT_MATCHES,
  description = "Matches at most.",
}

local GREP = {
  name = "grep", title = "Search in files", call = grep,
  description = "Searches the text files beneath a path for an extended regular expression. "
    .. "Gives path:line:text, sorted; binary files are passed over.",
  input = {
    required = { "pattern" },
    properties = {
      pattern = {
        type = "string", minLength = 1,
        description = "An extended regular expression (as grep -E has it).",
      },
      path = {
        type = "string", minLength = 1, default = ".", description = "A directory or a file.",
      },
      glob = {
        type = "string", minLength = 1,
        description = "Only files like this: *.lua, or src/**/*.c from path on.",
      },
      ignore_case = { type = "boolean", default = false, description = "Upper or lower case." },
      fixed = { type = "boolean", default = false, description = "pattern is plain text." },
      max = MAX,
    },
  },
  hints = { readOnlyHint = true, openWorldHint = false },
}

local GLOB = {
  name = "glob", title = "Find files by name", call = glob,
  description = "Finds paths by a pattern, sorted: * ? [a-z] {a,b}, and ** for any number of "
    .. "directories, for instance src/**/*.lua.",
  input = {
    required = { "pattern" },
    properties = {
      pattern = {
        type = "string", minLength = 1,
        description = "From the session's directory on, or absolute in it.",
      },
      hidden = {
        type = "boolean", default = false, description = "Names that begin with a dot too.",
      },
      max = MAX,
    },
  },
  hints = { readOnlyHint = true, openWorldHint = false },
}

return function() return { GREP, GLOB } end
