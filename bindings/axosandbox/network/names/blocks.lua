--- Addresses that a name may not lead to unless somebody lists them: those that are no public
--- ones, and those of this machine. Of IPv6 only what is given out as public is let through
--- (RFC 4291, the registry of RFC 6890), so that what is new there is refused.
local uv = require "luv"
local address = require "axosandbox.base.text.address"

local blocks = {}

local function list(entries)
  for i, it in ipairs(entries) do
    entries[i] = { block = assert(address.block(it[1])), word = it[2] }
  end
  return entries
end

-- The smaller ones first where one holds another.
local SPECIAL = list {
  { "0.0.0.0/8", "unspecified" }, { "10.0.0.0/8", "private" },
  { "100.64.0.0/10", "shared by a carrier's customers" },
  { "127.0.0.0/8", "this machine itself" },
  { "168.63.129.16", "a service of a cloud for its own machines" },
  { "169.254.169.254", "the metadata service of clouds" }, { "169.254.0.0/16", "link-local" },
  { "172.16.0.0/12", "private" }, { "192.0.0.0/24", "reserved" },
  { "192.0.2.0/24", "for documentation" }, { "192.88.99.0/24", "a translated IPv6 one" },
  { "192.168.0.0/16", "private" }, { "198.18.0.0/15", "for tests of networks" },
  { "198.51.100.0/24", "for documentation" }, { "203.0.113.0/24", "for documentation" },
  { "224.0.0.0/4", "multicast" }, { "240.0.0.0/4", "reserved" },
  { "::", "unspecified" }, { "::1", "this machine itself" },
  { "::ffff:0:0/96", "an IPv4 one in the form of IPv6" },
  { "64:ff9b::/96", "a translated IPv4 one" }, { "64:ff9b:1::/48", "a translated IPv4 one" },
  { "2001:db8::/32", "for documentation" }, { "2001::/23", "for protocols" },
  { "2002::/16", "a translated IPv4 one" }, { "3fff::/20", "for documentation" },
  { "fd00:ec2::254", "the metadata service of clouds" }, { "fc00::/7", "private" },
  { "fe80::/10", "link-local" }, { "ff00::/8", "multicast" },
}

local PUBLIC_IPV6 = assert(address.block "2000::/3")

local function own()
  local found = {}
  for _, addresses in pairs(uv.interface_addresses() or {}) do
    for _, it in ipairs(addresses) do
      local bytes = address.parse((it.ip:gsub("%%.*$", "")))
      if bytes then found[bytes] = true end
    end
  end
  return found
end

--- What an address is that may not be dialled without being listed.
---@param bytes string of address.parse
---@return string? word what it is; nil: a public one
---@return axo.AddressBlock? block an entry that lists it must lie in there
function blocks.kind(bytes)
  for _, it in ipairs(SPECIAL) do
    if address.is_in(it.block, bytes) then return it.word, it.block end
  end
  if #bytes == 16 and not address.is_in(PUBLIC_IPV6, bytes) then
    return "not public", address.block(address.format(bytes) .. "/8")
  end
  if own()[bytes] then
    return "this machine's own", { bytes = bytes, bits = #bytes * 8 }
  end
end

return blocks
