--- axolua policy check: tries a policy file on sample requests, and says what it decides otherwise
--- than the shipped one does.
local uv = require "luv"
local axo = require "axosandbox"
local cli = require "axolua.cli"
local decision_text = require "axolua.policy.decision_text"
local here = require "axolua.cli.here"
local samples = require "axolua.policy.samples"
local text = require "axolua.view.text"

local json = axo.json

local policy_check = {}

--- Adds the command's options.
---@param command table
function policy_check.options(command)
  command:argument("file", "The policy file."):convert(cli.name "the file")
  command:option("--as", "What it decides, when its name does not say so: "
    .. table.concat(axo.policy.NAMES, ", ") .. "."):argname "DECISION":choices(axo.policy.NAMES)
  command:flag("--json", "As JSON, for scripts.")
end

local function decision_of(args)
  -- linear: somebody typed it.
  local name = args.as or args.file:match "([^/]+)%.lua$"
  for _, known in ipairs(axo.policy.NAMES) do
    if name == known then return name end
  end
end

local function of_network(network)
  if type(network) ~= "table" then return network end
  return #network.allow == 1 and "1 name" or ("%d names"):format(#network.allow)
end

local function of_sandbox(decision)
  local words = { of_network(decision.network) }
  if decision.user then words[2] = "as " .. decision.user end
  if decision.remote_user then
    words[#words + 1] = "devcontainer.json's commands as " .. decision.remote_user
  end
  return table.concat(words, ", ")
end

local function summary(decision)
  if decision.deny then return "denied: " .. decision.deny end
  if decision.allow == false then return "denied: " .. (decision.reason or "no reason given") end
  if decision.network then return of_sandbox(decision) end
  return decision.allow and "allowed" or decision.image or decision.class or decision.action
    or (decision.ask and "asks first") or (decision.run and "runs" or "skipped")
end

local function is_refusal(decision)
  return decision.deny ~= nil or decision.allow == false
end

local function row_of(set, shipped, name, sample)
  local decision, problem = set:decide(name, sample[2])
  local row = { about = sample[1], decision = decision, error = problem }
  if not decision then return row end
  row.says = tostring(summary(decision))
  if is_refusal(decision) then return row end
  row.changes = decision_text.lines(decision, shipped:decide(name, sample[2]),
    { indent = 6, only_changes = true })
  return row
end

-- Against the shipped policies alone, so that the result says something about this file.
local function try(name, path)
  local set, err = axo.policy.new({ [name] = path }, { dirs = {} })
  if not set then return { { about = "loading the file", error = err } } end
  local shipped = assert(axo.policy.new(nil, { dirs = {} }))
  local rows = { { about = "loading the file", says = "ok" } }
  for _, sample in ipairs(samples.list(name)) do
    rows[#rows + 1] = row_of(set, shipped, name, sample)
  end
  return rows
end

local MAX_COLUMN = 48

local function column_of(rows)
  local width = 0
  for _, row in ipairs(rows) do
    local length = #text.visible(row.about) + (row.also and #", and 9 more" or 0)
    if length <= MAX_COLUMN then width = math.max(width, length) end
  end
  return width
end

-- What is too long for its column has a line of its own.
local function line_of(row, width)
  local about = text.visible(row.about)
  if row.also then about = ("%s, and %d more"):format(about, row.also) end
  local says = text.printable(row.error and row.error.message or row.says)
  local gap = (" "):rep(width - #about + 2)
  if #about > width then gap = "\n" .. (" "):rep(width + 8) end
  return ("%s  %s%s%s\n"):format(row.error and "FAIL" or "ok  ", about, gap, says)
end

-- One mistake that meets every sample is one mistake.
local function without_repetition(rows)
  local kept, first = {}, {}
  for _, row in ipairs(rows) do
    local message = row.error and row.error.message
    local same = message and first[message]
    if same then
      same.also = (same.also or 0) + 1
    else
      kept[#kept + 1] = row
      if message then first[message] = row end
    end
  end
  return kept
end

local function show(rows)
  rows = without_repetition(rows)
  local width = column_of(rows)
  for _, row in ipairs(rows) do
    cli.print(line_of(row, width))
    if row.error and row.error.hint then
      cli.print((" "):rep(width + 8) .. text.printable(row.error.hint) .. "\n")
    end
    cli.print(row.changes or "")
  end
end

local function as_json(name, rows, failed)
  local list = json.array {}
  for i, row in ipairs(rows) do
    list[i] = {
      about = row.about, decision = row.decision, error = row.error and row.error.message,
    }
  end
  return { ok = not failed, decides = name, checks = list }
end

-- What a file decides that is not the machine's last word.
local function say_what_binds(name, path)
  local file = ("%s/%s.lua"):format(axo.policy.binding_dir(), name)
  if path == file then
    cli.say(file .. " has the last word for everybody on this machine")
  elseif uv.fs_lstat(file) then
    cli.say(("%s is asked first, and has the last word on this machine"):format(file))
  end
end

--- Checks a file; the exit code is 1 when something is wrong with it.
---@param args table
---@param usage fun(message: string) ends the command
---@return integer code
function policy_check.main(args, usage)
  local name = decision_of(args)
  if not name then
    usage(("%s: the name does not say which decision it is; add --as DECISION"):format(args.file))
  end
  local path = here.absolute(args.file)
  local rows = try(name, path)
  local failed = false
  for _, row in ipairs(rows) do failed = failed or row.error ~= nil end
  if args.json then cli.print_json(as_json(name, rows, failed)) else show(rows) end
  say_what_binds(name, path)
  return failed and 1 or 0
end

return policy_check
