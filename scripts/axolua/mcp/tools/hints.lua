--- MCP's annotations: what a tool does to the world.
local hints = {}

hints.READS = { readOnlyHint = true, openWorldHint = false }
hints.RUNS = {
  readOnlyHint = false, destructiveHint = true, idempotentHint = false, openWorldHint = true,
}
hints.CHANGES = {
  readOnlyHint = false, destructiveHint = true, idempotentHint = false, openWorldHint = false,
}
-- Done again, it changes no more.
hints.SETTLES = {
  readOnlyHint = false, destructiveHint = true, idempotentHint = true, openWorldHint = false,
}

return hints
