--- What a program has switched on in a terminal: followed in what it prints, so that a program
--- which is killed leaves nothing behind, and nothing is undone that was never done.
local modes = {}

-- Private modes that are followed, and how a terminal has them to begin with.
local DEFAULTS = {
  [1] = "l", [5] = "l", [6] = "l", [7] = "h", [9] = "l", [25] = "h", [47] = "l", [66] = "l",
  [1000] = "l", [1001] = "l", [1002] = "l", [1003] = "l", [1004] = "l", [1005] = "l",
  [1006] = "l", [1015] = "l", [1016] = "l", [1047] = "l", [1049] = "l", [2004] = "l",
  [2026] = "l",
}
-- Left last: what is before it belongs to the screen that is left.
local ALTERNATE = { 47, 1047, 1049 }
local IS_ALTERNATE = { [47] = true, [1047] = true, [1049] = true }

local MAX_SEQUENCE = 64

---@class cli.Modes
---@field private state "text"|"escape"|"csi"|"string"|"string escape"
---@field private changed table<integer, true> private modes that are not as to begin with
local Modes = {}
Modes.__index = Modes

---@return cli.Modes
function modes.new()
  return setmetatable({ state = "text", changed = {}, sequence = "" }, Modes)
end

function Modes:clear()
  self.changed, self.is_keypad, self.is_coloured, self.region = {}, nil, nil, nil
end

local function private(self, parameters, final)
  for number in parameters:gmatch "%d+" do
    number = math.tointeger(tonumber(number))
    local default = DEFAULTS[number]
    if default then self.changed[number] = default ~= final or nil end
  end
end

local function soft_reset(self)
  for _, number in ipairs { 1, 6, 7, 25, 66 } do self.changed[number] = nil end
  self.is_keypad, self.is_coloured, self.region = nil, nil, nil
end

local function control(self, sequence)
  local marker, parameters, final = sequence:match "^([<-?]?)([%d;:]*)([@-~])$"
  if sequence == "!p" then return soft_reset(self) end
  if not final then return end
  local is_mode = marker == "?" and (final == "h" or final == "l")
  if is_mode then return private(self, parameters, final) end
  if marker ~= "" then return end
  if final == "m" then self.is_coloured = not parameters:find "^0*$" end
  if final == "r" then self.region = parameters ~= "" or nil end
end

local STRINGS = { ["]"] = true, P = true, X = true, ["^"] = true, _ = true }

-- Each takes the bytes from `at` on and returns where it stopped.
local STATES = {}

function STATES.text(self, bytes, at)
  local escape = bytes:find("\27", at, true)
  if not escape then return #bytes + 1 end
  self.state = "escape"
  return escape + 1
end

function STATES.escape(self, bytes, at)
  local c = bytes:sub(at, at)
  self.state = "text"
  if c == "[" then
    self.state, self.sequence = "csi", ""
  elseif STRINGS[c] then
    self.state = "string"
  elseif c == "\27" then
    self.state = "escape"
  elseif c == "c" then
    self:clear()
  elseif c == "=" or c == ">" then
    self.is_keypad = c == "=" or nil
  end
  return at + 1
end

function STATES.csi(self, bytes, at)
  local stop = bytes:find("[^ -?]", at) or #bytes + 1
  local room = MAX_SEQUENCE - #self.sequence
  self.sequence = self.sequence .. bytes:sub(at, math.min(stop - 1, at + room - 1))
  if stop > #bytes then return stop end
  local final = bytes:sub(stop, stop)
  self.state = final == "\27" and "escape" or "text"
  if final:find "[@-~]" and #self.sequence < MAX_SEQUENCE then
    control(self, self.sequence .. final)
  end
  return stop + 1
end

function STATES.string(self, bytes, at)
  local stop = bytes:find("[\7\24\26\27]", at)
  if not stop then return #bytes + 1 end
  self.state = bytes:byte(stop) == 27 and "string escape" or "text"
  return stop + 1
end

STATES["string escape"] = function(self, bytes, at)
  self.state = "text"
  if bytes:sub(at, at) == "\\" then return at + 1 end
  return STATES.escape(self, bytes, at)
end

--- Takes what the program printed, in pieces of any size.
---@param bytes string
function Modes:feed(bytes)
  local at = 1
  while at <= #bytes do at = STATES[self.state](self, bytes, at) end
end

local function undo(number)
  return ("\27[?%d%s"):format(number, DEFAULTS[number])
end

--- What puts the terminal back: nothing when the program has.
---@return string
function Modes:undo()
  local parts, numbers = {}, {}
  -- What was begun and not ended would swallow the rest.
  if self.state ~= "text" then parts[1] = "\24" end
  if self.is_coloured then parts[#parts + 1] = "\27[0m" end
  if self.region then parts[#parts + 1] = "\0277\27[r\0278" end
  if self.is_keypad then parts[#parts + 1] = "\27>" end
  for number in pairs(self.changed) do
    if not IS_ALTERNATE[number] then numbers[#numbers + 1] = number end
  end
  table.sort(numbers)
  for _, number in ipairs(ALTERNATE) do
    if self.changed[number] then numbers[#numbers + 1] = number end
  end
  for _, number in ipairs(numbers) do parts[#parts + 1] = undo(number) end
  return table.concat(parts)
end

return modes
