--- The guides and the API reference, as they lie in the documentation directory: Markdown files.
local uv = require "luv"

local pages = {}

-- What axolua knows of where it stands; nothing where its files were loaded by another program.
local function directory(name)
  local host = package.loaded["axolua.host"]
  return host and ("%s/share/doc/axosandbox/%s"):format(host.prefix, name)
end

local function read(path)
  local file <close> = io.open(path)
  return file and file:read "a"
end

local function names_in(dir)
  local names = {}
  local scan = dir and uv.fs_scandir(dir)
  for name in function() return scan and uv.fs_scandir_next(scan) end do
    local page = name:match "^([%w-]+)%.md$"
    if page and page ~= "README" then names[#names + 1] = page end
  end
  table.sort(names)
  return names
end

local function page_in(dir, wanted)
  for _, name in ipairs(names_in(dir)) do
    if name == wanted then return read(("%s/%s.md"):format(dir, name)) end
  end
end

---@class doc.Guide
---@field name string
---@field title string

--- The guides, by name; none where the documentation is not installed.
---@return doc.Guide[]
function pages.guides()
  local dir, list = directory "guide", {}
  for i, name in ipairs(names_in(dir)) do
    local text = read(("%s/%s.md"):format(dir, name)) or ""
    list[i] = { name = name, title = text:match "^# ([^\n]*)" or name }
  end
  return list
end

--- A guide.
---@param name string
---@return string? text
function pages.guide(name)
  return page_in(directory "guide", name)
end

-- What is under the headings that are asked for, each to the next heading.
local function sections(text, is_wanted)
  local found, is_inside = {}, false
  for line in text:gmatch "([^\n]*)\n" do -- linear: every line of ours ends
    if line:find "^##" then is_inside = is_wanted(line:match "^### ([%w_.:]+)" or "") end
    if is_inside then found[#found + 1] = line end
  end
  return #found > 0 and table.concat(found, "\n") .. "\n" or nil
end

-- Of all pages. "exec" is the exec of whatever has one.
local function search(dir, is_wanted)
  local found = {}
  for _, page in ipairs(names_in(dir)) do
    found[#found + 1] = sections(page_in(dir, page), is_wanted)
  end
  return #found > 0 and table.concat(found, "\n") or nil
end

--- The pages of the API reference; none where the documentation is not installed.
---@return string[]
function pages.api_names() return names_in(directory "api") end

--- A page of the API reference, or the part about one function or one type.
---@param name string? "session", "axo.async", "sb:exec", "exec", "axo.Stats"; nil: the list of pages
---@return string? text
function pages.api(name)
  local dir = directory "api"
  if not name then return dir and read(dir .. "/README.md") end
  local whole = page_in(dir, name:lower()) or page_in(dir, name:match "^axo%.(%w+)$")
  if whole then return whole end
  local wanted = name:match "^[^(]*"
  return search(dir, function(heading) return heading == wanted end)
    or search(dir, function(heading) return heading:match "[.:]([%w_]+)$" == wanted end)
end

return pages
