-- What doctor looks at, on hosts that this one is not.
local support = require "spec.support.cli"
support.expose_libraries()
local login = require "axosandbox.host.login"
local checks = require "axolua.doctor.checks"
local probe = require "axolua.doctor.probe"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"
local uv = require "luv"

local ROUTES = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
local ETH0 = "eth0\t00000000\t0100580A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
local IPV6 = ("0"):rep(32) .. " 00 " .. ("0"):rep(32) .. " 00 " .. ("0"):rep(32)
  .. " ffffffff 00000001 00000000 00200200 %8s\n"

describe("the network of a session, seen from inside", function()
  it("is none when only the loopback is there", function()
    assert.same({}, probe.interfaces(ROUTES, ""))
    assert.same({}, probe.interfaces("", ""))
    assert.same({}, probe.interfaces(ROUTES, IPV6:format "lo" .. IPV6:format "lo"))
  end)

  it("is what its routes lead through", function()
    assert.same({ "eth0" }, probe.interfaces(ROUTES .. ETH0 .. ETH0, IPV6:format "lo"))
    assert.same({ "tap0" }, probe.interfaces(ROUTES, IPV6:format "lo" .. IPV6:format "tap0"))
    assert.same({ "eth0", "lo1" }, probe.interfaces(ROUTES .. ETH0, IPV6:format "lo1"))
  end)
end)

describe("what becomes of a user's sessions at its logout", function()
  local root
  local where = { uid = 1000, user = "ann" }
  local mark
  setup(function() mark = janitor.mark() end)
  teardown(function() janitor.sweep(mark) end)
  before_each(function()
    root = temp.dir()
    where.root = root
  end)

  local function make(path)
    local made = root
    for part in path:gmatch "[^/]+" do
      made = made .. "/" .. part
      uv.fs_mkdir(made, 448)
    end
  end

  it("is nothing where systemd is not in charge", function()
    assert.is_nil(login.state(where))
    make "run/user/1000/systemd"
    assert.is_nil(login.state(where))
  end)

  it("is told by its service manager, and by whether it lingers", function()
    make "run/systemd/system"
    assert.equal("none", login.state(where))
    make "run/user/1000"
    assert.equal("none", login.state(where))
    make "run/user/1000/systemd"
    assert.equal("login", login.state(where))
    make "var/lib/systemd/linger"
    temp.write(root .. "/var/lib/systemd/linger/anne", "")
    assert.equal("login", login.state(where))
    temp.write(root .. "/var/lib/systemd/linger/ann", "")
    assert.equal("lingering", login.state(where))
    assert.is_nil(login.state { root = root, uid = 0, user = "root" })
  end)

  it("is recalled where a session does not run, to a user who does not linger", function()
    make "run/systemd/system"
    assert.equal("", login.reminder(where))
    make "run/user/1000/systemd"
    assert.equal("", login.reminder { root = root, uid = 0, user = "root" })
    assert.matches("logout.*loginctl enable%-linger", login.reminder(where))
    make "var/lib/systemd/linger"
    temp.write(root .. "/var/lib/systemd/linger/ann", "")
    assert.equal("", login.reminder(where))
  end)
end)

describe("the policy in force", function()
  local mark
  setup(function() mark = janitor.mark() end)
  teardown(function()
    uv.os_unsetenv "AXOSANDBOX_POLICY_PATH"
    janitor.sweep(mark)
  end)

  it("is not as shipped because its directory is called like the shipped one", function()
    local dir = temp.dir()
    for _, part in ipairs { "/share", "/axosandbox", "/policy" } do
      dir = dir .. part
      uv.fs_mkdir(dir, 448)
    end
    temp.write(dir .. "/retry.lua", "return function(request, default) return default(request) end")
    uv.os_setenv("AXOSANDBOX_POLICY_PATH", dir)
    local report = checks.report()
    checks.policy(report)
    assert.equal("overridden by " .. dir .. "/retry.lua", report.rows[1].detail)
  end)

  local function rows_with(text)
    local dir = temp.dir()
    temp.write(dir .. "/exec.lua", text)
    uv.os_setenv("AXOSANDBOX_POLICY_PATH", dir)
    local report = checks.report()
    checks.policy(report)
    return report, dir
  end

  it("is no good where a file cannot decide, however it fails", function()
    for text, complaint in pairs {
      ["return function() return {"] = "exec.lua:1: ",
      ["return function() error 'not now' end"] = "exec.lua:1: not now",
      ["return function() return { alow = true } end"] = 'did you mean "allow"',
      ["return function(r, d) if r.kind == 'task' then return nil .. r end return d(r) end"] =
        "tried with: a background task",
    } do
      local report = rows_with(text)
      assert.equal(1, #report.rows, text)
      assert.is_true(report:has_failed(), text)
      assert.matches(complaint, report.rows[1].detail, 1, true)
      assert.is_string(report.rows[1].fix, text)
    end
    local refuses = rows_with "return function() return { allow = false, reason = 'no' } end"
    assert.is_false(refuses:has_failed())
  end)
end)
