--- Asks whoever started a session, where policy says that somebody must be asked.
local audit = require "axosandbox.audit"
local await = require "axosandbox.base.await"

local confirm = {}

-- Seconds; then the answer is no.
local PATIENCE = 300

---@class axo.Question
---@field op string "post_create", or the event of a devcontainer.json
---@field commands string[] what would run
---@field id string of the session
---@field dir string

local function take_back(stop)
  if type(stop) == "function" then await.protect(stop) end
end

local function wait_for_answer(asker, question, done)
  local stop, over, forget_deadline
  local function finish(agreed, why)
    if over then return end
    over = true
    forget_deadline()
    done(nil, { agreed = agreed, why = why })
  end
  local function give_up(why)
    if over then return end
    take_back(stop)
    finish(false, why)
  end
  forget_deadline = await.after(PATIENCE, function()
    give_up(("nobody answered in %d s"):format(PATIENCE))
  end)
  asker.current = { cancel = function() give_up "the start was cancelled" end }
  local called = await.protect(function()
    stop = asker.asked.confirm(question, function(agreed)
      finish(agreed == true, "the answer was no")
    end)
  end)
  if not called then finish(false, "asking failed") end
  -- Cancelled before it had returned.
  if asker.cancelled then take_back(stop) end
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
