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

local function wait_for_answer(job, question, done)
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
  job.current = { cancel = function() give_up "the start was cancelled" end }
  local called = await.protect(function()
    stop = job.asked.confirm(question, function(agreed)
      finish(agreed == true, "the answer was no")
    end)
  end)
  if not called then finish(false, "asking failed") end
  -- Cancelled before it had returned.
  if job.cancelled then take_back(stop) end
  return true
end

--- Asks, in the start's coroutine. Nobody to ask, no answer and an error are a no, which is
--- said in a warning.
---@param job axo.Job
---@param question { op: string, commands: string[] }
---@return boolean agreed
function confirm.ask(job, question)
  if #question.commands == 0 then return false end
  question.id, question.dir = job.id, job.asked.dir
  local answer = { agreed = false, why = "nobody can be asked" }
  if job.asked.confirm then
    answer = job:off_the_clock(function()
      return await.call(function(done) return wait_for_answer(job, question, done) end)
    end)
    job.current = nil
  end
  audit.emit("confirm", job.id, {
    op = question.op, commands = question.commands, agreed = answer.agreed,
  })
  if not answer.agreed then
    job:warn(("%s did not run, because policy asks first and %s"):format(
      table.concat(question.commands, "; "), answer.why))
  end
  return answer.agreed
end

return confirm
