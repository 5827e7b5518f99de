--- Tools: reading and writing files, and what is in a directory.
local base64 = require "axolua.lib.mcp.base64"
local reply = require "axolua.lib.mcp.reply"
local task = require "axosandbox.task"
local text = require "axolua.lib.mcp.text"
local visible = require("axolua.lib.text").visible

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
  if not is_end then trimmed = task.whole_characters(bytes, false) end
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

local function read_file(arguments, call)
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
  return reply.text(("Wrote %d bytes to %s."):format(#bytes, arguments.path))
end

local function edit_file(arguments, call)
  if arguments.old_string == arguments.new_string then
    return reply.refusal("edit_file: old_string and new_string are the same",
      "Nothing was changed.")
  end
  local count, err = call:await(function(done)
    return call.sandbox:edit_file(arguments.path, arguments.old_string, arguments.new_string,
      { replace_all = arguments.replace_all }, done)
  end)
  if not count then return nil, err end
  return reply.text(("Replaced %s in %s."):format(reply.count(count, "place"), arguments.path))
end

-- ---- list_dir ----------------------------------------------------------------------------

local function describe(entry)
  local name = visible(entry.name)
  if entry.type == "directory" then return ("%-9s %12s  %s/"):format(entry.type, "-", name) end
  return ("%-9s %12d  %s"):format(entry.type, entry.size, name)
end

local function list_dir(arguments, call)
  local entries, err = call:await(function(done)
    return call.sandbox:list_dir(arguments.path, done)
  end)
  if not entries then return nil, err end
  local lines = {}
  for i = 1, math.min(#entries, MAX_ENTRIES) do lines[i] = describe(entries[i]) end
  if #entries == 0 then return reply.text("", "the directory is empty") end
  local left_out = #entries - #lines
  return reply.text(table.concat(lines, "\n") .. "\n", left_out > 0 and
    ("%d of %d entries are left out: use glob, or list a directory beneath"):format(
      left_out, #entries) or nil)
end

-- ---- what they are -----------------------------------------------------------------------

local READ = {
  name = "read_file", title = "Read a file", call = read_file,
  description = "Reads a file of the sandbox. Text comes as it is; what is not UTF-8 comes as "
    .. "base64 (a whole PNG, JPEG, GIF or WebP as an image). A long file comes in parts: a note "
    .. "at the end says how much was left out, and with which offset to go on.",
  input = {
    required = { "path" },
    properties = {
      path = PATH,
      offset = {
        type = "integer", minimum = 0, default = 0,
        description = "Bytes to pass over at the beginning.",
      },
      limit = {
        type = "integer", minimum = 1, maximum = MAX_READ, default = DEFAULT_READ,
        description = "Bytes to read at most.",
      },
    },
  },
  hints = { readOnlyHint = true, openWorldHint = false },
}

local WRITE = {
  name = "write_file", title = "Write a file", call = write_file,
  description = "Writes a whole file in one step, new or in place of what was there; missing "
    .. "directories are made. To change part of a file, edit_file is better.",
  input = {
    required = { "path", "content" },
    properties = {
      path = PATH,
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
  hints = { readOnlyHint = false, destructiveHint = true, idempotentHint = true,
    openWorldHint = false },
}

local EDIT = {
  name = "edit_file", title = "Change part of a file", call = edit_file,
  description = "Replaces a text in a file by another. The old text must be there exactly once, "
    .. "white space included, unless replace_all is set.",
  input = {
    required = { "path", "old_string", "new_string" },
    properties = {
      path = PATH,
      old_string = {
        type = "string", minLength = 1, description = "What is there now; no pattern.",
      },
      new_string = { type = "string", description = "What shall be there." },
      replace_all = {
        type = "boolean", default = false, description = "Replace it wherever it is.",
      },
    },
  },
  hints = { readOnlyHint = false, destructiveHint = true, idempotentHint = false,
    openWorldHint = false },
}

local LIST = {
  name = "list_dir", title = "List a directory", call = list_dir,
  description = "Lists a directory, sorted by name: type, size in bytes, name. Names that begin "
    .. "with a dot are among them.",
  input = {
    properties = {
      path = {
        type = "string", minLength = 1, default = ".",
        description = "The session's directory by default.",
      },
    },
  },
  hints = { readOnlyHint = true, openWorldHint = false },
}

return function() return { READ, WRITE, EDIT, LIST } end
