--- Encodings of text files. Lua's strings and everything else here are bytes, and text in them is
--- UTF-8.
local core = require "axosandbox.core"

local encodings = {}

--- What can be asked for. "auto": what the byte order mark says, and else the bytes as they are.
encodings.NAMES = {
  "auto", "utf-8", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be", "latin-1",
  "windows-1252",
}

local UNITS = { ["utf-16le"] = 2, ["utf-16be"] = 2, ["utf-32le"] = 4, ["utf-32be"] = 4 }
local ASSUMED = { ["utf-16"] = "utf-16le", ["utf-32"] = "utf-32le" }

-- The longer ones first.
local MARKS = {
  { "\xFF\xFE\0\0", "utf-32le" }, { "\0\0\xFE\xFF", "utf-32be" }, { "\xEF\xBB\xBF", "utf-8" },
  { "\xFF\xFE", "utf-16le" }, { "\xFE\xFF", "utf-16be" },
}

local function marked(bytes)
  for _, mark in ipairs(MARKS) do
    if bytes:sub(1, #mark[1]) == mark[1] then return mark[2], #mark[1] end
  end
  return nil, 0
end

--- What a file is in.
---
---     print((axo.text.encoding_of "\xFF\xFEh\0"))  --> utf-16le
---@param bytes string its beginning
---@param asked string? one of NAMES
---@return string? encoding that core.decode knows; nil: bytes as they are
---@return integer mark bytes of the byte order mark that it begins with
function encodings.of(bytes, asked)
  local found, length = marked(bytes)
  if asked == nil or asked == "auto" then return found, length end
  if ASSUMED[asked] then
    if found and found:find(asked, 1, true) == 1 then return found, length end
    return ASSUMED[asked], 0
  end
  return asked, asked == found and length or 0
end

--- Bytes of its smallest piece.
---@param encoding string?
---@return integer
function encodings.unit(encoding)
  return UNITS[encoding] or 1
end

--- A file's text as UTF-8, without its byte order mark; what is no text becomes U+FFFD.
---@param bytes string
---@param asked string
---@return string text, string? encoding
function encodings.decode(bytes, asked)
  local encoding, mark = encodings.of(bytes, asked)
  if not encoding then return bytes, nil end
  return (core.decode(bytes:sub(mark + 1), encoding)), encoding
end

return encodings
