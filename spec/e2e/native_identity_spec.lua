-- @runs native-root native-user
-- A session is opened by its own file without asking podman; which session that is, and whether it
-- lives, is never taken from the file alone.
local uv = require "luv"
local cjson = require "cjson"
local axo = require "axosandbox"
local cli = require "spec.support.cli"
local e2e = require "spec.support.e2e"
local engine_host = require "axosandbox.host"
local native = require "spec.support.native"
local podman, temp = e2e.podman, e2e.temp

local function file_of(sb) return sb.record.runtime_dir .. "/session.json" end

local function rewrite(sb, change)
  local path = file_of(sb)
  local before = temp.read(path)
  local fields = cjson.decode(before)
  fields = change(fields) or fields
  temp.write(path, type(fields) == "string" and fields or cjson.encode(fields), "600")
  return function() temp.write(path, before, "600") end
end

-- What podman is asked while `fn` runs.
local function asked(fn)
  local program, calls = podman.recording()
  podman.with(program, fn)
  return calls()
end

local function says(sb, word)
  return assert(sb:exec { "echo", word }).stdout == word .. "\n"
end

describe("a session whose guest answers", function()
  e2e.housekeeping(_ENV)
  local sb
  setup(function() sb = native.start() end)
  teardown(function() sb:stop() end)

  local function open_and_speak()
    local opened <close> = native.open(sb:id())
    assert.is_true(says(opened, "in"))
    return opened.record
  end

  it("is opened and used without podman", function()
    assert.same({}, asked(open_and_speak))
    assert.same({}, asked(function()
      local result = cli.run { "exec", sb:id(), "--", "echo", "there" }
      assert.equal("there\n", result.stdout, result.stderr)
    end))
  end)

  it("is the same as podman describes it", function()
    local by_file = open_and_speak()
    local restore = rewrite(sb, function() return "" end)
    local by_podman
    local calls = asked(function() by_podman = open_and_speak() end)
    restore()
    assert.equal(1, #calls, table.concat(calls, "\n"))
    for _, record in ipairs { by_file, by_podman } do
      record.client, record.policy, record.lock, record.entered = nil, nil, nil, nil
    end
    assert.same(by_podman, by_file)
  end)

  it("has a file that is this user's alone", function()
    local stat = assert(uv.fs_lstat(file_of(sb)))
    assert.equal("file", stat.type)
    assert.equal(tonumber("600", 8), stat.mode & tonumber("777", 8))
    assert.equal(uv.getuid(), stat.uid)
    assert.is_nil(temp.read(file_of(sb)):find("SECRET", 1, true))
  end)

  it("is listed with its work by one question", function()
    local task = assert(sb:spawn_background { "sleep", e2e.probe.unique_sleep() })
    local listed
    local calls = asked(function() listed = cli.run { "ps", "--tasks", "--json" } end)
    assert.equal(1, #calls, table.concat(calls, "\n"))
    assert.equal(0, listed.code, listed.stderr)
    local found
    for _, session in ipairs(cjson.decode(listed.stdout)) do
      if session.id == sb:id() then found = session.tasks end
    end
    assert.equal(task.id, found[1].id)
    assert(task:stop())
  end)

  -- What cannot be believed, or not be read, leaves podman to be asked.
  local function field(name, value)
    return function(fields) fields[name] = value end
  end
  local function identity(edit)
    return function(fields) fields.process = fields.process:gsub("^(%d+):(%d+):([^:]+)", edit) end
  end
  local function label(name, value)
    return function(fields) fields.labels["axosandbox." .. name] = value end
  end
  local DOUBTFUL = {
    ["is none"] = function() return "" end,
    ["is cut off"] = function() return '{"version":1,"process":"1' end,
    ["is too long"] = function() return ("[1]"):rep(200000) end,
    ["is of a later version"] = field("version", 2),
    ["says what it cannot"] = field("more", 1),
    ["names no process"] = field("process", nil),
    ["names a process in no form"] = field("process", "1"),
    ["names another container id"] = field("container_id", "../../x"),
    ["names a process that has got the number since"] = identity "%1:1:%3",
    ["names a process of another boot"] = identity "%1:%2:00000000-0000-0000-0000-000000000000",
    ["names another process that lives"] = function(fields)
      fields.process = engine_host.identity()
    end,
    ["is another session's"] = label("id", "other"),
    ["lies elsewhere"] = label("place", "/tmp/x"),
    ["has a malformed label"] = label("instance", "../../../tmp"),
    ["has the link directory of another"] = label("instance", ("ab"):rep(16)),
  }
  for what, change in pairs(DOUBTFUL) do
    it("is asked of podman when its file " .. what, function()
      local restore = rewrite(sb, change)
      local calls = asked(open_and_speak)
      restore()
      assert.equal(1, #calls, table.concat(calls, "\n"))
      assert.matches("^inspect", calls[1])
      assert.same({}, asked(open_and_speak))
    end)
  end

  it("is asked of podman when others could have written its file, or it is a link", function()
    local path = file_of(sb)
    assert(uv.fs_chmod(path, tonumber("666", 8)))
    assert.equal(1, #asked(open_and_speak))
    assert(uv.fs_chmod(path, tonumber("600", 8)))
    assert(uv.fs_rename(path, path .. ".real"))
    assert(uv.fs_symlink(path .. ".real", path))
    assert.equal(1, #asked(open_and_speak))
    assert(uv.fs_rename(path .. ".real", path))
    assert.same({}, asked(open_and_speak))
  end)
end)

describe("a session that has changed since its file was written", function()
  e2e.housekeeping(_ENV)

  it("is not running when its container has ended", function()
    local sb = native.start()
    podman.must("kill", sb:container())
    e2e.eventually(function()
      return podman.inspect(sb:container()).State.Status == "exited"
    end, "its end")
    local opened, err = axo.open(sb:id())
    assert.is_nil(opened)
    assert.equal("NOT_RUNNING", err.code)
    podman.must("rm", "-f", sb:container())
    opened, err = axo.open(sb:id())
    assert.is_nil(opened)
    assert.equal("NOT_FOUND", err.code)
    assert(sb:stop())
  end)
end)
