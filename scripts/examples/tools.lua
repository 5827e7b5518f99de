--- axolua tools.lua DIR: the loop of an agent. Each line on stdin is a request in JSON, such as
--- {"tool":"bash","command":"ls"} or {"tool":"read","path":"README.md"}; each gets a line on stdout.
local axo = require "axosandbox"
local cjson = require "cjson"

local sb <close> = assert(axo.start {
  id = "example-tools-" .. os.time(), dir = arg[1], policy = { network = "none" },
})

local tools = {}

function tools.bash(request)
  local r, err = sb:exec({ "sh", "-c", request.command }, { timeout = 30 })
  return r and { output = r.stdout .. r.stderr, code = r.code }, err
end

function tools.read(request)
  local text, err = sb:read_file(request.path, { encoding = "auto" })
  return text and { text = text }, err
end

function tools.edit(request)
  local count, err = sb:edit_file(request.path, request.old, request.new)
  return count and { replaced = count }, err
end

for line in io.lines() do
  local request = cjson.decode(line)
  local answer, err = tools[request.tool](request)
  print(axo.json.encode(answer or { error = err.message, code = err.code }))
end
