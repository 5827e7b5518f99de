--- What "@node" and the like stand for: policy's names.lua says it.
local allow = require "axosandbox.policy.allow"
local errors = require "axosandbox.base.errors"

local lists = {}

local function empty(set, list)
  errors.raise {
    code = "POLICY", op = "start",
    message = ("the list @%s has no names (%s)"):format(list, set:source "names"),
    hint = ("say what it stands for: a names.lua in ~/.config/axosandbox/policy with "
      .. "`return function(request, default) if request.list == %q then return { names = { "
      .. "\"name.of.your.mirror\" } } end return default(request) end`, or write the names "
      .. "themselves"):format(list),
  }
end

--- The entries with what their lists stand for in the lists' place. Raises "POLICY" for a list
--- that is empty or unknown.
---@param set axo.Policy
---@param texts string[] checked
---@return string[] # in their one form, without lists
function lists.expand(set, texts)
  local all = {}
  for _, text in ipairs(texts) do
    local entry = assert(allow.parse(text))
    if entry.list then
      local decision = errors.must(set:decide("names", { list = entry.list }))
      if not decision.names[1] then empty(set, entry.list) end
      table.move(decision.names, 1, #decision.names, #all + 1, all)
    else
      all[#all + 1] = text
    end
  end
  local problem = allow.check(all)
  if problem then
    errors.raise { code = "POLICY", op = "start", message = "network.allow: " .. problem }
  end
  return allow.normalise(all)
end

return lists
