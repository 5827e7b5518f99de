--- A busted output handler for scripts/test: failures in full, and the counts as numbers in
--- the file that $AXO_REPORT names, written only when the runner reached its end.
local pretty = require "pl.pretty"

local function text_of(message)
  if message == nil then return "nil error" end
  if type(message) == "string" then return message end
  return pretty.write(message)
end

local function indented(text)
  return "    " .. text:gsub("\n", "\n    ")
end

local function show(kind, report)
  local trace = report.trace or {}
  local where = report.element and report.element.trace or {}
  print(("  %s  %s"):format(kind, report.name))
  if where.short_src then
    print(("    at %s:%s"):format(where.short_src, where.currentline))
  end
  print(indented(text_of(report.message)))
  if kind == "ERROR" and trace.traceback then
    print(indented((trace.traceback:gsub("^\n", ""))))
  end
  io.flush()
end

local function write_counts(handler)
  local file = assert(io.open(assert(os.getenv "AXO_REPORT", "AXO_REPORT is not set"), "w"))
  assert(file:write(("%d %d %d\n"):format(
    handler.successesCount, handler.failuresCount + handler.errorsCount,
    handler.pendingsCount)))
  assert(file:close())
end

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()

  local function test_end(_, _, status)
    if status == "failure" then show("FAILED", handler.failures[#handler.failures]) end
    if status == "error" then show("ERROR", handler.errors[#handler.errors]) end
    if status == "pending" then
      local pending = handler.pendings[#handler.pendings]
      print(("  skipped  %s%s"):format(pending.name,
        pending.message and ": " .. text_of(pending.message) or ""))
    end
    return nil, true
  end

  local function outside_error(element)
    if element.descriptor ~= "it" then show("ERROR", handler.errors[#handler.errors]) end
    return nil, true
  end

  local function suite_end()
    write_counts(handler)
    return nil, true
  end

  busted.subscribe({ "test", "end" }, test_end)
  busted.subscribe({ "error" }, outside_error)
  busted.subscribe({ "failure" }, outside_error)
  busted.subscribe({ "suite", "end" }, suite_end)
  return handler
end
