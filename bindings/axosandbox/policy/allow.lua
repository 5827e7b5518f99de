--- The entries of `network = { allow = { ... } }`: what each may be, and what it holds. A name, or
--- all beneath one ("*.example.org"); an address or a block of them; a list of policy/names.lua
--- ("@node"). A port may follow; without one, 443 and 80 are meant.
local address = require "axosandbox.base.text.address"

local allow = {}

--- Entries of one list, those of the lists that it names included.
allow.MAX_ENTRIES = 2000

--- Of an entry without a port.
allow.USUAL_PORTS = { 443, 80 }

-- Of a name in DNS.
local MAX_NAME, MAX_LABEL = 253, 63
-- The longest entry: a wildcard, a name and a port.
local MAX_TEXT = 2 + MAX_NAME + 1 + 5

---@class axo.AllowEntry
---@field text string in the one form that it has here
---@field name string? in lower case
---@field is_wild boolean? all beneath the name, and not the name itself
---@field block axo.AddressBlock?
---@field list string? of policy/names.lua
---@field ports integer[]

-- ---- what is wrong with one ---------------------------------------------------------------

local function quoted(text)
  return ('"%s"'):format(text:sub(1, 80):gsub("[%c\127-\255]", "?"))
end

local function mistake(text, what, example)
  return nil, ('%s %s, such as "%s"'):format(quoted(text), what, example)
end

local function check_label(label)
  return #label <= MAX_LABEL and label:find "^[a-z0-9_][a-z0-9_-]*$" ~= nil
    and label:sub(-1) ~= "-"
end

-- In lower case, without the dot of a full name; nil, what is wrong, an example.
local function name_of(text)
  if text:find "[\128-\255]" then
    return nil, "is not ASCII: write the name as DNS has it", "xn--bcher-kva.example"
  end
  local name = text:lower():gsub("%.$", "")
  if name:find("*", 1, true) then
    return nil, "has a star that is not its first label: write all beneath a name",
      "*.example.org"
  end
  if name == "localhost" or name:find "%.localhost$" then
    return nil, "is the sandbox itself, which needs no permission: write another name",
      "api.example.com"
  end
  -- linear: an entry is short.
  for label in (name .. "."):gmatch "([^.]*)%." do
    if not check_label(label) then
      return nil, "is no name: letters, digits, '-' and '_' between dots", "api.example.com"
    end
  end
  if #name > MAX_NAME then return nil, "is too long for a name", "api.example.com" end
  if name:find "^[%d.]+$" or name:find "%.0x%x*$" or name:find "^0x%x*$" then
    return nil, "is neither a name nor an address: four numbers", "10.1.0.5:5432"
  end
  return name
end

-- ---- reading one --------------------------------------------------------------------------

-- What stands before the port, and the port as text.
local function split(text)
  local inner, rest = text:match "^%[([^%]]*)%](.*)$"
  if inner then
    if rest == "" then return inner, nil, true end
    return inner, rest:match "^:(.*)$" or rest, true
  end
  local host, port = text:match "^([^:]*):([^:]*)$"
  return host or text, port, false
end

local function port_of(text)
  local port = text:find "^%d%d?%d?%d?%d?$" and math.tointeger(tonumber(text))
  return port and port >= 1 and port <= 65535 and port or nil
end

local function is_url(text)
  local authority = text:match "^%a[%w+.-]*://([^/?#]*)"
  return authority and (authority:match "@([^@]*)$" or authority):match "^[^:]*"
end

-- Mistakes that have a word of their own.
local function known_mistake(text)
  if text == "" then return "is empty: write a name", "api.example.com" end
  if #text > MAX_TEXT then return "is too long for an entry: write a name", "api.example.com" end
  local host = is_url(text)
  if host then
    local is_good = host ~= "" and name_of(host)
    return "is a URL: write the name alone", is_good or "api.example.com"
  end
  if text == "*" or text:find "^%*:" then
    return 'would be every name, which is network = "bridge": write names', "*.example.org"
  end
  if text:find "[%s,;]" then return "holds more than one word: an entry each", "api.example.com" end
end

local function list_of(text)
  local list = text:match "^@([a-z0-9][a-z0-9_-]*)$"
  if not list or #list > MAX_LABEL then
    return mistake(text, "is no name of a list: @ and letters in lower case", "@node")
  end
  return { text = text, list = list, ports = {} }
end

local function block_of(host, is_bracketed, text)
  local block = address.block(host)
  if not block then
    return mistake(text, "is no address, or no block of them", "10.1.0.0/16:5432")
  end
  if block.bits == 0 and not host:find "^[0:.]+/" then
    return mistake(text, "is every address, since its /0 keeps nothing of what stands before it",
      "10.1.0.0/16:5432")
  end
  if #block.bytes == 16 and not is_bracketed then
    return mistake(text, "is an IPv6 address, which stands in brackets", "[fd00::/8]:5432")
  end
  return block
end

local function looks_like_block(host, is_bracketed)
  return is_bracketed or host:find("/", 1, true) ~= nil or address.parse(host) ~= nil
end

local function text_of(entry, port)
  local host = entry.name and (entry.is_wild and "*." or "") .. entry.name
  if entry.block then
    local format = #entry.block.bytes == 16 and "[%s]" or "%s"
    host = format:format(address.format_block(entry.block))
  end
  return port and ("%s:%d"):format(host, port) or host
end

local function complete(entry, port)
  entry.ports = port and { port } or allow.USUAL_PORTS
  entry.text = text_of(entry, port)
  return entry
end

--- One entry of `network = { allow = { ... } }`.
---
---     local entry = assert(axo.check.allow "api.example.com:8443")
---     print(entry.name, entry.ports[1])  --> api.example.com	8443
---@param text string
---@return axo.AllowEntry? entry
---@return string? problem what is wrong with it, with an example of what is right
function allow.parse(text)
  local what, example = known_mistake(text)
  if what then return mistake(text, what, example) end
  if text:sub(1, 1) == "@" then return list_of(text) end
  local colons = select(2, text:gsub(":", ""))
  if colons > 1 and not text:find "^%[" and not text:find "%a.*%." then
    return mistake(text, "is an IPv6 address, which stands in brackets", "[fd00::/8]:5432")
  end
  local host, port_text, is_bracketed = split(text)
  if is_bracketed and port_text and port_text:sub(1, 1) == "/" then
    return mistake(text, "has the bits of its block outside the brackets", "[fd00::/8]:5432")
  end
  local port = port_text and port_of(port_text)
  if port_text and not port then
    return mistake(text, "has no port after its colon: a number from 1 to 65535",
      "db.example.com:5432")
  end
  if looks_like_block(host, is_bracketed) then
    local block, problem = block_of(host, is_bracketed, text)
    if not block then return nil, problem end
    return complete({ block = block }, port)
  end
  local is_wild = host:sub(1, 2) == "*."
  local name
  name, what, example = name_of(is_wild and host:sub(3) or host)
  if not name then return mistake(text, what, example) end
  return complete({ name = name, is_wild = is_wild or nil }, port)
end

--- What is wrong with a list of entries; nil when nothing is.
---@param list string[]
---@return string?
function allow.check(list)
  if #list > allow.MAX_ENTRIES then
    return ("%d entries; %d are the most"):format(#list, allow.MAX_ENTRIES)
  end
  for _, text in ipairs(list) do
    local _, problem = allow.parse(text)
    if problem then return problem end
  end
end

--- The same entries in the one form that each has, none twice.
---@param list string[] checked
---@return string[]
function allow.normalise(list)
  local seen, normal = {}, {}
  for _, text in ipairs(list) do
    local entry = assert(allow.parse(text))
    if not seen[entry.text] then normal[#normal + 1] = entry.text end
    seen[entry.text] = true
  end
  return normal
end

-- ---- what they hold -----------------------------------------------------------------------

---@class axo.Allowed a list of entries, to be asked
---@field private names table<string, axo.AllowEntry[]>
---@field private wild table<string, axo.AllowEntry[]>
---@field private blocks axo.AllowEntry[]
---@field private lists table<string, true>
---@field texts string[]
local Allowed = {}
Allowed.__index = Allowed

local function put(by_name, entry)
  by_name[entry.name] = by_name[entry.name] or {}
  table.insert(by_name[entry.name], entry)
end

--- A list of entries, to be asked.
---@param list string[] checked; lists of names.lua hold nothing here
---@return axo.Allowed
function allow.new(list)
  local self = setmetatable({ names = {}, wild = {}, blocks = {}, lists = {}, texts = {} }, Allowed)
  for _, text in ipairs(allow.normalise(list)) do
    local entry = assert(allow.parse(text))
    self.texts[#self.texts + 1] = text
    if entry.block then
      table.insert(self.blocks, entry)
    elseif entry.list then
      self.lists[text] = true
    else
      put(entry.is_wild and self.wild or self.names, entry)
    end
  end
  return self
end

local function with_port(entries, port)
  for _, entry in ipairs(entries or {}) do
    for _, own in ipairs(entry.ports) do
      if not port or own == port then return entry.text end
    end
  end
end

local function above(name) return name:match "^[^.]*%.(.+)$" end

-- The wildcard that holds all beneath `name`.
local function wild_of(list, name, port)
  while name do
    local found = with_port(list.wild[name], port)
    if found then return found end
    name = above(name)
  end
end

--- The entry that holds a name.
---@param name string in lower case
---@param port integer? nil: any port of it
---@return string? entry nil: none does
function Allowed:name(name, port)
  return with_port(self.names[name], port) or wild_of(self, above(name), port)
end

--- The ports that entries give for a name: those of the name itself, and of what is above it.
---@param name string in lower case
---@return integer[] ports each once
function Allowed:ports(name)
  local ports, seen = {}, {}
  local function add(entries)
    for _, entry in ipairs(entries or {}) do
      for _, port in ipairs(entry.ports) do
        if not seen[port] then ports[#ports + 1] = port end
        seen[port] = true
      end
    end
  end
  add(self.names[name])
  local rest = above(name)
  while rest do
    add(self.wild[rest])
    rest = above(rest)
  end
  return ports
end

--- The entry that holds an address.
---@param bytes string of address.parse
---@param port integer
---@param within axo.AddressBlock? the entry must lie in this block: who lists all addresses does not mean the loopback ones
---@return string? entry nil: none does
function Allowed:address(bytes, port, within)
  for _, entry in ipairs(self.blocks) do
    local is_meant = not within
      or entry.block.bits >= within.bits and address.is_in(within, entry.block.bytes)
    if is_meant and address.is_in(entry.block, bytes) then
      local found = with_port({ entry }, port)
      if found then return found end
    end
  end
end

-- ---- two lists ------------------------------------------------------------------------------

-- Whether all of an entry, at one port, lies in what a list holds.
local function holds(list, entry, port)
  if entry.block then
    for _, own in ipairs(list.blocks) do
      if own.block.bits <= entry.block.bits and address.is_in(own.block, entry.block.bytes)
        and with_port({ own }, port) then
        return true
      end
    end
    return false
  end
  if entry.is_wild then return wild_of(list, entry.name, port) ~= nil end
  return list:name(entry.name, port) ~= nil
end

local function add_common(common, list, other)
  for _, text in ipairs(list.texts) do
    local entry = assert(allow.parse(text))
    if list.lists[text] and other.lists[text] then common[#common + 1] = text end
    for _, port in ipairs(entry.ports) do
      if holds(other, entry, port) then common[#common + 1] = text_of(entry, port) end
    end
  end
end

--- What two lists have in common, an entry for each port.
---@param a string[] checked; a list of names.lua has only itself in common
---@param b string[] the same
---@return string[]
function allow.common(a, b)
  local common = {}
  local first, second = allow.new(a), allow.new(b)
  add_common(common, first, second)
  add_common(common, second, first)
  return allow.normalise(common)
end

--- What of a list another one does not hold.
---@param list string[] checked, without lists of names.lua
---@param of string[] the same
---@return string[]
function allow.beyond(list, of)
  local missing, other = {}, allow.new(of)
  for _, text in ipairs(allow.normalise(list)) do
    local entry = assert(allow.parse(text))
    for _, port in ipairs(entry.ports) do
      if not holds(other, entry, port) then missing[#missing + 1] = text_of(entry, port) end
    end
  end
  return missing
end

return allow
