--- What benchmarks share: measuring by turns, and a table of ratios held to goals.
local uv = require "luv"

local measure = {}

local missed = {}

---@return number milliseconds, any result
function measure.timed(fn)
  local before = uv.hrtime()
  local result = fn()
  return (uv.hrtime() - before) / 1e6, result
end

---@param samples number[]
---@param part number 0.5 is the median
---@return number
function measure.percentile(samples, part)
  local sorted = table.move(samples, 1, #samples, 1, {})
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(#sorted * part))]
end

--- Two measurements by turns, so that what disturbs the machine disturbs both.
---@return number[] ours, number[] theirs
function measure.alternate(count, engine, bare)
  local ours, theirs = {}, {}
  engine()
  bare()
  for i = 1, count do
    if i % 2 == 0 then
      ours[#ours + 1] = engine()
      theirs[#theirs + 1] = bare()
    else
      theirs[#theirs + 1] = bare()
      ours[#ours + 1] = engine()
    end
  end
  return ours, theirs
end

local function row(...)
  print(("%-36s %12s %12s %12s %12s %9s  %s"):format(...))
end

function measure.head()
  row("", "ours p50", "p99", "other p50", "p99", "ratio", "")
end

local function judge(name, sign, goal, met)
  if not met then missed[#missed + 1] = name end
  return ("goal %s %g: %s"):format(sign, goal, met and "met" or "MISSED")
end

local function figures(name, ours, theirs, unit, ratio, verdict)
  local function show(samples, part)
    return ("%.4g %s"):format(measure.percentile(samples, part), unit)
  end
  row(name, show(ours, 0.5), show(ours, 0.99), show(theirs, 0.5), show(theirs, 0.99),
    ("%.2f"):format(ratio), verdict)
end

local function ratio_of(ours, theirs)
  return measure.percentile(ours, 0.5) / measure.percentile(theirs, 0.5)
end

--- Times in milliseconds: the ratio of the medians is at most `goal`.
function measure.at_most(name, ours, theirs, goal)
  local ratio = ratio_of(ours, theirs)
  figures(name, ours, theirs, "ms", ratio, judge(name, "<=", goal, ratio <= goal))
end

--- Times in milliseconds: the ratio of the medians is at least `goal`.
function measure.at_least(name, ours, theirs, goal)
  local ratio = ratio_of(ours, theirs)
  figures(name, ours, theirs, "ms", ratio, judge(name, ">=", goal, ratio >= goal))
end

--- Rates: ours is at least `goal` times theirs.
function measure.rate(name, ours, theirs, goal, unit)
  local ratio = ratio_of(ours, theirs)
  figures(name, ours, theirs, unit, ratio, judge(name, ">=", goal, ratio >= goal))
end

--- One figure that is at most `goal`.
function measure.value(name, value, goal, unit)
  row(name, ("%.4g %s"):format(value, unit), "", "", "", "", judge(name, "<=", goal, value <= goal))
end

---@return boolean met every goal
function measure.verdict()
  print(#missed == 0 and "\nevery goal was met" or "\nMISSED: " .. table.concat(missed, "; "))
  return #missed == 0
end

return measure
