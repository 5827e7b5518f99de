--- Batches: several messages in one line, answered in one. One revision of the protocol has them.
local eras = require "axolua.mcp.protocol.eras"
local json = require("axosandbox").json
local jsonrpc = require "axolua.mcp.protocol.jsonrpc"

local batch = {}

local MAX = 64

local function problem_with(server, messages)
  if server.version ~= eras.WITH_BATCHES then
    return "a message must be a JSON object: batches are not part of this protocol version"
  end
  if #messages > MAX then
    return ("a batch of %d messages is too long: %d are the limit"):format(#messages, MAX)
  end
end

--- Deals with the messages of a batch; the answers go out together, once all are there.
---@param server mcp.Server
---@param messages table[]
---@param size integer bytes
function batch.dispatch(server, messages, size)
  local problem = problem_with(server, messages)
  if problem then
    return server:post(jsonrpc.error(nil, jsonrpc.INVALID_REQUEST, problem))
  end
  local answers, left = json.array {}, #messages
  for _, message in ipairs(messages) do
    server:dispatch(message, size // #messages, function(answer)
      answers[#answers + 1] = answer
      left = left - 1
      if left == 0 and #answers > 0 then server:post(answers) end
    end)
  end
end

return batch
