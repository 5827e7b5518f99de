--- The environment of a piece of work, as the guest takes it.
local environment = {}

--- Variables as "K=V", sorted.
---@param env table<string, string>?
---@param secrets axo.Secrets? `env` goes before them
---@return string[]? # nil when there are none
function environment.list(env, secrets)
  if not env and not secrets then return nil end
  local list = {}
  for name, value in pairs(env or {}) do list[#list + 1] = name .. "=" .. value end
  for name, value in pairs(secrets and secrets.values or {}) do
    if not (env and env[name]) then list[#list + 1] = name .. "=" .. value end
  end
  table.sort(list)
  return list
end

return environment
