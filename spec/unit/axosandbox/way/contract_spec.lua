-- Both ways answer what way/init.lua says a way answers, and a task what way/work.lua says.
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local native = require "axosandbox.way.native"
local portable = require "axosandbox.way.portable"
local unit = require "spec.support.unit"

local DIRECTORY = unit.prefix() .. "/share/lua/5.4/axosandbox/way/"
local FILES = {
  "read_file", "stream_file", "write_file", "list_dir", "stat", "check_directory", "mkdir",
  "remove", "rename",
}
local RECORD = { container = "axo-ses-x", client = {}, dir = "/", link_dir = "/", pid = 1 }

-- The fields of a class that the annotations of a file declare to be functions.
local function promised(file, class)
  local names, is_inside = {}, false
  for line in io.lines(DIRECTORY .. file) do
    local begun = line:match "^%-%-%-@class ([%w.]+)"
    if begun then is_inside = begun == class end
    local name = is_inside and line:match "^%-%-%-@field ([%w_]+) fun%("
    if name then names[#names + 1] = name end
  end
  assert.is_true(#names > 3, class)
  return names
end

-- A native way with one task; the link is played.
local function connect()
  local real, link = core.link, {}
  function link.list(_, done)
    await.defer(function()
      done(nil, { { name = "t1", kind = "task", argv = {}, started = 1, running = true,
        rows = 0, cols = 0 } })
    end)
    return true
  end
  function link.attach(_, _, callbacks)
    await.defer(function() callbacks.on_started() end)
    return { hold = function() end }
  end
  core.link = function(options)
    await.defer(options.on_up)
    return link
  end
  local way
  await.spawn(function() return native.connect(RECORD) end, function(err, found)
    way = assert(found, err)
  end)
  unit.wait(function() return way end)
  core.link = real
  return way
end

describe("a way", function()
  local ways = { native = connect(), portable = portable.new(RECORD) }

  for kind, way in pairs(ways) do
    it(("answers all that it must, the %s one"):format(kind), function()
      assert.equal(kind, way.kind)
      for _, name in ipairs(promised("init.lua", "axo.Way")) do
        assert.is_function(way[name], name)
      end
      for _, name in ipairs(FILES) do assert.is_function(way[name], name) end
    end)
  end

  it("has tasks that answer all that they must", function()
    local task = ways.native:find("task", "t1")
    for _, name in ipairs(promised("work.lua", "axo.Work")) do
      assert.is_function(task[name], name)
    end
    assert.same({ task }, ways.native:list "task")
    assert.is_nil(ways.native:find("terminal", "t1"))
  end)

  it("has no more than that of the other one", function()
    for name in pairs(getmetatable(ways.native)) do
      assert.is_true(name:find "^__" ~= nil or ways.portable[name] ~= nil, name)
    end
  end)
end)
