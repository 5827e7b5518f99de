--- Asks whoever started a session, where policy says that somebody must be asked.
local audit = require "axosandbox.audit"
local ask = require "axosandbox.policy.confirm"
local await = require "axosandbox.base.await"

local confirm = {}

---@class axo.Question
---@field op string "post_create", the event of a devcontainer.json, or "network"
---@field commands string[] what would run; none of "network"
---@field name string? of "network": what is reached for
---@field port integer?
---@field id string of the session
---@field dir string

local function wait_for_answer(asker, question, done)
  ask.put(asker.asked.confirm, question, done, function(handle) asker.current = handle end)
  return true
end

--- Asks, in the start's coroutine. Nobody to ask, no answer and an error are a no, which is
--- said in a warning.
---@param asker axo.Start|axo.Entry
---@param question { op: string, commands: string[] }
---@return boolean agreed
function confirm.ask(asker, question)
  if #question.commands == 0 then return false end
  question.id, question.dir = asker.id, asker.asked.dir
  local answer = { agreed = false, why = "nobody can be asked" }
  if asker.asked.confirm then
    answer = asker:off_the_clock(function()
      return await.call(function(done) return wait_for_answer(asker, question, done) end)
    end)
    asker.current = nil
  end
  audit.emit("confirm", asker.id, {
    op = question.op, commands = question.commands, agreed = answer.agreed,
  })
  if not answer.agreed then
    asker:warn(("%s did not run, because policy asks first and %s"):format(
      table.concat(question.commands, "; "), answer.why))
  end
  return answer.agreed
end

return confirm
