--- Reads what podman prints on stderr. Its words come from many programs (podman, conmon, crun,
--- runc, netavark, pasta, a registry ...), each with its own manner of logging. What they mean is
--- policy's to say (policy/retry/rules.lua), and core.podman.judge's of a `podman exec`.
local last_line = require "axosandbox.base.text.last_line"
local unseen = require "axosandbox.base.text.unseen"

local complaint = {}

-- The cause is near the end.
local MAX_LINES, MAX_BYTES = 300, 64 * 1024
local MAX_CAUSE = 1000

-- Lines of progress, and advice; they say nothing about a failure.
local PROGRESS = {
  "^Trying to pull ", "^Getting image source", "^Copying ", "^Writing manifest",
  "^Storing signatures", "^Resolv[a-z]+ ", "^Checking if image destination", "^Retrying ",
}

local LEVELS = {
  WARN = "warning", INFO = "info", DEBU = "info", TRAC = "info", warn = "warning",
  warning = "warning", info = "info", debug = "info", trace = "info", notice = "info",
}

local function is_progress(line)
  for _, pattern in ipairs(PROGRESS) do
    if line:find(pattern) then return true end
  end
  return false
end

-- A line of podman's own log, as it goes to a file and to a terminal.
local function logged(line)
  local level, text = line:match '^time="[^"]*" level=(%a+) msg="(.*)"'
  if level then return level, text end
  return line:match "^(%u%u%u%u)%[%d+%]%s*(.*)$"
end

-- The level of a line and what it says, for the three ways in which programs log.
local function read_line(line)
  local level, text = logged(line)
  if not level and line:find '^{"' then
    local _, before = line:find('"msg":"', 1, true)
    local after = before and line:find('","', before + 1, true)
    text = after and line:sub(before + 1, after - 1)
    level = line:match '"level":"(%a+)"'
  end
  if level and text then
    -- What podman got over does not say why it gave up.
    if text:find "^Failed, retrying in " then return "info", text end
    return LEVELS[level] or "error", (text:gsub('\\(["\\])', "%1"))
  end
  text = line:match "^Error: (.*)$"
  if text then return "cause", text end
  if is_progress(line) then return "info", line end
  return "plain", line
end

local function end_of(stderr)
  local lines = {}
  for line in stderr:sub(-MAX_BYTES):gmatch "[^\r\n]+" do lines[#lines + 1] = line end
  return table.move(lines, math.max(1, #lines - MAX_LINES + 1), #lines, 1, {})
end

---@class axo.Complaint
---@field cause string the last line that begins with "Error:", with those that continue it
---@field error string what was logged as an error
---@field plain string lines that nobody logged
---@field warning string these quote errors that were got over
---@field info string progress, and what is tried again

--- A complaint in parts.
---@param stderr string
---@return axo.Complaint parts, string last what its last line says
function complaint.read(stderr)
  local parts = { cause = {}, error = {}, plain = {}, warning = {}, info = {} }
  local before, last
  for _, line in ipairs(end_of(stderr)) do
    local level, text = read_line(line)
    local continues = level == "plain" and before ~= nil and before ~= "plain"
      and before ~= "info" and (before == "cause" or line:find "^%s")
    if level == "cause" then parts.cause = {} end
    if continues then level = before end
    table.insert(parts[level], text)
    before, last = level, text
  end
  for level, texts in pairs(parts) do parts[level] = table.concat(texts, "\n") end
  return parts, last or ""
end

-- Several lines as one.
local function joined(text)
  local whole = ""
  for line in text:gmatch "[^\n]+" do
    line = line:match("^%s*(.*)$"):gsub("^%* ", "")
    if line ~= "" and not line:find "^See '" then
      whole = whole .. (whole == "" and "" or whole:find ":$" and " " or "; ") .. line
    end
  end
  return whole
end

--- What says why podman failed, on one line: the cause, else the last line that is no progress.
---@param stderr string
---@return string # "" when it says nothing
function complaint.cause(stderr)
  local parts, last = complaint.read(stderr)
  local text = joined(parts.cause)
  if text == "" then text = joined(last_line(parts.plain) or last_line(parts.error) or last) end
  return unseen.replace(text:sub(1, MAX_CAUSE), "?")
end

--- stderr without the lines of podman's log that it begins with.
---@param stderr string
---@return string
function complaint.without_log(stderr)
  local from = 1
  while true do
    local stop = stderr:find("\n", from, true)
    if not stop or not logged(stderr:sub(from, stop - 1)) then return stderr:sub(from) end
    from = stop + 1
  end
end

return complaint
