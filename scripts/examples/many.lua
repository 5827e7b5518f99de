--- axolua many.lua DIR...: counts the lines of the files in several directories, each in a box of its
--- own, two at a time.
local axo = require "axosandbox"

local lines = {}
axo.async.each(arg, 2, function(dir)
  local sb <close> = assert(axo.start {
    id = ("example-many-%d-%s"):format(os.time(), dir:match "[%w_.-]*$"), dir = dir,
    policy = { network = "none", limits = { memory = "256m" } },
  })
  local r = assert(sb:exec { "sh", "-c", "find . -type f | xargs cat | wc -l" })
  lines[dir] = tonumber(r.stdout)
end)
for _, dir in ipairs(arg) do print(dir, lines[dir] or "failed") end
