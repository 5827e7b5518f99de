--- `--learn`: lets a session reach every name, and tells at the end which it used.
local axo = require "axosandbox"
local cli = require "axolua.cli"

local learn = {}

-- Names and ports that are told.
local MOST = 256

---@class cli.Learnt
---@field private order string[] as `allow` writes them
local Learnt = {}
Learnt.__index = Learnt

--- Puts it into a start's options: a network by names, of which all count as listed, but where the
--- sandbox policy chose the list itself. Policy's egress.lua still decides.
---@param options axo.StartOptions
---@return cli.Learnt
function learn.begin(options)
  local self = setmetatable({ order = {}, seen = {}, left_out = 0 }, Learnt)
  options.policy.network = options.policy.network or { allow = {} }
  options.policy.egress = function(request, default)
    if not request.fixed and not request.is_address then
      request.listed = request.listed or request.name
    end
    local decision = default(request)
    -- Not what was refused: who pastes the list would allow that.
    if request.op == "connect" and type(decision) == "table" and decision.allow then
      self:note(request.name, request.port)
    end
    return decision
  end
  return self
end

local function entry(name, port)
  return axo.text.with_port(name, port ~= 443 and port ~= 80 and port or nil)
end

---@param name string
---@param port integer
function Learnt:note(name, port)
  local word = entry(name, port)
  if self.seen[word] then return end
  if #self.order >= MOST then
    self.left_out = self.left_out + 1
    return
  end
  self.seen[word] = true
  self.order[#self.order + 1] = word
end

local FILE = [[
-- sandbox.lua: `axolua help policy-files` says where it belongs
return function(request, default)
  local decision = default(request)
  decision.network = { allow = {
    %s
  } }
  return decision
end
]]

--- What was used, as options and as a policy file.
---@return string? text nil when nothing was
function Learnt:text()
  if not self.order[1] then return nil end
  local names = table.move(self.order, 1, #self.order, 1, {})
  table.sort(names)
  local quoted = {}
  for i, name in ipairs(names) do quoted[i] = ('"%s",'):format(name) end
  return ("--allow %s\n\n"):format(table.concat(names, " --allow "))
    .. FILE:format((table.concat(quoted, "\n    "):gsub("%%", "%%%%")))
end

--- Says it on stderr.
function Learnt:tell()
  local words = self:text()
  if not words then return cli.say "--learn: nothing of the network was used" end
  cli.say(("--learn: what was used of the network, as options and as a policy file:\n\n%s"):format(
    words))
  if self.left_out > 0 then
    cli.say(("--learn: %d more names and ports are left out"):format(self.left_out))
  end
end

return learn
