--- axolua run.lua DIR COMMAND [ARGS...]: runs a command in a box without a network, a minute at most,
--- and exits as it did.
local axo = require "axosandbox"

local function run(dir, argv)
  local sb <close> = assert(axo.start {
    id = "example-run-" .. os.time(), dir = dir, policy = { network = "none" },
  })
  return assert(sb:exec(argv, {
    timeout = 60,
    on_stdout = function(bytes) io.write(bytes) end,
    on_stderr = function(bytes) io.stderr:write(bytes) end,
  }))
end

local result = run(arg[1], table.move(arg, 2, #arg, 1, {}))
io.stderr:write(tostring(result), "\n")
os.exit(result.code or 1)
