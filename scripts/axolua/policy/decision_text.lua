--- Decisions of policy as text: a line for each key, and what the shipped policy has there.
local text = require "axolua.view.text"

local decision_text = {}

local WIDTH = 96

local function flatten(value, prefix, out)
  for key, item in pairs(value) do
    local name = prefix .. (prefix == "" and "" or ".") .. tostring(key)
    if type(item) == "table" and #item == 0 then
      flatten(item, name, out)
    elseif type(item) == "table" then
      out[name] = table.concat(item, "; ")
    else
      out[name] = tostring(item)
    end
  end
  return out
end

-- A refusal has no other keys to miss.
local function keys_of(now, before)
  local keys = {}
  for key in pairs(now) do keys[#keys + 1] = key end
  for key in pairs(before) do
    if now[key] == nil and not now.deny then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

--- The lines of a decision.
---@param decision table
---@param shipped table? what the shipped policy decides
---@param opts { indent: integer, only_changes: boolean? }
---@return string
function decision_text.lines(decision, shipped, opts)
  local now, before = flatten(decision, "", {}), flatten(shipped or {}, "", {})
  local lines = {}
  for _, key in ipairs(keys_of(now, before)) do
    local was = before[key]
    local note = was ~= now[key] and ("   (shipped: %s)"):format(was or "not set") or ""
    if note ~= "" or not opts.only_changes then
      local head = ("%s%-24s "):format((" "):rep(opts.indent), key)
      lines[#lines + 1] = head
        .. text.wrapped(text.visible((now[key] or "not set") .. note), #head, WIDTH) .. "\n"
    end
  end
  return table.concat(lines)
end

return decision_text
