--- IP addresses and blocks of them: text to bytes in network order, and back. Strict, so that no
--- two programs can read the same text in two ways: no octal, no "127.1", no zone.
local address = {}

-- The longest text of an address.
local MAX_TEXT = 45

local function parse_ipv4(text)
  local parts = { text:match "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$" }
  for i, part in ipairs(parts) do
    parts[i] = tonumber(part)
    if parts[i] > 255 or #part > 1 and part:sub(1, 1) == "0" then return nil end
  end
  return parts[1] and string.char(table.unpack(parts))
end

-- Groups of one side of "::", as bytes.
local function groups_of(text)
  local bytes = {}
  if text == "" then return "" end
  -- linear: an address is short.
  for group in (text .. ":"):gmatch "([^:]*):" do
    if not group:find "^%x%x?%x?%x?$" then return nil end
    bytes[#bytes + 1] = string.pack(">I2", tonumber(group, 16))
  end
  return table.concat(bytes)
end

-- "::ffff:10.0.0.1" as "::ffff:a00:1".
local function without_ipv4(text)
  local head, tail = text:match "^(.*:)([%d.]+)$"
  if not tail or not tail:find(".", 1, true) then return text end
  local bytes = parse_ipv4(tail)
  return bytes and ("%s%x:%x"):format(head, string.unpack(">I2I2", bytes))
end

local function parse_ipv6(text)
  text = without_ipv4(text)
  if not text then return nil end
  local first, last = text:find("::", 1, true)
  if not first then
    local all = groups_of(text)
    return all and #all == 16 and all or nil
  end
  local head, tail = groups_of(text:sub(1, first - 1)), groups_of(text:sub(last + 1))
  if not head or not tail or #head + #tail > 14 then return nil end
  return head .. ("\0"):rep(16 - #head - #tail) .. tail
end

--- An address as bytes.
---@param text string such as "10.0.0.1" or "fd00::1"
---@return string? bytes 4 or 16; nil: it is none
function address.parse(text)
  if #text > MAX_TEXT then return nil end
  if text:find(":", 1, true) then return parse_ipv6(text) end
  return parse_ipv4(text)
end

--- The text of an address: an IPv6 one in full groups, the longest run of zeros as "::".
---@param bytes string of `address.parse`
---@return string
function address.format(bytes)
  if #bytes == 4 then return ("%d.%d.%d.%d"):format(bytes:byte(1, 4)) end
  local groups = { string.unpack(">I2I2I2I2I2I2I2I2", bytes) }
  local best, length = nil, 1
  for i = 1, 8 do
    local stop = i
    while stop <= 8 and groups[stop] == 0 do stop = stop + 1 end
    if stop - i > length then best, length = i, stop - i end
  end
  for i = 1, 8 do groups[i] = ("%x"):format(groups[i]) end
  if not best then return table.concat(groups, ":", 1, 8) end
  return ("%s::%s"):format(table.concat(groups, ":", 1, best - 1),
    table.concat(groups, ":", best + length, 8))
end

--- A name or an address with its port behind it; an IPv6 address stands in brackets.
---
---     print(axo.text.with_port("fd00::1", 22))  --> [fd00::1]:22
---@param host string
---@param port integer? nil: without one
---@return string
function address.with_port(host, port)
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return port and ("%s:%d"):format(host, port) or host
end

---@class axo.AddressBlock
---@field bytes string its first address
---@field bits integer those that its addresses have in common

-- The first `bits` of an address, the rest zero.
local function masked(bytes, bits)
  local whole, rest = bits // 8, bits % 8
  if whole == #bytes then return bytes end
  local partial = string.char(bytes:byte(whole + 1) & (0xFF << (8 - rest)) & 0xFF)
  return bytes:sub(1, whole) .. partial .. ("\0"):rep(#bytes - whole - 1)
end

--- A block: "10.0.0.0/8", "fd00::/8", or one address.
---@param text string
---@return axo.AddressBlock? block nil: it is none
function address.block(text)
  local base, bits = text:match "^([^/]*)/(%d%d?%d?)$"
  local bytes = address.parse(base or text)
  if not bytes then return nil end
  bits = bits and tonumber(bits) or #bytes * 8
  if bits > #bytes * 8 then return nil end
  return { bytes = masked(bytes, bits), bits = bits }
end

--- Whether an address lies in a block.
---@param block axo.AddressBlock
---@param bytes string
---@return boolean
function address.is_in(block, bytes)
  return #bytes == #block.bytes and masked(bytes, block.bits) == block.bytes
end

--- The text of a block; of one that has one address, of that.
---@param block axo.AddressBlock
---@return string
function address.format_block(block)
  local text = address.format(block.bytes)
  return block.bits == #block.bytes * 8 and text or ("%s/%d"):format(text, block.bits)
end

return address
