-- A box of any size: what there is no memory for fails, and nothing else happens.
local core = require "axosandbox.core"

local FILE = [[local words = part "words"
local function deep(n) if n == 0 then return "end" end return (deep(n - 1)) end
return function(request, default)
  local decision = default { argv = { words, "b", { 1.5, true } }, n = #request.argv }
  local text = table.concat({ deep(20), ("x"):rep(100), ("%5d"):format(7) }, ",")
  for word in text:gmatch "%w+" do decision[#decision + 1] = word:upper() end
  table.sort(decision)
  return decision
end]]

local function box_of(memory)
  return core.box {
    memory = memory, instructions = 100000, time = 10000, loading_time = 10000, depth = 16,
    values = 1000,
  }
end

-- The same function is the next one, too, and beneath that there is a table.
local function next_of(box, reference)
  return function(layer, asked)
    assert(asked.argv[1] == "words" and asked.argv[3][2] == true)
    if layer == 2 then return { asked.argv[1] .. "!", "z" } end
    return box:ask(reference, 2, { argv = {} }, next_of(box, reference), false)
  end
end

--- true when all went well, else what went wrong.
local function outcome(memory)
  local made, box = pcall(box_of, memory)
  if not made then return box end
  local function part(name) return ("return %q"):format(name), "@/part.lua" end
  local reference, line = box:load(FILE, "@/file.lua", part)
  if not reference then return line.message end
  local answer, failure
  for _ = 1, 3 do
    local request = { argv = { "a", ("b"):rep(60) } }
    answer, failure = box:ask(reference, 1, request, next_of(box, reference), true)
    if not answer then return failure.message end
  end
  assert.same({ 8, "7", "END", "z" }, { #answer, answer[1], answer[3], answer[8] })
  return true
end

describe("a box", function()
  it("of any size has what it needs, or fails for want of memory", function()
    local least
    for memory = 300, 200000, 211 do
      local what = outcome(memory)
      if what == true then
        least = least or memory
      else
        local said = what:find("memory", 1, true) or what:find("stack", 1, true)
        assert.is_truthy(said, ("%d: %s"):format(memory, what))
      end
    end
    assert.is_truthy(least)
  end)
end)
