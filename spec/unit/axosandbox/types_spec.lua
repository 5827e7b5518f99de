-- Everything public is annotated: what is written in Lua where it stands, the C module in
-- meta/. Compares the names that exist with the names that are declared.
local core = require "axosandbox.core"
local uv = require "luv"
local unit = require "spec.support.unit"

local DIRECTORY = unit.prefix() .. "/share/lua/5.4/axosandbox/"

local function add_modules(names, below)
  local scan = assert(uv.fs_scandir(DIRECTORY .. below))
  for name, kind in function() return uv.fs_scandir_next(scan) end do
    if kind == "directory" then
      add_modules(names, below .. name .. "/")
    elseif name:find "%.lua$" then
      names[#names + 1] = below .. name
    end
  end
end

---@return string[] names of the files of the Lua face
local function modules()
  local names = {}
  add_modules(names, "")
  table.sort(names)
  return names
end

local function read_lines(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

--- The comment that ends right above line `at`: its words, parameters and results.
local function doc_above(lines, at)
  local doc = { text = "", params = {}, returns = false }
  local i = at - 1
  while i >= 1 and lines[i]:find "^%s*%-%-%-" do
    local tag, rest = lines[i]:match "^%s*%-%-%-%s*@(%w+)%s*(.*)"
    if tag == "param" then
      doc.params[rest:match "^[%w_.]+"] = rest:find "^[%w_.]+%??%s+%S" ~= nil
    elseif tag == "return" then
      doc.returns = rest ~= ""
    elseif not tag then
      doc.text = lines[i]:match "^%s*%-%-%-%s*(.*)" .. doc.text
    end
    i = i - 1
  end
  return doc
end

local function names_in(list)
  local names = {}
  for name in list:gmatch "[%w_.]+" do
    if not name:find "^_" then names[#names + 1] = name end
  end
  return names
end

--- Whether the function that begins on line `at` returns a value.
local function returns_something(lines, at)
  local indent = lines[at]:match "^%s*"
  if lines[at]:find "%)%s*return%s" then return true end
  for i = at + 1, #lines do
    if lines[i]:find("^" .. indent .. "end") then return false end
    local deeper, rest = lines[i]:match "^(%s+)return%s+(%S.*)"
    if deeper and #deeper == #indent + 2 and rest ~= "nil" then return true end
  end
end

--- What is missing in the documentation of the function on line `at`.
local function problems(lines, at, params)
  local doc = doc_above(lines, at)
  local found = {}
  if doc.text == "" and not doc.returns then found[1] = "no comment" end
  for _, name in ipairs(params) do
    if not doc.params[name] then found[#found + 1] = "no @param " .. name end
  end
  if not doc.returns and returns_something(lines, at) then found[#found + 1] = "no @return" end
  return found
end

--- The functions that a file adds to a table: name, line, parameters.
local function functions_of(lines)
  local list = {}
  for at, line in ipairs(lines) do
    local name, params = line:match "^function ([%w_]+[.:][%w_]+)%((.-)%)"
    if name and not name:find "[.:]_" then
      list[#list + 1] = { name = name, at = at, params = names_in(params) }
    end
  end
  return list
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- Checks a function that exists against the comment above its definition.
local function check(name, fn, missing)
  local info = debug.getinfo(fn, "Su")
  if info.what == "C" then return end
  local params = {}
  for i = 1, info.nparams do
    local param = debug.getlocal(fn, i)
    if param ~= "self" and not param:find "^_" then params[#params + 1] = param end
  end
  local lines = read_lines(info.source:sub(2))
  for _, problem in ipairs(problems(lines, info.linedefined, params)) do
    missing[#missing + 1] = ("%s (%s:%d): %s"):format(
      name, info.short_src:match "[^/]*$", info.linedefined, problem)
  end
end

local function check_all(name, functions, missing)
  for key, value in pairs(functions) do
    local is_name = type(key) == "string" and not key:find "^__"
    if is_name and type(value) == "function" then
      check(name .. key, value, missing)
    elseif is_name and type(value) == "table" then
      check_all(name .. key .. ".", value, missing)
    end
  end
  table.sort(missing)
end

--- What a file of annotations declares, and what is missing there.
local function annotated(file, declared, missing)
  local lines = read_lines(DIRECTORY .. file)
  for _, item in ipairs(functions_of(lines)) do
    assert(not declared[item.name], item.name .. " is declared twice")
    declared[item.name] = true
    for _, problem in ipairs(problems(lines, item.at, item.params)) do
      missing[#missing + 1] = item.name .. ": " .. problem
    end
  end
  return table.concat(lines, "\n")
end

describe("the annotations of axosandbox.core", function()
  local text, declared, missing = "", {}, {}
  for _, file in ipairs(modules()) do
    if file:find "^meta/" then text = text .. annotated(file, declared, missing) end
  end
  local name = unit.temporary_name()
  local owners = {
    core = core, argv = core.argv, reference = core.reference, podman = core.podman,
    seccomp = core.seccomp, net = core.net,
    Ring = getmetatable(assert(core.ring())).__index,
    Process = getmetatable(assert(core.spawn({ "true" }, nil, function() end))).__index,
    Pty = getmetatable(assert(core.pty({ "true" }, nil, function() end))).__index,
    Lock = getmetatable(assert(core.lock(name, true))).__index,
    Hangup = debug.getregistry()["axo.hangup"].__index,
    Link = debug.getregistry()["axo.link"].__index,
    Listener = debug.getregistry()["axo.net_listener"].__index,
    Conn = debug.getregistry()["axo.net_conn"].__index,
    Box = debug.getregistry()["axo.box"].__index,
    Screen = debug.getregistry()["axo.screen"].__index,
    Diag = debug.getregistry()["axo.diag"].__index,
    GuestWork = debug.getregistry()["axo.guest_work"].__index,
  }
  uv.run()
  os.remove(name)

  it("declare what exists, and nothing else", function()
    local exist = {}
    for owner, members in pairs(owners) do
      local joint = owner:find "^%u" and ":" or "."
      for key, value in pairs(members) do
        if type(value) == "function" then exist[owner .. joint .. key] = true end
      end
    end
    assert.same(sorted(exist), sorted(declared))
  end)

  it("say what each function does, takes and returns", function()
    assert.same({}, missing)
  end)

  it("declare the fields that are no functions", function()
    for key, value in pairs(core) do
      if type(value) ~= "function" then
        assert.is_truthy(text:find("---@field " .. key .. " ", 1, true), key)
      end
    end
  end)
end)

describe("the annotations of the Lua face", function()
  it("cover the module's table", function()
    local missing = {}
    check_all("axo.", require "axosandbox", missing)
    assert.same({}, missing)
  end)

  -- A name of which editors know nothing, or something else than what is loaded.
  it("have every name of the module's table", function()
    local function flat(module)
      local all = {}
      for name, value in pairs(module) do
        for key, item in pairs(type(value) == "table" and value or {}) do
          all[name .. "." .. key] = item
        end
        all[name] = name == "preload" and type(value) or type(value) ~= "table" and value or nil
      end
      return all
    end
    local declared = flat(dofile(DIRECTORY .. "meta/axosandbox.lua"))
    local exist = flat(require "axosandbox")
    assert.is_truthy(exist["async.call"])
    for name, value in pairs(exist) do assert.equal(value, declared[name], name) end
    for name in pairs(declared) do assert.is_not_nil(exist[name], name) end
  end)

  it("cover the methods of its objects", function()
    local source = {
      ring = assert(core.ring()),
      on_data = function() return function() end end,
    }
    local subscription = require("axosandbox.base.subscription").new(source, function() end, 0)
    local objects = {
      ["axo.Session:"] = require("axosandbox.session").new({}, {}),
      ["axo.Task:"] = require("axosandbox.session.work.task").wrap({}),
      ["axo.Terminal:"] = require("axosandbox.session.work.terminal").wrap({}),
      ["axo.Result:"] = require("axosandbox.way.result").new({}),
      ["axo.Subscription:"] = subscription,
    }
    local missing = {}
    for class, object in pairs(objects) do
      local methods = getmetatable(object)
      local functions = {}
      for key, value in pairs(methods) do
        if type(value) == "function" then functions[key] = value end
      end
      assert.is_truthy(next(functions), class)
      check_all(class, functions, missing)
    end
    subscription:close()
    uv.run()
    assert.same({}, missing)
  end)

  it("cover what its modules give each other", function()
    local missing = {}
    for _, file in ipairs(modules()) do
      local lines = read_lines(DIRECTORY .. file)
      for _, item in ipairs(functions_of(lines)) do
        -- Classes that a module keeps to itself are its own business.
        local is_shared = item.name:find "^%l" or item.name:find "^Handle:"
        if is_shared and problems(lines, item.at, {})[1] == "no comment" then
          missing[#missing + 1] = ("%s:%d: %s"):format(file, item.at, item.name)
        end
      end
    end
    assert.same({}, missing)
  end)

  it("name only types that are declared", function()
    local declared, used = {}, {}
    for _, file in ipairs(modules()) do
      for at, line in ipairs(read_lines(DIRECTORY .. file)) do
        local class = line:match "^%-%-%-@%w+ (axo[%w_.]*)"
        if class and line:find "^%-%-%-@[ca]l[ai]" then declared[class] = true end
        if line:find "^%s*%-%-%-@" then
          for name in line:gmatch "%f[%w](axo%.[%w_.]*%w)" do
            if name:find "%.%u%w*$" then used[name] = file .. ":" .. at end
          end
        end
      end
    end
    local unknown = {}
    for name, where in pairs(used) do
      if not declared[name] then unknown[#unknown + 1] = where .. ": " .. name end
    end
    assert.same({}, unknown)
    assert.is_true(declared["axo.Session"] and declared["axo.Error"])
  end)
end)
