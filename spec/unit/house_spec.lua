-- Which file may ask which: the arrows of bindings/README.md, read from every `require`.
local unit = require "spec.support.unit"
local uv = require "luv"

local ROOMS = {
  "base", "host", "audit", "policy", "podman", "way", "network", "session", "start", "devcontainer",
  "init",
}
-- The program stands beside the library, and what is never loaded asks nothing.
local APART = { axolua = true, meta = true }

-- Files in a folder.
local MOST = 14

local height = {}
for at, room in ipairs(ROOMS) do height[room] = at end

local function each_file(dir, name, visit)
  for entry, kind in uv.fs_scandir_next, assert(uv.fs_scandir(dir)) do
    if kind == "directory" then
      each_file(dir .. "/" .. entry, name .. "." .. entry, visit)
    elseif entry:find "%.lua$" then
      visit(dir .. "/" .. entry, ((name .. "." .. entry:sub(1, -5)):gsub("%.init$", "")))
    end
  end
end

-- Of every module, which others it asks; what asks within a function is noted apart.
local function read(root, name)
  local graph, lazy = {}, {}
  each_file(root, name, function(path, module)
    local asked = {}
    for line in io.lines(path) do
      local wanted = line:match "require%s*%(?%s*[\"'](axo[%w_.]+)[\"']"
      if wanted and not line:find "^%-%-" then
        asked[#asked + 1] = wanted
        if not line:find "^local " then lazy[#lazy + 1] = module .. " asks " .. wanted end
      end
    end
    graph[module] = asked
  end)
  return graph, lazy
end

local function room_of(module)
  return module == "axosandbox" and "init" or module:match "^axosandbox%.([%w_]+)"
end

local function upward(graph)
  local found = {}
  for module, asked in pairs(graph) do
    local own = room_of(module)
    for _, wanted in ipairs(APART[own] and {} or asked) do
      local room = room_of(wanted)
      if room ~= "core" and (not height[room] or height[room] > height[own]) then
        found[#found + 1] = module .. " asks " .. wanted
      end
    end
  end
  return found
end

-- A module that asks, through others, for itself.
local function circles(graph)
  local state, found = {}, {}
  local function visit(module, way)
    if state[module] == "done" or not graph[module] then return end
    if state[module] then
      found[#found + 1] = way .. " > " .. module
      return
    end
    state[module] = "open"
    for _, wanted in ipairs(graph[module]) do visit(wanted, way .. " > " .. module) end
    state[module] = "done"
  end
  for module in pairs(graph) do visit(module, "") end
  return found
end

describe("the library", function()
  local graph, lazy = read(unit.prefix() .. "/share/lua/5.4/axosandbox", "axosandbox")

  it("has every file in a room", function()
    for module in pairs(graph) do
      local room = room_of(module)
      assert.is_truthy(height[room] or APART[room], module)
    end
    assert.is_truthy(graph["axosandbox.session"] and graph["axosandbox.base.await"])
  end)

  it("has no room that is too full to look over", function()
    local count = {}
    for module in pairs(graph) do
      local folder = module:match "^(.*)%." or module
      count[folder] = (count[folder] or 0) + 1
    end
    for folder, files in pairs(count) do assert(files <= MOST, folder .. " has " .. files) end
  end)

  it("asks only what lies below", function() assert.same({}, upward(graph)) end)

  it("has no circle", function() assert.same({}, circles(graph)) end)

  it("asks at the top of a file", function()
    local late = {}
    for _, text in ipairs(lazy) do
      if not APART[room_of(text)] then late[#late + 1] = text end
    end
    assert.same({}, late)
  end)
end)
