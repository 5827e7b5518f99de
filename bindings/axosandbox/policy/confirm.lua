--- Asks the person who started a session a question, by the `confirm` of axo.start. Nobody to ask,
--- no answer and an error are a no.
local await = require "axosandbox.base.await"

local confirm = {}

-- Seconds; then the answer is no.
local PATIENCE = 300

local function take_back(stop)
  if type(stop) == "function" then await.protect(stop) end
end

--- Puts a question.
---@param ask fun(question: axo.Question, answer: fun(agreed: boolean)): (fun())?
---@param question axo.Question
---@param done fun(err: nil, answer: { agreed: boolean, why: string }) once; perhaps before this has returned
---@param hold (fun(handle: { cancel: fun() }))? gets what takes the question back, before it is put
function confirm.put(ask, question, done, hold)
  local stop, over, forget_deadline
  local is_cancelled = false
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
  if hold then
    hold { cancel = function()
      is_cancelled = true
      give_up "the start was cancelled"
    end }
  end
  local called = await.protect(function()
    stop = ask(question, function(agreed) finish(agreed == true, "the answer was no") end)
  end)
  if not called then finish(false, "asking failed") end
  -- Cancelled before it had returned.
  if is_cancelled then take_back(stop) end
end

return confirm
