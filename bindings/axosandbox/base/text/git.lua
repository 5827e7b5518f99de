--- git in a session: it refuses a repository that belongs to somebody else, as the session's
--- directory often does for the container's users. It is told so by variables, in nobody's
--- configuration.
local tables = require "axosandbox.base.tables"

local git = {}

--- Variables that make git take repositories in these directories, beside what is configured by
--- variables already.
---@param env table<string, string>? stays as it is
---@param dirs string[]
---@return table<string, string>
function git.trusting(env, dirs)
  local merged = tables.merged(env)
  local count = math.tointeger(tonumber(merged.GIT_CONFIG_COUNT or "0"))
  if not count or count < 0 or count > 1000 then return merged end
  local function add(value)
    merged["GIT_CONFIG_KEY_" .. count] = "safe.directory"
    merged["GIT_CONFIG_VALUE_" .. count] = value
    count = count + 1
  end
  for _, dir in ipairs(dirs) do
    add(dir)
    add((dir:gsub("/$", "")) .. "/*") -- what is beneath: git 2.46 and later
  end
  merged.GIT_CONFIG_COUNT = ("%d"):format(count)
  return merged
end

return git
