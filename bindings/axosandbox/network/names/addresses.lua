--- The addresses by which names are known in a session: each name has one, given when it is first
--- asked for and the same for as long as the session lives. Whichever host serves the session
--- reads them from a file of the session's, a name a line: the line is the address.
local uv = require "luv"

local addresses = {}

--- Names that a session may have. A wildcard lets the container make up as many as it likes.
addresses.MAX = 4096

-- 198.18.0.1 is the name server; the block is RFC 2544's, which nobody routes.
local FIRST = 0xC6120002
-- Where there is no redirection, the loopback block, of which 127.0.0.0/10 is left to programs.
local FIRST_LOCAL = 0x7F400002

local MAX_FILE = addresses.MAX * 256

---@class axo.NameAddresses
---@field private path string
---@field private first integer
---@field private names string[]
---@field private numbers table<string, integer>
local Addresses = {}
Addresses.__index = Addresses

local function is_name(text)
  return #text <= 253 and text:find "^[a-z0-9_][a-z0-9_.-]*$" ~= nil
end

local function read(path)
  local fd = uv.fs_open(path, "r", 0)
  if not fd then return "" end
  local text = uv.fs_read(fd, MAX_FILE, 0)
  uv.fs_close(fd)
  return text or ""
end

-- A line that was cut off by the end of its writer is none, and nothing is written behind it.
local function load(self)
  -- linear: greedy, from the end.
  local whole = read(self.path):match "^.*\n" or ""
  for name in whole:gmatch "[^\n]+" do
    if not is_name(name) or self.numbers[name] or #self.names >= addresses.MAX then break end
    self.names[#self.names + 1] = name
    self.numbers[name] = #self.names
  end
end

local function rewrite(self)
  local fd, problem = uv.fs_open(self.path, "w", 384) -- 0600
  if not fd then return nil, problem end
  local text = table.concat(self.names, "\n") .. (self.names[1] and "\n" or "")
  local written
  written, problem = uv.fs_write(fd, text, -1)
  self.fd = fd
  return written == #text or nil, problem
end

--- Takes up the addresses of a session.
---@param path string the file, in the session's private directory; made when missing
---@param is_local boolean? without a redirection
---@return axo.NameAddresses? addresses, string? problem
function addresses.open(path, is_local)
  local self = setmetatable({
    path = path, first = is_local and FIRST_LOCAL or FIRST, names = {}, numbers = {},
  }, Addresses)
  load(self)
  local ok, problem = rewrite(self)
  if not ok then return nil, problem end
  return self
end

local function text_of(self, number)
  return ("%d.%d.%d.%d"):format(string.pack(">I4", self.first + number - 1):byte(1, 4))
end

--- The address of a name; a new one where it has none.
---@param name string in lower case
---@return string? address
---@return string? problem there are too many, or it could not be written down
function Addresses:of(name)
  local number = self.numbers[name]
  if number then return text_of(self, number) end
  if #self.names >= addresses.MAX then
    return nil, ("a session has addresses for %d names, and this one has used them up"):format(
      addresses.MAX)
  end
  if not is_name(name) then return nil, "it is no name" end
  -- Not in force before it is remembered: the next host must not give it to another name.
  local written, problem = uv.fs_write(self.fd, name .. "\n", -1)
  if written ~= #name + 1 then return nil, problem or "not all of it could be written" end
  self.names[#self.names + 1] = name
  self.numbers[name] = #self.names
  return text_of(self, #self.names)
end

--- The name that has an address.
---@param text string
---@return string? name nil: it is nobody's
function Addresses:name(text)
  local a, b, c, d = text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  if not a then return nil end
  local number = (tonumber(a) << 24 | tonumber(b) << 16 | tonumber(c) << 8 | tonumber(d))
  return self.names[number - self.first + 1]
end

--- Lets go of the file; the addresses stay.
function Addresses:close()
  if self.fd then uv.fs_close(self.fd) end
  self.fd = nil
end

return addresses
