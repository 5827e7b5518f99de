--- Tools: reading and writing files, and what is in a directory.
local axo = require "axosandbox"
local base64 = require "axolua.mcp.tools.base64"
local hints = require "axolua.mcp.tools.hints"
local paths = require "axolua.mcp.tools.paths"
local reply = require "axolua.mcp.reply"
local text = require "axolua.mcp.text"

local DEFAULT_READ, MAX_READ = 64 * 1024, 1024 * 1024
local MAX_BASE64 = 4 * 1024 * 1024
local MAX_ENTRIES = 1000

local PATH = {
  type = "string", minLength = 1,
  description = "Relative to the session's directory, or absolute in it.",
}

-- ---- read_file ---------------------------------------------------------------------------

local IMAGES = {
  { "^\137PNG\r\n\26\n", "image/png" }, { "^\255\216\255", "image/jpeg" },
  { "^GIF8[79]a", "image/gif" }, { "^RIFF....WEBP", "image/webp" },
}

local function image_type(bytes)
  for _, known in ipairs(IMAGES) do
    if bytes:find(known[1]) then return known[2] end
  end
end

-- A span that begins or ends within a character gives up that character's bytes.
local function whole_text(bytes, offset, is_end)
  local trimmed = bytes
  if not is_end then trimmed = axo.text.whole_characters(bytes, false) end
  if offset > 0 then
    local first = 1
    while first <= 3 and (trimmed:byte(first) or 0) & 0xC0 == 0x80 do first = first + 1 end
    trimmed = trimmed:sub(first)
    offset = offset + first - 1
  end
  if text.is_text(trimmed) and (trimmed ~= "" or bytes == "") then return trimmed, offset end
end

local function span_note(offset, count, size, unit)
  local stop = offset + count
  if offset == 0 and stop >= size then return nil end
  local note = ("bytes %d to %d of %d%s"):format(offset, stop, size, unit)
  if stop >= size then return note end
  return ("%s; %d bytes left out: go on with offset=%d"):format(note, size - stop, stop)
end

local function binary(bytes, offset, size)
  local kind = offset == 0 and #bytes == size and image_type(bytes)
  local note = ("binary, %d bytes, as base64"):format(#bytes)
  local encoding = offset == 0 and axo.text.encoding_of(bytes)
  if encoding then note = ("%s; %s by its mark: encoding=auto reads it"):format(note, encoding) end
  local span = span_note(offset, #bytes, size, "")
  if not kind then
    return reply.text(base64.encode(bytes), span and note .. "; " .. span or note)
  end
  local result = reply.text(nil, note)
  table.insert(result.content, 1, {
    type = "image", data = base64.encode(bytes), mimeType = kind,
  })
  return result
end

local function present(bytes, offset, size)
  if bytes == "" then
    return reply.text("", size == 0 and "the file is empty"
      or ("nothing there: the file has %d bytes"):format(size))
  end
  local shown, from = whole_text(bytes, offset, offset + #bytes >= size)
  if not shown then return binary(bytes, offset, size) end
  return reply.text(shown, span_note(from, #shown, size, ""))
end

local function lines_note(span)
  if span.last < span.first then
    if span.total == 0 then return "the file is empty" end
    return ("nothing there: the file has %s"):format(reply.count(span.total, "line"))
  end
  local note = ("lines %d to %d%s"):format(span.first, span.last,
    span.total and (" of %d"):format(span.total) or "")
  if span.cut then
    note = ("%s, without the last %d bytes of a line longer than limit: set limit, or read its "
      .. "bytes by offset"):format(note, span.cut)
  end
  if span.total and span.last >= span.total or not span.truncated then return note end
  return ("%s; there are more: go on with first_line=%d"):format(note, span.last + 1)
end

local ENDS = {
  crlf = "these lines end in CRLF, shown as LF; edit_file takes LF for both",
  mixed = "some of these lines end in CRLF, others in LF, and are shown so",
}

local function decoded_note(span)
  if span.encoding == "utf-8" and not span.mark then return nil end
  return "the file is in " .. span.encoding .. (span.mark and ", by its byte order mark" or "")
end

local function invalid_note(span)
  return span.invalid and ("%s in its place: what is there is no %s"):format(
    reply.count(span.invalid, "U+FFFD character"), span.encoding)
end

local function wants_text(arguments)
  return arguments.first_line or arguments.lines or arguments.numbered or arguments.encoding
end

local function read_text(arguments, call)
  if arguments.offset > 0 then
    return reply.refusal("read_file: offset counts bytes, and text was asked for by lines",
      "Give first_line in its place, or offset and limit alone.")
  end
  local bytes, span = call:await(function(done)
    return call.sandbox:read_file(arguments.path, {
      first_line = arguments.first_line, lines = arguments.lines, numbered = arguments.numbered,
      encoding = arguments.encoding or "auto", limit = arguments.limit,
    }, done)
  end)
  if not bytes then return nil, span end
  return reply.text(bytes, lines_note(span), ENDS[span.line_ends], decoded_note(span),
    invalid_note(span))
end

local function read_file(arguments, call)
  if wants_text(arguments) then return read_text(arguments, call) end
  local sb, offset = call.sandbox, arguments.offset
  local entry, err = call:await(function(done) return sb:stat(arguments.path, nil, done) end)
  if not entry then return nil, err end
  local bytes
  bytes, err = call:await(function(done)
    return sb:read_file(arguments.path, { offset = offset, limit = arguments.limit }, done)
  end)
  if not bytes then return nil, err end
  -- It may have grown meanwhile.
  local size = bytes == "" and entry.size or math.max(entry.size, offset + #bytes)
  return present(bytes, offset, size)
end

-- ---- write_file, edit_file -----------------------------------------------------------------

local NO_BASE64 = "Send characters of A-Z a-z 0-9 + /, padded with = to a multiple of 4; for text "
  .. "leave encoding at utf-8."

local function decoded(arguments)
  if arguments.encoding == "utf-8" then return arguments.content end
  if #arguments.content > MAX_BASE64 then
    return nil, ("more than %d characters of base64"):format(MAX_BASE64),
      "Write it in parts by bash, or as utf-8."
  end
  local bytes, problem = base64.decode(arguments.content)
  return bytes, problem and "content is not base64: " .. problem, NO_BASE64
end

local function write_file(arguments, call)
  local bytes, problem, advice = decoded(arguments)
  if not bytes then return reply.refusal("write_file: " .. problem, advice) end
  local ok, err = call:await(function(done)
    return call.sandbox:write_file(arguments.path, bytes, { parents = arguments.parents }, done)
  end)
  if not ok then return nil, err end
  return reply.text(("Wrote %d bytes to %s."):format(#bytes, paths.shown(arguments.path)))
end

local function edit_file(arguments, call)
  if arguments.old_string == arguments.new_string then
    return reply.refusal("edit_file: old_string and new_string are the same",
      "Nothing was changed.")
  end
  local count, err = call:await(function(done)
    return call.sandbox:edit_file(arguments.path, arguments.old_string, arguments.new_string,
      { replace_all = arguments.replace_all, encoding = arguments.encoding }, done)
  end)
  if not count then return nil, err end
  return reply.text(("Replaced %s in %s."):format(reply.count(count, "place"),
    paths.shown(arguments.path)))
end

-- ---- list_dir ----------------------------------------------------------------------------

local function describe(entry)
  local name = paths.shown(entry.name)
  if entry.type == "directory" then return ("%-9s %12s  %s/"):format(entry.type, "-", name) end
  return ("%-9s %12d  %s"):format(entry.type, entry.size, name)
end

local function describe_all(entries)
  local lines = {}
  for i, entry in ipairs(entries) do lines[i] = describe(entry) end
  return lines
end

local function list_dir(arguments, call)
  local entries, err = call:await(function(done)
    return call.sandbox:list_dir(arguments.path, done)
  end)
  if not entries then return nil, err end
  if #entries == 0 then return reply.text("", "the directory is empty") end
  local left_out = math.max(0, #entries - MAX_ENTRIES)
  local first = table.move(entries, 1, #entries - left_out, 1, {})
  local plain, escaped = paths.part(first, function(entry) return entry.name end)
  local lines = describe_all(plain)
  local words = #lines > 0 and table.concat(lines, "\n") .. "\n" or nil
  local result = reply.text(words, left_out > 0 and
    ("%d of %d entries are left out: use glob, or list a directory beneath"):format(
      left_out, #entries) or nil)
  paths.add(result, describe_all(escaped))
  return result
end

-- ---- what they are -----------------------------------------------------------------------

local READ = {
  name = "read_file", title = "Read a file", call = paths.meant(read_file),
  description = "Reads a file of the sandbox. Text comes as it is; what is not UTF-8 comes as "
    .. "base64 (a whole PNG, JPEG, GIF or WebP as an image). A long file comes in parts: a note "
    .. "at the end says how much was left out, and with which offset to go on. With first_line, "
    .. "lines, numbered or encoding it comes as text by whole lines, however large the file is.",
  input = {
    required = { "path" },
    properties = {
      path = PATH, escaped = paths.ESCAPED,
      offset = {
        type = "integer", minimum = 0, default = 0,
        description = "Bytes to pass over at the beginning.",
      },
      limit = {
        type = "integer", minimum = 1, maximum = MAX_READ, default = DEFAULT_READ,
        description = "Bytes to read at most, of text too.",
      },
      first_line = {
        type = "integer", minimum = 1, description = "The line to begin at, from 1.",
      },
      lines = {
        type = "integer", minimum = 1, maximum = axo.text.MAX_LINES,
        description = "Lines to read at most; by default as many as limit holds.",
      },
      numbered = {
        type = "boolean", default = false,
        description = "Each line after its number and a tab, which are not in the file.",
      },
      encoding = {
        type = "string", enum = axo.text.ENCODINGS,
        description = "What its text is in: auto is its byte order mark, else UTF-8. Bytes that "
          .. "are none are shown as U+FFFD and counted.",
      },
    },
  },
  hints = hints.READS,
}

local WRITE = {
  name = "write_file", title = "Write a file", call = paths.meant(write_file),
  description = "Writes a whole file in one step, new or in place of what was there; missing "
    .. "directories are made. To change part of a file, edit_file is better.",
  input = {
    required = { "path", "content" },
    properties = {
      path = PATH, escaped = paths.ESCAPED,
      content = { type = "string", description = "All that the file shall hold." },
      encoding = {
        type = "string", enum = { "utf-8", "base64" }, default = "utf-8",
        description = "How content is to be read; base64 for what is not text.",
      },
      parents = {
        type = "boolean", default = true, description = "Make missing directories.",
      },
    },
  },
  hints = hints.SETTLES,
}

local EDIT = {
  name = "edit_file", title = "Change part of a file", call = paths.meant(edit_file),
  description = "Replaces a text in a file by another. The old text must be there exactly once, "
    .. "white space included, unless replace_all is set.",
  input = {
    required = { "path", "old_string", "new_string" },
    properties = {
      path = PATH, escaped = paths.ESCAPED,
      old_string = {
        type = "string", minLength = 1, description = "What is there now; no pattern.",
      },
      new_string = { type = "string", description = "What shall be there." },
      replace_all = {
        type = "boolean", default = false, description = "Replace it wherever it is.",
      },
      encoding = {
        type = "string", enum = axo.text.ENCODINGS, default = "auto",
        description = "What the file is in: auto is its byte order mark, else bytes as UTF-8.",
      },
    },
  },
  hints = hints.CHANGES,
}

local LIST = {
  name = "list_dir", title = "List a directory", call = paths.meant(list_dir),
  description = "Lists a directory, sorted by name: type, size in bytes, name. Names that begin "
    .. "with a dot are among them.",
  input = {
    properties = {
      path = {
        type = "string", minLength = 1, default = ".",
        description = "The session's directory by default.",
      },
      escaped = paths.ESCAPED,
    },
  },
  hints = hints.READS,
}

return function() return { READ, WRITE, EDIT, LIST } end
