--- Tools: finding text and files.
local hints = require "axolua.mcp.tools.hints"
local paths = require "axolua.mcp.tools.paths"
local reply = require "axolua.mcp.reply"
local text = require "axolua.mcp.text"
local visible = require("axolua.view.text").visible

local DEFAULT_MATCHES, MAX_MATCHES = 200, 5000
local MAX_LINE = 500
-- What was not searched and is named; the rest is counted.
local MAX_NAMED = 10

-- The library raises on a pattern that is none: here it came from a client.
local function search(call, start)
  local problem
  local found, err = call:await(function(done)
    local ok, handle, failure = pcall(start, done)
    if ok then return handle, failure end
    -- linear: whatever follows is taken.
    problem = tostring(handle):match "sandbox:%a+: (.*)$" or tostring(handle)
    return nil, nil
  end)
  if problem then
    return reply.refusal("the pattern cannot be used: " .. problem,
      "In a glob are * ? [a-z] {a,b} and **, as in src/**/*.c. It begins at the session's "
      .. "directory.")
  end
  return nil, err, found
end

local REASONS = {
  unreadable = "could not be read", too_large = "is too large", too_deep = "lies too deep",
  too_many_names = "has too many entries", long_line = "has a line of more than 8 MiB",
  pattern_limit = "has lines on which the pattern takes too long",
  gitignore = "has a .gitignore that was not honoured in full", kernel = "is the kernel's",
  time = "was not finished in time", bytes = "was not finished",
}

local function unsearched_note(found)
  local list = found.unsearched
  if not list then return nil end
  local words = {}
  for i = 1, math.min(#list, MAX_NAMED) do
    local it = list[i]
    local detail = it.detail and " (" .. visible(text.head(it.detail, 200)) .. ")" or ""
    words[i] = ("%s %s%s"):format(paths.shown(text.head(it.path, 1000)),
      REASONS[it.reason] or it.reason, detail)
  end
  local more = list.count - #words
  if more > 0 then words[#words + 1] = ("%d more"):format(more) end
  return "Not searched, or not wholly: " .. table.concat(words, "; ")
end

local STOPPED = {
  time = "the time for it was over", files = "there are too many files",
  bytes = "there are too many bytes", output = "there was too much to say",
}

-- Why there may be more than this, but for the number of matches.
local function stopped_note(found)
  local why = STOPPED[found.stopped]
  return why and "The search was not finished: " .. why .. ". Search beneath a path, or set glob."
end

local function count_note(count, one, many)
  return count and ("%d %s"):format(count, count == 1 and one or many)
end

local function passed_over_note(found)
  local binaries = count_note(found.binaries, "binary file was", "binary files were")
  local ignored = count_note(found.ignored, "entry was left out", "entries were left out")
  return binaries and binaries .. " passed over", ignored and ignored .. " as .gitignore says"
end

-- Lines up to the cap; and how much room is left.
local function fitting(lines, room)
  local shown = {}
  for i, line in ipairs(lines) do
    room = room - #line - 1
    if room < 0 then break end
    shown[i] = line
  end
  return shown, room
end

-- Lines up to the cap, and notes on the rest. `lines_of` makes lines of some of what was found,
-- each of which may have several.
local function present(found, path_of, lines_of, noun, advice)
  local plain, escaped = paths.part(found, path_of)
  local lines, more = lines_of(plain), lines_of(escaped)
  local shown, room = fitting(lines, reply.MAX_TEXT)
  local shown_too = fitting(more, room)
  local all, note = #lines + #more, nil
  if #shown + #shown_too < all then
    note = ("%d of %d lines are left out: %s"):format(all - #shown - #shown_too, all, advice)
  elseif found.stopped == "max" then
    note = ("the first %s; there are more: %s"):format(reply.count(#found, noun), advice)
  elseif all == 0 then
    note = "no " .. noun .. "es"
  end
  local words = #shown > 0 and table.concat(shown, "\n") .. "\n" or ""
  local binaries, ignored = passed_over_note(found)
  local result = reply.text(words, note or nil, stopped_note(found), unsearched_note(found),
    binaries, ignored)
  paths.add(result, shown_too)
  return result
end

-- A line as grep prints it; what is left out of a long one is said.
local function line_of(match)
  local shown = match.text
  if match.cut_before then shown = ("[%d bytes ...] "):format(match.cut_before) .. shown end
  if match.cut_after then shown = shown .. (" [... %d bytes left out]"):format(match.cut_after) end
  return shown
end

local function add(lines, path, mark, number, words)
  lines[#lines + 1] = ("%s%s%d%s%s"):format(path, mark, number, mark, words)
end

-- With context as grep -C has it: each line once, "-" for ":", and "--" between what is apart.
local function lines_with_context(matches)
  local is_match, lines = {}, {}
  for _, match in ipairs(matches) do is_match[match.path .. "\0" .. match.line] = true end
  local path, last
  local function give(match, number, words, mark)
    if match.path == path and number <= last then return end
    if path and (match.path ~= path or number > last + 1) then lines[#lines + 1] = "--" end
    add(lines, paths.shown(match.path), mark, number, words)
    path, last = match.path, number
  end
  for _, match in ipairs(matches) do
    local first = match.line - #match.before
    for i, words in ipairs(match.before) do give(match, first + i - 1, words, "-") end
    give(match, match.line, line_of(match), ":")
    for i, words in ipairs(match.after) do
      local number = match.line + i
      if is_match[match.path .. "\0" .. number] then break end
      give(match, number, words, "-")
    end
  end
  return lines
end

local function lines_of(matches, context)
  if context and context > 0 then return lines_with_context(matches) end
  local lines = {}
  for _, match in ipairs(matches) do
    add(lines, paths.shown(match.path), ":", match.line, line_of(match))
  end
  return lines
end

local function grep(arguments, call)
  local result, err, matches = search(call, function(done)
    return call.sandbox:grep(arguments.pattern, {
      path = arguments.path, glob = arguments.glob, ignore_case = arguments.ignore_case,
      fixed = arguments.fixed, max = arguments.max, context = arguments.context,
      gitignore = arguments.gitignore, max_line = MAX_LINE,
    }, done)
  end)
  if not matches then return result, err end
  return present(matches, function(match) return match.path end,
    function(some) return lines_of(some, arguments.context) end, "match",
    "search beneath a path, or set glob or max")
end

local function glob(arguments, call)
  local result, err, found = search(call, function(done)
    return call.sandbox:glob(arguments.pattern, {
      hidden = arguments.hidden, max = arguments.max, gitignore = arguments.gitignore,
    }, done)
  end)
  if not found then return result, err end
  local function lines_of_paths(some)
    local lines = {}
    for i, path in ipairs(some) do lines[i] = paths.shown(path) end
    return lines
  end
  return present(found, function(path) return path end, lines_of_paths, "match",
    "use a narrower pattern, or set max")
end

local MAX = {
  type = "integer", minimum = 1, maximum = MAX_MATCHES, default = DEFAULT_MATCHES,
  description = "Matches at most.",
}
local GITIGNORE = {
  type = "boolean", default = false,
  description = "Leave out what .gitignore says, and .git.",
}

local GREP = {
  name = "grep", title = "Search in files", call = paths.meant(grep),
  description = "Searches the lines of the text files beneath a path for a regular expression. "
    .. "Gives path:line:text, sorted; binary files are passed over. What could not be searched is "
    .. "said after the matches.",
  input = {
    required = { "pattern" },
    properties = {
      pattern = {
        type = "string", minLength = 1,
        description = "A regular expression of PCRE2 (Perl's, as grep -P has it), matched within "
          .. "each line.",
      },
      path = {
        type = "string", minLength = 1, default = ".", description = "A directory or a file.",
      },
      escaped = paths.ESCAPED,
      glob = {
        type = "string", minLength = 1,
        description = "Only files like this: *.lua, or src/**/*.c from path on.",
      },
      ignore_case = { type = "boolean", default = false, description = "Upper or lower case." },
      fixed = { type = "boolean", default = false, description = "pattern is plain text." },
      context = {
        type = "integer", minimum = 0, maximum = 50, default = 0,
        description = "Lines before and after each match, as path-line-text.",
      },
      gitignore = GITIGNORE,
      max = MAX,
    },
  },
  hints = hints.READS,
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
      gitignore = GITIGNORE,
      max = MAX,
    },
  },
  hints = hints.READS,
}

return function() return { GREP, GLOB } end
