-- What a README, or a comment, says of files: they are there, also after the next move.
local uv = require "luv"

-- What a reader writes, or what stands for any name.
local EXAMPLES = {
  ["README.md"] = { ["example.lua"] = true },
  ["policy/README.md"] = {
    ["sandbx.lua"] = true, ["Exec.lua"] = true, ["x.lua"] = true, ["retry/x.lua"] = true,
  },
}
local KINDS = { c = true, h = true, lua = true, md = true, mjs = true }
-- What nobody wrote.
local MADE = { node_modules = true, corpus = true, fixtures = true }

local function is_ours(name, is_top)
  return not (MADE[name] or is_top and (name:find "^build" or name == ".git"))
end

-- Every file from the top of the tree, and every directory.
local function read_tree()
  local files, directories = {}, {}
  local function walk(dir)
    for name, kind in uv.fs_scandir_next, assert(uv.fs_scandir(dir == "" and "." or dir)) do
      local path = dir .. name
      if kind == "file" then
        files[#files + 1] = path
      elseif kind == "directory" and is_ours(name, dir == "") then
        directories[path] = true
        walk(path .. "/")
      end
    end
  end
  walk ""
  table.sort(files)
  return files, directories
end

local function content(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function tidy(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then parts[#parts] = nil elseif part ~= "." then parts[#parts + 1] = part end
  end
  return table.concat(parts, "/")
end

-- Whether `word` names a file: the whole path, or beneath `home` the end of one. "*" is any part
-- of a name.
local function names_any(files, home, word)
  local pattern = word:gsub("[%-%.]", "%%%0"):gsub("%*", "[^/]*") .. "$"
  for _, path in ipairs(files) do
    if path:find("^" .. pattern) then return true end
    local is_below = path:sub(1, #home) == home
    if is_below and ("/" .. path:sub(#home + 1)):find("/" .. pattern) then return true end
  end
  return false
end

local function is_there(tree, readme, word)
  local home = readme:match "^(.*/)[^/]*$" or ""
  if word:find("..", 1, true) then return tree.named[tidy(home .. word)] end
  return names_any(tree.files, home, word)
end

-- The files that a README names in backticks, and that are not there.
local function missing_in(readme, text, tree)
  local found, allowed = {}, EXAMPLES[readme] or {}
  for word in text:gsub("```.-```", ""):gmatch "`([%w_.][%w_./*-]*)`" do
    local is_file = KINDS[word:match "[%w*]%.(%w+)$"] and not allowed[word]
    if is_file and not is_there(tree, readme, word) then
      found[#found + 1] = readme .. ": " .. word
    end
  end
  return found
end

local function long_lines(readme, text)
  local found, is_code, at = {}, false, 0
  for line in text:gmatch "([^\n]*)\n" do
    at = at + 1
    if line:find "^```" then is_code = not is_code end
    local may_be_long = is_code or line:find "^|" or line:find "^    "
    if not may_be_long and utf8.len(line) > 100 then
      found[#found + 1] = ("%s:%d"):format(readme, at)
    end
  end
  return found
end

-- Whole paths anywhere in our files.
local function gone_in(path, text, tree)
  local found = {}
  for at, word in text:gmatch "()%f[%w_./${}-]([a-z]+/[%w_./-]+%.%a+)%f[^%w_]" do
    local room, kind = word:match "^(%a+)/", word:match "%.(%a+)$"
    if tree.directories[room] and KINDS[kind] and not tree.named[word]
      and text:sub(at - 1, at - 1) ~= "/" then
      found[#found + 1] = path .. ": " .. word
    end
  end
  return found
end

describe("a file that is named", function()
  local tree, readmes = {}, {}
  setup(function()
    tree.files, tree.directories = read_tree()
    tree.named = {}
    for _, path in ipairs(tree.files) do
      tree.named[path] = true
      if path:find "%f[^/\0]README%.md$" then readmes[#readmes + 1] = path end
    end
  end)

  local function of_each(paths, find)
    local found = {}
    for _, path in ipairs(paths) do
      local own = find(path, content(path), tree)
      table.move(own, 1, #own, #found + 1, found)
    end
    return found
  end

  it("in a README is there", function()
    assert.is_true(#readmes >= 8)
    assert.same({}, of_each(readmes, missing_in))
  end)

  it("in a README is missed when it is gone", function()
    local text = "`argv.c`, `argv/argv.c`, `argv/*.c`, `../policy/exec.lua`, `spec/README.md`; "
    assert.same({}, missing_in("core/README.md", text, tree))
    assert.same({ "core/README.md: gv.c", "core/README.md: exec.lua", "core/README.md: ../x.lua" },
      missing_in("core/README.md", text .. "`gv.c` `exec.lua` `../x.lua`", tree))
  end)

  it("by its whole path is there", function()
    local others = {}
    for _, path in ipairs(tree.files) do
      if not path:find "README%.md$" then others[#others + 1] = path end
    end
    assert.same({}, of_each(others, gone_in))
  end)

  it("stands in lines of a width that can be read", function()
    assert.same({}, of_each(readmes, long_lines))
  end)
end)
