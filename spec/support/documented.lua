--- Runs what a document shows: each command of its ```console blocks, in order, in one directory.
--- Its output is compared by shape: numbers, blanks and what is given below may differ.
local cli = require "spec.support.cli"
local e2e = require "spec.support.e2e"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"

local documented = {}

-- The image that every machine can make for itself.
local IMAGE_TRUST = [[
return function(request, default)
  if request.image then return default(request) end
  return { image = request.embedded, pull = "never" }
end
]]
local PROVISION = [[
return function() return { run = false, commands = {}, timeout = 1, cache = false } end
]]
-- Where this machine has no curl.
local CURL = "#!/bin/sh\nfor url; do :; done\nexec busybox wget -q -O - \"$url\"\n"

--- What a document holds: the commands with their output, and files ("Saved as `NAME`:").
---@param path string
---@return { command: string?, output: string[], at: integer, name: string?, body: string? }[] steps
function documented.read(path)
  local steps, kind, step, name, body = {}, nil, nil, nil, nil
  local at = 0
  for line in io.lines(path) do
    at = at + 1
    name = line:match "^Saved as `([%w_.-]+)`:$" or name
    if line:find "^```" then
      if body then
        steps[#steps + 1] = { name = name, body = table.concat(body, "\n") .. "\n", at = at }
        body, name = nil, nil
      end
      kind = not kind and line:sub(4) or nil
      if kind and kind ~= "console" and name then body = {} end
    elseif body then
      body[#body + 1] = line
    elseif kind == "console" and line:find "^%$ " then
      step = { command = line:sub(3), output = {}, at = at }
      steps[#steps + 1] = step
    elseif kind == "console" and line:find "^> " and #step.output == 0 then
      step.command = step.command .. "\n" .. line:sub(3)
    elseif kind == "console" then
      step.output[#step.output + 1] = line
    end
  end
  return steps
end

--- A line without what differs from run to run.
local function shape(line)
  return (line:gsub("%x%x%x%x%x%x%x%x+", "HEX"):gsub("%d[%d.,]*", "N"):gsub("%s+", " ")
    :gsub("%f[%w]ms%f[%W]", "s"):gsub(" $", ""))
end

local function shapes(lines)
  local list = {}
  for i, line in ipairs(lines) do list[i] = shape(line) end
  return list
end

--- Whether the lines have the shape of those that are shown; "..." stands for any number of lines.
local function fits(shown, got, i, k)
  i, k = i or 1, k or 1
  if shown[i] == nil then return got[k] == nil end
  if shown[i] == "..." then
    for rest = k, #got + 1 do
      if fits(shown, got, i + 1, rest) then return true end
    end
    return false
  end
  return shown[i] == got[k] and fits(shown, got, i + 1, k + 1)
end

local function split(text)
  local lines = {}
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  local last = text:match "([^\n]+)$"
  if last then lines[#lines + 1] = last end
  return lines
end

---@class test.Place where a document's commands run
---@field dir string the project
---@field names table<string, string> what stands in the document, and what it is here
local Place = {}
Place.__index = Place

--- Makes a project, and what its commands need around it.
---@param ids string[] of the sessions that the document names
---@param names table<string, string>? what else is called otherwise here
---@return test.Place
function documented.place(ids, names)
  local base = temp.dir()
  local dir = temp.dir "project"
  temp.write(dir .. "/hello.lua", "print 'hello'\n")
  for _, sub in ipairs { "policy", "bin", "config" } do
    proc.must { "/bin/mkdir", base .. "/" .. sub }
  end
  temp.write(base .. "/policy/image_trust.lua", IMAGE_TRUST)
  temp.write(base .. "/policy/provision.lua", PROVISION)
  local self = setmetatable({ dir = dir, names = names or {}, base = base }, Place)
  for _, id in ipairs(ids) do self.names[id] = e2e.new_id() end
  if proc.run({ "/bin/sh", "-c", "command -v curl" }).code ~= 0 then
    temp.write(base .. "/bin/curl", CURL, "755")
  end
  self.env = proc.environment {
    PATH = ("%s:%s/bin:%s"):format(cli.axolua():match "^(.*)/", base, os.getenv "PATH"),
    XDG_CONFIG_HOME = base .. "/config", AXOSANDBOX_POLICY_PATH = base .. "/policy",
    AXOSANDBOX_AUDIT = base .. "/audit.jsonl",
  }
  return self
end

--- A document's text with this place's names.
---@param text string
---@return string
function Place:here(text)
  text = text:gsub("/some/project", self.dir)
  for known, own in pairs(self.names) do
    text = text:gsub("%f[%w_]" .. known:gsub("%-", "%%-") .. "%f[^%w_-]", own)
  end
  return text
end

-- Others may have sessions, too.
local function own_rows(self, text)
  local rows = {}
  for i, line in ipairs(split(text)) do
    if i == 1 or line:find(self.dir, 1, true) then rows[#rows + 1] = line end
  end
  return rows
end

--- Runs a command, or saves a file.
---@param step table as documented.read gives it
---@return string? problem
function Place:run(step)
  if step.body then
    temp.write(self.dir .. "/" .. step.name, self:here(step.body))
    return nil
  end
  local command = self:here(step.command)
  local result = proc.run({ "/bin/sh", "-c", "exec 2>&1\n" .. command },
    { env = self.env, cwd = self.dir })
  local got = step.command == "axolua ps" and own_rows(self, result.stdout) or split(result.stdout)
  local shown = split(self:here(table.concat(step.output, "\n") .. "\n"))
  if #step.output == 0 then shown = {} end
  if fits(shapes(shown), shapes(got)) then return nil end
  return ("line %d: %s\nshown:\n%s\nprinted (exit status %d):\n%s"):format(
    step.at, command, table.concat(shown, "\n"), result.code, table.concat(got, "\n"))
end

--- Ends the sessions that are left.
function Place:close()
  for _, id in pairs(self.names) do
    proc.run({ cli.axolua(), "stop", id }, { env = self.env, cwd = "/" })
  end
end

return documented
