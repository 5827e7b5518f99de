-- Listing on the native path, with a link that opens files of this machine.
local uv = require "luv"
local files = require "axosandbox.session.files"
local native_files = require "axosandbox.way.native.files"
local scripted = require "axosandbox.way.scripted"
local result = require "axosandbox.way.result"
local core = require "axosandbox.core"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"

describe("a directory on the native path", function()
  local root, mark, commands
  setup(function() mark = janitor.mark() end)
  teardown(function() janitor.sweep(mark) end)

  local link = {}
  function link.open_file(_, path, flags, mode, done)
    local fd = assert(uv.fs_open(root .. "/" .. path, flags, mode))
    local idle = uv.new_idle()
    idle:start(function()
      idle:close()
      done(nil, fd)
    end)
    return true
  end

  -- What the scripts run in.
  local function exec(_, spec, done)
    commands = commands + 1
    return core.spawn(spec.argv, { cwd = spec.cwd, max_output = spec.max_output },
      function(raw) done(nil, result.new(raw)) end)
  end

  local function session(methods)
    local fake = setmetatable({ root = root, link = link, is_open = true, exec = exec },
      { __index = methods })
    return setmetatable({ way = fake }, { __index = files.methods })
  end

  local function list(methods, max)
    local err, entries
    session(methods).way:list_dir(".", max, function(...) err, entries = ... end)
    uv.run()
    return assert(entries, err)
  end

  local function fill(count)
    for i = 1, count do temp.write(("%s/%04d"):format(root, i), "") end
  end

  local function descriptors()
    local count, scan = 0, assert(uv.fs_scandir "/proc/self/fd")
    while uv.fs_scandir_next(scan) do count = count + 1 end
    return count
  end

  before_each(function() root, commands = temp.dir(), 0 end)

  it("is listed as on the portable one, without a command", function()
    fill(300)
    assert(uv.fs_symlink("/nowhere", root .. "/link"))
    local before = descriptors()
    local entries = assert(session(native_files):list_dir())
    assert.equal(0, commands)
    assert.equal(before, descriptors())
    assert.equal(301, #entries)
    assert.is_nil(entries.truncated)
    assert.same(assert(session(scripted):list_dir()), entries)
  end)

  for _, methods in ipairs { native_files, scripted } do
    local name = methods == native_files and "native" or "portable"
    it("has no more entries than are asked for, and says that there are more: " .. name, function()
      fill(300)
      local entries = list(methods, 200)
      assert.equal(200, #entries)
      assert.is_true(entries.truncated)
      for i = 2, 200 do assert.is_true(entries[i - 1].name < entries[i].name) end
      entries = list(methods, 300)
      assert.equal(300, #entries)
      assert.is_nil(entries.truncated)
    end)
  end

  it("has at most as many entries as one list may have", function()
    local asked
    local fake = { root = root, list_dir = function(_, _, max, done)
      asked = max
      done(nil, {})
      return {}
    end }
    local sb = setmetatable({ way = fake }, { __index = files.methods })
    sb:list_dir(".", function() end)
    uv.run()
    assert.equal(100000, asked)
    assert.equal(asked, files.MAX_ENTRIES)
  end)

  it("lets the loop turn between its parts", function()
    fill(1000)
    local turns, idle = 0, uv.new_idle()
    idle:start(function() turns = turns + 1 end)
    assert.equal(1000, #assert(session(native_files):list_dir()))
    idle:stop()
    idle:close()
    uv.run()
    assert.is_true(turns >= 8, turns .. " turns")
  end)

  describe("that the host may not read", function()
    local real = { fs_opendir = uv.fs_opendir, fs_lstat = uv.fs_lstat }
    after_each(function()
      for name, fn in pairs(real) do uv[name] = fn end
    end)

    local function deny(code)
      return function(_, callback)
        local problem = code .. ": " .. "not this time"
        if type(callback) ~= "function" then return nil, problem, code end
        return real.fs_opendir("/", function(_, handle)
          uv.fs_closedir(handle, function() callback(problem) end)
        end)
      end
    end

    it("is listed by a command in the container", function()
      fill(3)
      for _, name in ipairs { "fs_opendir", "fs_lstat" } do
        commands = 0
        uv[name] = deny "EACCES"
        local before = descriptors()
        local entries = assert(session(native_files):list_dir())
        uv[name] = real[name]
        assert.equal(3, #entries)
        assert.equal(1, commands)
        assert.equal(before, descriptors())
      end
    end)

    it("is an error when it cannot be read otherwise, and never an empty list", function()
      fill(3)
      uv.fs_opendir = deny "EIO"
      local entries, err = session(native_files):list_dir()
      assert.is_nil(entries)
      assert.equal("EIO", err.code)
      assert.equal(0, commands)
    end)
  end)
end)
