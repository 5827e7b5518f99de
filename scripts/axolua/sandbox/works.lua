--- The tasks and terminals of a session that a command line names.
local works = {}

local function all(sb)
  local list = sb:list_tasks()
  return table.move(sb:list_terminals(), 1, #sb:list_terminals(), #list + 1, list)
end

local function failure(message, hint)
  return nil, { code = "NOT_FOUND", message = message, hint = hint }
end

-- The one that there is, or the one that runs.
local function only(sb)
  local list, running = all(sb), {}
  for _, work in ipairs(list) do
    if work:status() == "running" then running[#running + 1] = work end
  end
  if #list == 1 then return list[1] end
  if #running == 1 then return running[1] end
  if not list[1] then
    return failure(("nothing was started in the background of the session %s"):format(sb:id()),
      ("axolua exec -d %s COMMAND starts a task"):format(sb:id()))
  end
  local names = {}
  for i, work in ipairs(running[1] and running or list) do names[i] = work.id end
  return failure(("which task of the session %s? there are %s"):format(sb:id(),
    table.concat(names, ", ")), "axolua ps --tasks says what they are")
end

--- A task or a terminal of a session.
---@param sb axo.Session
---@param name string? nil: the only one, or the only one that runs
---@return axo.Task|axo.Terminal|nil work, axo.Error|table|nil err
function works.find(sb, name)
  if not name then return only(sb) end
  local task, err = sb:get_task(name)
  local work = task or sb:get_terminal(name)
  if work then return work end
  err.hint = err.hint or "axolua ps --tasks lists them"
  return nil, err
end

return works
