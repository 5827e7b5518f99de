require("spec.support.cli").expose_libraries()
local hints = require "axosandbox.base.hints"
local reply = require "axolua.mcp.reply"

-- Words that only one reader can do something with.
local LUA = { "axo%.", "%w+ = [%w{\"]", "%w+:%w+%(", "kill_all", "allow_post_create" }
local CLI = { "axolua ", "%-%-%l" }

local function has(text, patterns)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

-- Every text after `hint =` in the library and in policy, as it stands in the source.
local function hints_in_sources()
  local found = {}
  local pipe = assert(io.popen "grep -rhoE 'hint = [^,]*\"[^\"]+\"' bindings/axosandbox policy")
  for line in pipe:lines() do
    if not line:find "^%s*%-%-" then found[#found + 1] = line:match '"(.*)"' end
  end
  pipe:close()
  return found
end

-- Files that have much of it in tables: all that stands in quotes there.
local function words_of(path)
  local found = {}
  for line in io.lines(path) do
    if not line:find "^%s*%-%-" then
      for text in line:gmatch '"([^"]*)"' do found[#found + 1] = text end
    end
  end
  return found
end

describe("advice", function()
  it("is worded for who reads it", function()
    for name, words in pairs(hints.TABLE) do
      local err = { code = "X", op = "start", message = "m", hint = words.lua }
      assert.equal(words.lua, hints.of(err, "lua"))
      assert.equal(words.cli, hints.of(err, "cli"))
      assert.equal(words.mcp, reply.advice(err))
      assert.is_false(has(words.lua:gsub("`axolua [^`]*`", ""), CLI), name)
      assert.is_false(has(words.cli, LUA), name)
      assert.is_false(has(words.mcp, LUA), name)
      assert.is_true(not has(words.mcp, CLI) or words.mcp:find "[Tt]ell the user" ~= nil, name)
    end
  end)

  it("that is not in the table means the same to everybody", function()
    local list = hints_in_sources()
    assert.is_true(#list > 10)
    for _, text in ipairs(list) do
      assert.is_false(has(text, LUA), text)
      -- What podman is told is a command for anybody who has a shell.
      assert.is_false(has(text:gsub("podman .*", ""), CLI), text)
    end
  end)

  it("in a table of a file means the same to everybody, too", function()
    for _, path in ipairs {
      "bindings/axosandbox/way/file_faults.lua", "bindings/axosandbox/way/native/faults.lua",
      "bindings/axosandbox/way/scripted.lua", "bindings/axosandbox/session/edit.lua",
      "policy/retry.lua",
    } do
      local list = words_of(path)
      assert.is_true(#list > 5, path)
      for _, text in ipairs(list) do
        assert.is_false(has(text, LUA), path .. ": " .. text)
      end
    end
  end)

  it("to an agent is what it can do, else what to tell", function()
    assert.matches("stop_background", reply.advice { code = "LIMIT", hint = "stop one first" })
    assert.equal("Tell the user: install podman", reply.advice {
      code = "PODMAN", op = "podman", hint = "install podman" })
    assert.is_nil(reply.advice { code = "PODMAN", op = "exec" })
    assert.is_nil((hints.of({ hint = "" }, "cli")))
  end)

  it("never names the Lua function that raised a message", function()
    local cli = require "axolua.cli"
    assert.equal("options.id: it is empty", cli.without_position(
      "/a/b/start.lua:12: axo.start: options.id: it is empty"))
    assert.equal("a glob has no '..' in it", cli.without_position(
      "sandbox:grep: a glob has no '..' in it"))
  end)
end)
