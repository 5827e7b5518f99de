--- What came of the clients of spec/e2e/names_matrix_spec.lua, as a table of Markdown.
local temp = require "spec.support.temp"

local clients_table = {}

local MARK = "<!-- clients -->\n"
local HEAD = "| client | transport | allowed | a name that is not | a port that is not |\n"
  .. "|---|---|---|---|---|\n"
-- Characters of a cell, and of those what comes before what it says.
local LONGEST, BEFORE = 110, 60

local function in_cell(words)
  local from = #words.text > LONGEST and math.max(1, words.at - BEFORE) or 1
  local text = words.text:sub(from, from + LONGEST):gsub("|", "\\|"):gsub("[`%c]", " ")
  return text:match "^%s*(.-)%s*$" -- linear: within LONGEST
end

local function refusal(it)
  local words = it.words and ("`%s`"):format(in_cell(it.words)) or "nothing"
  return ("%.2f s: %s"):format(it.seconds, words)
end

local function line(row)
  local name = row.client.name
  if row.client.retries then name = ("%s `%s`"):format(name, row.client.retries) end
  return ("| %s | %s | %.2f s | %s | %s |\n"):format(name, row.client.transport, row.seconds,
    refusal(row.name), refusal(row.port))
end

--- Puts the table in the place of what is between two lines that mark it.
---@param path string
---@param rows { client: spec.Client, seconds: number, name: table, port: table }[]
function clients_table.write(path, rows)
  local lines = {}
  for i, row in ipairs(rows) do lines[i] = line(row) end
  local text = assert(temp.read(path), path)
  local first, behind = text:find(MARK, 1, true)
  local last = text:find(MARK, (behind or 0) + 1, true)
  assert(first and last, path .. " has no two lines " .. MARK)
  temp.write(path, text:sub(1, behind) .. HEAD .. table.concat(lines) .. text:sub(last))
end

return clients_table
