--- The signals of Linux by name. What runs in a container runs on Linux, whatever the host is.
local signals = {}

local NAMES = {
  "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
  "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
  "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
}

local NUMBERS = {}
for number, name in ipairs(NAMES) do NUMBERS[name] = number end

--- The signal that an exit code of 128+n stands for; nil for any other code.
---@param code integer?
---@return string? name without "SIG"
function signals.of_code(code)
  return code and code > 128 and NAMES[code - 128] or nil
end

--- The exit code by which shells, and podman, report a death by signal.
---@param name string without "SIG"
---@return integer? code nil for a signal without a name here
function signals.code_of(name)
  local number = NUMBERS[name] or math.tointeger(tonumber(name))
  return number and 128 + number
end

--- Normalises what people write: "SIGINT", "int" and 2 are "INT". Anything else raises.
---@param signal string|integer
---@param level integer whose mistake it is, as in `error`
---@return string name
function signals.name(signal, level)
  local name = NAMES[signal]
  if type(signal) == "string" then
    name = signal:upper():gsub("^SIG", "")
    if not NUMBERS[name] then name = nil end
  end
  if not name then
    error(("axosandbox: %q is not the name of a signal"):format(tostring(signal)), level + 1)
  end
  return name
end

return signals
