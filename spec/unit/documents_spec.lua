-- What README.md and the guides say of each other, their Lua, and the picture. Their commands are
-- run by spec/e2e/documents_spec.lua.
local support = require "spec.support.cli"
local uv = require "luv"

local GUIDES = "scripts/guide/"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function guides()
  local names = {}
  for name in uv.fs_scandir_next, assert(uv.fs_scandir(GUIDES)) do
    names[#names + 1] = name:match "^(.*)%.md$"
  end
  table.sort(names)
  return names
end

local function documents()
  local paths = { "README.md" }
  for _, name in ipairs(guides()) do paths[#paths + 1] = GUIDES .. name .. ".md" end
  return paths
end

describe("the documents", function()
  it("begin with README.md, which is short and names every guide", function()
    local text = read "README.md"
    local _, words = text:gsub("%S+", "")
    assert.is_true(words < 1200, words .. " words")
    for _, name in ipairs(guides()) do
      assert.is_truthy(text:find(("[%s](%s%s.md)"):format(name, GUIDES, name), 1, true), name)
    end
  end)

  it("are shown by axolua help", function()
    local overview = support.run({ "help" }).stdout
    for _, name in ipairs(guides()) do
      assert.matches("\n  " .. name:gsub("%-", "%%-") .. " +%u%w", overview)
      assert.equal(read(GUIDES .. name .. ".md"), support.run({ "help", name }).stdout)
    end
    assert.equal(2, support.run({ "help", "../../README" }).code)
  end)

  it("name guides that are there", function()
    local missing, is_guide = {}, { api = true, NAME = true }
    for _, name in ipairs(guides()) do is_guide[name] = true end
    for _, path in ipairs(documents()) do
      for name in read(path):gmatch "axolua help ([%w-]+)" do
        if not is_guide[name] then missing[#missing + 1] = path .. ": " .. name end
      end
    end
    assert.same({}, missing)
  end)

  it("hold Lua that is Lua", function()
    local wrong, count = {}, 0
    for _, path in ipairs(documents()) do
      for code in read(path):gmatch "\n```lua\n(.-)\n```" do
        local _, problem = load(code, "=" .. path)
        wrong[#wrong + 1], count = problem, count + 1
      end
    end
    assert.same({}, wrong)
    assert.is_true(count >= 8)
  end)

  it("have a picture of commands that README.md shows", function()
    local picture, text, count = read(GUIDES .. "session.svg"), read "README.md", 0
    for row in picture:gmatch "<text.-</text>" do
      local line = row:gsub("<[^>]*>", ""):gsub("&lt;", "<"):gsub("&gt;", ">"):gsub("&amp;", "&")
      if line:find "^%$ " then
        assert.is_truthy(text:find("\n" .. line .. "\n", 1, true), line)
        count = count + 1
      end
    end
    assert.is_true(count >= 5)
  end)
end)
