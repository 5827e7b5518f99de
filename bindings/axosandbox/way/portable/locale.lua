--- A UTF-8 locale for commands whose container names none: without one they take names and text
--- for ASCII. musl has C.UTF-8, and so does glibc (2.35 and later, Debian's also before). On the
--- native way the guest gives it (core/guest/spawn.c).
local host = require "axosandbox.host"
local tables = require "axosandbox.base.tables"

local locale = {}

local NAMES = { "LANG", "LC_ALL", "LC_CTYPE" }
local ALONE, NONE = { LANG = "C.UTF-8" }, {}

-- The variables of a container are those of its first process.
local function lacks_one(pid)
  local text = pid and host.read_file(("/proc/%d/environ"):format(pid))
  if not text or text == "" then return false end -- not known: then it stays as it is
  text = "\0" .. text
  for _, name in ipairs(NAMES) do
    if text:find("\0" .. name .. "=", 1, true) then return false end
  end
  return true
end

local function names_one(env)
  return env.LANG or env.LC_ALL or env.LC_CTYPE
end

--- The environment of a command, with a locale where nobody has named one.
---@param env table<string, string>? stays as it is
---@param record axo.Record
---@return table<string, string>
function locale.with_default(env, record)
  if record.lacks_locale == nil then record.lacks_locale = lacks_one(record.pid) end
  if not record.lacks_locale or env and names_one(env) then return env or NONE end
  if record.secrets and names_one(record.secrets.values) then return env or NONE end
  return env and tables.merged(ALONE, env) or ALONE
end

return locale
