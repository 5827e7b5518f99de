--- Base64, for bytes that are no text.
local base64 = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local FLUSH_AT = 4096

-- Two characters at once: 12 bits.
local pairs_of = {}
for high = 1, 64 do
  for low = 1, 64 do
    pairs_of[(high - 1) * 64 + low - 1] = ALPHABET:sub(high, high) .. ALPHABET:sub(low, low)
  end
end

local value_of = {}
for i = 1, 64 do value_of[ALPHABET:byte(i)] = i - 1 end

local function encode_rest(bytes, at)
  local left = #bytes - at + 1
  if left == 0 then return "" end
  if left == 1 then return pairs_of[bytes:byte(at) << 4] .. "==" end
  local bits = (bytes:byte(at) << 16) | (bytes:byte(at + 1) << 8)
  return pairs_of[bits >> 12] .. pairs_of[bits & 0xFFF]:sub(1, 1) .. "="
end

--- Encodes, with padding and without line ends.
---@param bytes string
---@return string
function base64.encode(bytes)
  local out, n = {}, 0
  local whole = #bytes - #bytes % 3
  for at = 1, whole, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local bits = (a << 16) | (b << 8) | c
    out[n + 1], out[n + 2] = pairs_of[bits >> 12], pairs_of[bits & 0xFFF]
    n = n + 2
  end
  out[n + 1] = encode_rest(bytes, whole + 1)
  return table.concat(out)
end

local function decode_quads(text, last)
  local out, parts = {}, {}
  for at = 1, last, 4 do
    local a, b, c, d = text:byte(at, at + 3)
    a, b, c, d = value_of[a], value_of[b], value_of[c], value_of[d]
    if not (a and b and c and d) then return nil end
    local bits = (a << 18) | (b << 12) | (c << 6) | d
    out[#out + 1] = string.char(bits >> 16, (bits >> 8) & 0xFF, bits & 0xFF)
    if #out == FLUSH_AT then
      parts[#parts + 1] = table.concat(out)
      out = {}
    end
  end
  parts[#parts + 1] = table.concat(out)
  return table.concat(parts)
end

local function decode_last(quad)
  local a, b, c = value_of[quad:byte(1)], value_of[quad:byte(2)], value_of[quad:byte(3)]
  if not (a and b) then return nil end
  if quad:sub(3) == "==" then return string.char((a << 2) | (b >> 4)) end
  if not c or quad:sub(4) ~= "=" then return nil end
  return string.char((a << 2) | (b >> 4), ((b & 0xF) << 4) | (c >> 2))
end

--- Decodes; white space between the characters is skipped.
---@param text string
---@return string? bytes, string? problem
function base64.decode(text)
  text = text:gsub("%s+", "")
  if #text % 4 ~= 0 then return nil, "its length is no multiple of 4" end
  local has_padding = text:sub(-1) == "="
  local last = has_padding and #text - 4 or #text
  local bytes = decode_quads(text, last)
  local rest = ""
  if has_padding then rest = decode_last(text:sub(-4)) end
  if not bytes or not rest then return nil, "it has characters that are not base64" end
  return bytes .. rest
end

return base64
