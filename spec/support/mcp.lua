--- A raw client of `axolua mcp`: it may say anything, and looks at every line that comes back.
local cjson = require "cjson"
local cli = require "spec.support.cli"
local proc = require "spec.support.proc"

local mcp = {}

---@class mcp.Client
---@field process table
---@field replies table[] what came back, in order
local Client = {}
Client.__index = Client

--- What a request of the modern era carries.
---@param version string?
---@return table
function mcp.meta(version)
  return {
    ["io.modelcontextprotocol/protocolVersion"] = version or "2026-07-28",
    ["io.modelcontextprotocol/clientCapabilities"] = {},
  }
end

--- Starts a server.
---@param arguments string[] after "mcp"
---@param opts { env: table?, raw: boolean? }? raw: its output is left alone
---@return mcp.Client
function mcp.start(arguments, opts)
  opts = opts or {}
  local argv = { cli.axolua(), "mcp", table.unpack(arguments) }
  local self = setmetatable({ read = 0, replies = {}, last_id = 0 }, Client)
  self.process = proc.start(argv, { env = proc.environment(opts.env), stdin = true })
  return self
end

--- A server that can start no container: for what needs none.
---@param dir string a directory without programs
---@return mcp.Client
function mcp.without_podman(dir)
  return mcp.start({ "--dir", dir, "--quiet" }, { env = { PATH = dir } })
end

--- Writes bytes as they are.
---@param bytes string
function Client:write(bytes)
  self.process:write(bytes)
end

--- Sends one message.
---@param message table
function Client:send(message)
  self:write(cjson.encode(message) .. "\n")
end

--- Sends a request; returns its id.
---@return integer id
function Client:request(method, params, id)
  self.last_id = self.last_id + 1
  id = id or self.last_id
  self:send { jsonrpc = "2.0", id = id, method = method, params = params }
  return id
end

function Client:notify(method, params)
  self:send { jsonrpc = "2.0", method = method, params = params }
end

local function take_lines(self)
  local output = self.process:stdout()
  while true do
    local stop = output:find("\n", self.read + 1, true)
    if not stop then return end
    local line = output:sub(self.read + 1, stop - 1)
    self.read = stop
    local reply = cjson.decode(line)
    assert(reply.jsonrpc == "2.0" or reply[1], "not a message: " .. line)
    self.replies[#self.replies + 1] = reply
  end
end

--- Waits for the first message that fits, and returns it.
---@param fits fun(reply: table): boolean
---@param what string
---@return table reply
function Client:expect(fits, what)
  return proc.eventually(function()
    take_lines(self)
    for i, reply in ipairs(self.replies) do
      if fits(reply) then return table.remove(self.replies, i) end
    end
    if not self.process:is_running() and self.process.streams == 0 then
      error("the server ended: " .. self.process:stderr())
    end
  end, what)
end

--- The answer to a request.
---@param id string|integer
---@return table reply
function Client:answer(id)
  return self:expect(function(reply) return reply.id == id end, ("the answer to %s"):format(id))
end

--- The next error that belongs to no request.
---@return table error
function Client:stray_error()
  return self:expect(function(reply)
    return reply.error ~= nil and reply.id == nil
  end, "an error without an id").error
end

--- Asks and waits.
---@return table reply
function Client:ask(method, params, id)
  return self:answer(self:request(method, params, id))
end

--- Opens as the clients of earlier revisions do.
---@return table result
function Client:initialize(version)
  local reply = self:ask("initialize", {
    protocolVersion = version or "2025-11-25", capabilities = {},
    clientInfo = { name = "axotest", version = "1" },
  })
  self:notify "notifications/initialized"
  return reply.result
end

--- Calls a tool: its text, and whether it failed.
---@return string text, boolean is_error
function Client:call(tool, arguments)
  return mcp.text(self:ask("tools/call", { name = tool, arguments = arguments }).result)
end

--- The text of a tool's result.
---@return string text, boolean is_error
function mcp.text(result)
  local parts = {}
  for _, block in ipairs(result.content) do parts[#parts + 1] = block.text end
  return table.concat(parts, "\n"), result.isError
end

--- True while it answers.
function Client:is_well()
  return self:ask("ping").result ~= nil
end

--- Closes its stdin and waits for its end.
---@return { code: integer, signal: integer, stdout: string, stderr: string }
function Client:finish()
  self.process:close_stdin()
  return self.process:wait()
end

--- Ends it if a test left it running.
function Client:kill()
  self.process:close_stdin()
  self.process:kill()
  self.process:wait(true)
end

return mcp
