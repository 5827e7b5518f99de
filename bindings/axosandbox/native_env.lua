--- The environment of a piece of work, as the guest takes it.
local environment = {}

--- Variables as "K=V", sorted.
---@param env table<string, string>?
---@return string[]
function environment.list(env)
  local list = {}
  for name, value in pairs(env or {}) do list[#list + 1] = name .. "=" .. value end
  table.sort(list)
  return list
end

return environment
