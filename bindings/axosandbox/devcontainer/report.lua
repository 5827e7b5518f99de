--- What became of each property of a devcontainer.json, for whoever has to know.
local unseen = require "axosandbox.base.text.unseen"

local report = {}

-- What the file can make as many of as it likes. What is done with it is named in any case, and
-- there are few such properties.
local MAX = 100
local DONE = { honoured = true, policy = true }

---@class axo.DevcontainerReport
---@field property string its name, with what is below it: "remoteEnv.PATH"
---@field status "honoured"|"policy"|"denied"|"ignored"|"invalid"|"warning" policy: left to it; denied: for the machine's safety; ignored: it has no meaning here
---@field reason string? why not, or what to know

---@class axo.DevcontainerReports
---@field private list axo.DevcontainerReport[]
local Reports = {}
Reports.__index = Reports

---@return axo.DevcontainerReports
function report.new()
  return setmetatable({ list = {}, seen = {} }, Reports)
end

-- A name in the file can be a megabyte long, and hold what a terminal obeys.
local function visible(name)
  if #name > 80 then name = name:sub(1, 80):gsub("[\xC2-\xF4][\x80-\xBF]*$", "") .. "..." end
  return unseen.replace(name, "?")
end

--- Adds one; the same twice is one. Of very many the last ones are only counted.
---@param property string
---@param status string
---@param reason string?
function Reports:add(property, status, reason)
  property = visible(property)
  local key = property .. "\0" .. status .. "\0" .. (reason or "")
  if self.seen[key] then return end
  if #self.list >= MAX and not DONE[status] then
    self.left_out = (self.left_out or 0) + 1
    return
  end
  self.seen[key] = true
  self.list[#self.list + 1] = { property = property, status = status, reason = reason }
end

--- All of them, in the order in which they came.
---@return axo.DevcontainerReport[]
function Reports:all()
  local list = table.move(self.list, 1, #self.list, 1, {})
  if self.left_out then
    list[#list + 1] = {
      property = ("%d more"):format(self.left_out), status = "ignored", reason = "too many to list",
    }
  end
  return list
end

return report
