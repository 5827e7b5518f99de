local support = require "spec.support.cli"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"
local uv = require "luv"

-- A PATH in which the package managers are ours: they write down what they are asked.
local function fake_host(managers, missing)
  local dir = temp.dir()
  local log = temp.write(dir .. "/asked", "")
  for _, name in ipairs(managers) do
    temp.write(dir .. "/" .. name,
      ("#!/bin/sh\necho %s \"$@\" >> %s\n"):format(name, log), "755")
  end
  if missing then temp.write(dir .. "/pkg-config", "#!/bin/sh\nexit 1\n", "755") end
  return {
    env = proc.environment { PATH = dir .. ":" .. os.getenv "PATH" },
    asked = function() return temp.read(log) end,
    dir = dir,
  }
end

local function setup_script(host, ...)
  return proc.run({ support.scripts() .. "/setup", ... }, { env = host.env, cwd = host.dir })
end

describe("scripts/setup", function()
  if not uv.fs_access(support.scripts() .. "/setup", "X") then return end
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  it("asks for nothing when nothing is missing", function()
    local host = fake_host { "apt-get" }
    local result = setup_script(host)
    assert.equal(0, result.code, result.stderr)
    assert.equal("", result.stdout .. result.stderr)
    assert.equal("", host.asked())
  end)

  it("says what is missing without installing it", function()
    local host = fake_host({ "apt-get" }, true)
    local result = setup_script(host, "--check")
    assert.equal(1, result.code)
    assert.matches("missing: .*liblua5%.4%-dev", result.stderr)
    assert.equal("", host.asked())
  end)

  -- A PATH with what the script itself calls, and with this netavark.
  local function with_netavark(answer)
    local host = fake_host { "apt-get" }
    for _, name in ipairs { "bash", "sed", "sort", "tr", "head", "grep", "cat", "uname" } do
      uv.fs_symlink(proc.must { "sh", "-c", "command -v " .. name }:match "[^\n]+",
        host.dir .. "/" .. name)
    end
    temp.write(host.dir .. "/netavark", "#!/bin/sh\necho '" .. answer .. "'\n", "755")
    assert(uv.fs_mkdir(host.dir .. "/lib", 493))
    temp.write(host.dir .. "/lib/where", temp.read(support.scripts() .. "/lib/where"))
    local script = temp.write(host.dir .. "/setup", (temp.read(support.scripts() .. "/setup")
      :gsub("PATH=%$PATH:[%w/:]+", ":")), "755")
    local result = proc.run({ host.dir .. "/bash", script, "--check" },
      { env = { "PATH=" .. host.dir }, cwd = host.dir })
    local missing = " " .. result.stderr:match "missing: ([^\n]*)" .. " "
    return missing:find(" nftables ", 1, true) ~= nil, missing:find(" iptables ", 1, true) ~= nil
  end

  it("wants the program that netavark writes its rules with", function()
    assert.same({ true, false }, { with_netavark '{ "default_fw_driver": "nftables" }' })
    assert.same({ false, true }, { with_netavark '{ "default_fw_driver": "iptables" }' })
    assert.same({ false, true }, { with_netavark '{ "version": "1.4.0" }' })
  end)

  if uv.getuid() == 0 then
    it("installs what is missing and only that, and checks that it came", function()
      local host = fake_host({ "apt-get" }, true)
      local result = setup_script(host)
      assert.equal(1, result.code)
      assert.matches("still not found", result.stderr)
      local update, install = host.asked():match "^(.-)\n(.-)\n$"
      assert.matches("^apt%-get .*update$", update)
      assert.matches("%-recommends lib.*liblua5.4%-dev .*libuv1%-dev .*lua%-luv%-dev", install)
      for package in install:match "%-recommends (.*)$":gmatch "%S+" do
        assert.matches("%-dev$", package) -- what pkg-config was asked for, and nothing else
      end
    end)
  else
    it("without root and without sudo says what to type, and waits for nothing", function()
      local host = fake_host({ "apt-get" }, true)
      temp.write(host.dir .. "/sudo", "#!/bin/sh\nexit 1\n", "755")
      local result = setup_script(host)
      assert.equal(1, result.code)
      assert.matches("sudo apt%-get install .*liblua5.4%-dev", result.stderr)
      assert.equal("", host.asked())
    end)
  end

  it("finds itself when it is named from where the caller stands", function()
    local host = fake_host({ "apt-get", "sudo" }, true)
    local scripts = support.scripts()
    local result = proc.run({ "./" .. scripts:match "[^/]+$" .. "/setup" },
      { env = host.env, cwd = scripts:match "^(.*)/" })
    assert.equal(1, result.code)
    assert.matches("still not found", result.stderr)
  end)

  it("refuses options that it does not know", function()
    assert.equal(2, setup_script(fake_host {}, "--frobnicate").code)
  end)
end)

describe("scripts/quickstart", function()
  if not uv.fs_access(support.scripts() .. "/quickstart", "X") then return end
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  it("looks at the directory before it installs or builds anything", function()
    local host = fake_host({ "apt-get" }, true)
    for _, words in ipairs { { "--dir", "missing" }, { "-q", "--dir=missing", "--", "ls" } } do
      local result = proc.run({ support.scripts() .. "/quickstart", table.unpack(words) },
        { env = host.env, cwd = host.dir })
      assert.equal(125, result.code)
      assert.equal("quickstart: there is no directory missing; mkdir -p missing makes it\n",
        result.stderr)
      assert.equal("", host.asked())
    end
  end)
end)
