--- Changing a text in the bytes of a file: in the file's encoding, and with its line ends.
local core = require "axosandbox.core"
local encodings = require "axosandbox.base.text.encodings"
local errors = require "axosandbox.base.errors"

local edit = {}

---@class axo.Change
---@field path string for messages
---@field old string
---@field new string
---@field replace_all boolean?
---@field expected string? digest
---@field encoding string?

local function failure(code, message, hint)
  return errors.new { code = code, op = "edit_file", message = message, hint = hint }
end

local function check_digest(change, bytes)
  if not change.expected then return nil end
  local found = core.digest(bytes)
  if change.expected == found then return nil end
  return failure("CHANGED", ("%s: its digest is %s, not the expected one"):format(
    change.path, found), "read it again, then edit")
end

local function encoder(encoding)
  if not encoding or encoding == "utf-8" then return function(text) return text end end
  return function(text) return core.encode(text, encoding) end
end

-- How many of a file's lines end in CRLF, and how many in LF alone.
local function line_ends(bytes, encode, unit)
  local _, crlf = core.substitute(bytes, encode "\r\n", "", unit)
  local _, all = core.substitute(bytes, encode "\n", "", unit)
  return crlf, all - crlf
end

-- Line feeds, and those alone, are what somebody writes who does not think of line ends.
local function has_plain_lines(change)
  local both = change.old .. change.new
  return both:find("\n", 1, true) ~= nil and not both:find("\r", 1, true)
end

local function with_crlf(text) return (text:gsub("\n", "\r\n")) end
local function with_lf(text) return (text:gsub("\r\n", "\n")) end

-- The pairs of texts to look for, one after the other.
local function candidates(change, bytes, encode, unit)
  local exact = { change.old, change.new }
  if has_plain_lines(change) then
    local crlf, lf = line_ends(bytes, encode, unit)
    local adapted = { with_crlf(change.old), with_crlf(change.new) }
    if crlf > 0 and lf == 0 then return { adapted } end
    return crlf > 0 and { exact, adapted } or { exact }, crlf > 0
  end
  if change.old:find("\r\n", 1, true) then
    return { exact, { with_lf(change.old), with_lf(change.new) } }
  end
  return { exact }
end

local function verdict(change, count, is_mixed)
  if count == 0 then
    return failure("NO_MATCH", change.path .. ": the text to replace is not in the file",
      is_mixed and "some of its lines end in CRLF, others in LF: give the text as it is there")
  end
  if count == 1 or change.replace_all then return nil end
  return failure("AMBIGUOUS", ("%s: the text to replace is there %d times"):format(
    change.path, count), "give more of its surroundings, or set replace_all")
end

--- Applies a change. Where the text that is looked for has line feeds only and the file's lines
--- end in CRLF, both texts are taken to mean that, and the other way round.
---@param bytes string
---@param change axo.Change
---@return string? edited, integer|axo.Error count
function edit.apply(bytes, change)
  local stale = check_digest(change, bytes)
  if stale then return nil, stale end
  local encoding = encodings.of(bytes, change.encoding)
  local encode, unit = encoder(encoding), encodings.unit(encoding)
  local tries, is_mixed = candidates(change, bytes, encode, unit)
  for _, try in ipairs(tries) do
    local old, new = encode(try[1]), encode(try[2])
    if old and not new then
      return nil, failure("ENCODING", ("%s: the new text cannot be written in its encoding, %s")
        :format(change.path, encoding))
    end
    local edited, count = bytes, 0
    if old then edited, count = core.substitute(bytes, old, new, unit) end
    if count > 0 then
      local err = verdict(change, count)
      if err then return nil, err end
      return edited, count
    end
  end
  return nil, verdict(change, 0, is_mixed)
end

return edit
