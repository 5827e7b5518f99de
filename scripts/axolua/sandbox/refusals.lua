--- What the network policy refused to a command: in words for a person, and for an agent.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local text = require "axolua.view.text"

local refusals = {}

-- More are counted.
local MOST_SHOWN = 8

local function target_of(it)
  return text.visible(axo.text.with_port(it.name, it.port))
end

local function each(list, visit)
  for i = 1, math.min(#list, MOST_SHOWN) do visit(list[i], target_of(list[i])) end
  if #list > MOST_SHOWN then visit(nil, nil, #list - MOST_SHOWN) end
end

--- Says it on stderr, a line for each.
---@param list axo.Denial[]?
function refusals.say(list)
  each(list or {}, function(it, target, more)
    if not it then return cli.say(("and %d more; axolua network ID lists all"):format(more)) end
    cli.say(("the network policy refused %s (%s): %s; to allow it: --allow %s"):format(
      target, text.visible(it.by), text.visible(it.reason), target))
  end)
end

--- A note for an agent, worded so that it stops trying; nil when nothing was refused.
---@param list axo.Denial[]?
---@return string?
function refusals.note(list)
  if not list or not list[1] then return nil end
  local parts, allow = {}, {}
  each(list, function(it, target, more)
    if not it then
      parts[#parts + 1] = ("and %d more"):format(more)
      return
    end
    parts[#parts + 1] = ("%s (by %s: %s)"):format(target, text.visible(it.by),
      text.visible(it.reason))
    allow[#allow + 1] = "--allow " .. target
  end)
  return ("the network policy of this sandbox refused: %s. This is no fault of the network: do "
    .. "not try again, nor by another address, mirror or proxy. Go on without it, or tell the "
    .. "user, who can start `axolua mcp` with %s"):format(
    table.concat(parts, "; "), table.concat(allow, " "))
end

return refusals
