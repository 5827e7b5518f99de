-- @runs native-root
-- What the README and the guides show is run, and prints what they say.
local e2e = require "spec.support.e2e"
local documented = require "spec.support.documented"
local net = require "spec.support.net"
local uv = require "luv"

local DOCUMENTS = { "README.md" }
for name in uv.fs_scandir_next, assert(uv.fs_scandir "scripts/guide") do
  if name:find "%.md$" then DOCUMENTS[#DOCUMENTS + 1] = "scripts/guide/" .. name end
end
table.sort(DOCUMENTS)

local IDS = { "demo", "web", "from-lua" }

describe("what a document shows", function()
  e2e.housekeeping {
    setup = setup, before_each = before_each, after_each = after_each, teardown = teardown,
  }

  -- What this machine needs is learnt, and told of, once.
  setup(function() e2e.start():stop() end)

  for _, path in ipairs(DOCUMENTS) do
    local steps = documented.read(path)
    if #steps > 0 then
      it("is what happens: " .. path, function()
        local image = e2e.temp.run_name() .. "-mine"
        e2e.janitor.made("image", "localhost/" .. image .. ":1")
        local place = documented.place(IDS, {
          ["3000"] = tostring(net.free_port()), mine = image,
        })
        local problems = {}
        for _, step in ipairs(steps) do problems[#problems + 1] = place:run(step) end
        place:close()
        assert.equal("", table.concat(problems, "\n\n"))
      end)
    end
  end

  it("is compared: another output is seen", function()
    local place = documented.place {}
    local function says(command, ...)
      return place:run { command = command, output = { ... }, at = 1 }
    end
    assert.is_nil(says("echo a 12; echo b", "a 3", "b"))
    assert.is_nil(says("echo a; echo b; echo c", "a", "...", "c"))
    assert.is_nil(says("true"))
    assert.is_string(says("echo a", "b"))
    assert.is_string(says("echo a; echo b", "a"))
    assert.is_string(says("true", "a"))
    assert.is_string(says("echo a"))
    assert.is_string(says("echo a; echo b", "...", "c"))
  end)
end)
