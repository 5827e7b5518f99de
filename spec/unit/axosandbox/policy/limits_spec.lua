local uv = require "luv"
local cgroups = require "axosandbox.host.mounts.cgroups"
local limits = require "axosandbox.policy.limits"
local unit = require "spec.support.unit"

local ID = ("ab12"):rep(16)

describe("limits of a decision", function()
  it("are bytes, CPUs and processes", function()
    assert.same({ memory = 2 * 1024 ^ 3, cpus = 1.5, pids = 512 },
      limits.normalise { memory = "2g", cpus = 1.5, pids = 512.0 })
    assert.same({}, limits.normalise { memory = false, cpus = false, pids = false })
    assert.same({}, limits.normalise(nil))
  end)

  it("with a size that is none have a problem", function()
    for _, size in ipairs { "", "2x", "-1g", "g", "1e3q" } do
      local result, problem = limits.normalise { memory = size }
      assert.is_nil(result)
      assert.matches("memory", problem)
    end
  end)
end)

describe("limits read back", function()
  local base
  before_each(function() base = assert(uv.fs_mkdtemp "/tmp/axotest-limits-XXXXXX") end)
  after_each(function() assert(unit.run { "rm", "-rf", "--", base }) end)

  local function put(path, text)
    assert(unit.run { "mkdir", "-p", "--", (base .. path):match "^(.*)/" })
    local file = assert(io.open(base .. path, "w"))
    file:write(text, "\n")
    file:close()
  end

  local ASKED = { memory = 2 * 1024 ^ 3, cpus = 2, pids = 512 }

  local function v2(path)
    return limits.compare(ASKED, cgroups.of {
      container_id = ID, cgroup = "0::" .. path .. "\n",
      mountinfo = ("31 24 0:27 / %s rw - cgroup2 cgroup2 rw\n"):format(base),
    })
  end

  local function v1(path)
    local lines, cgroup = {}, {}
    for i, controller in ipairs { "memory", "cpu", "pids" } do
      lines[i] = ("%d 24 0:2%d / %s/%s rw - cgroup cgroup rw,%s"):format(
        i, i, base, controller, controller)
      cgroup[i] = ("%d:%s:%s"):format(i, controller, path)
    end
    cgroup[4] = "0::" .. path
    lines[4] = ("9 24 0:9 / %s/unified rw - cgroup2 cgroup2 rw"):format(base)
    return limits.compare(ASKED, cgroups.of {
      container_id = ID, cgroup = table.concat(cgroup, "\n") .. "\n",
      mountinfo = table.concat(lines, "\n") .. "\n",
    })
  end

  local function assert_enforced(report)
    assert.is_true(report.verified)
    assert.same({ asked = ASKED.memory, applied = ASKED.memory, enforced = true }, report.memory)
    assert.same({ asked = 2, applied = 2.0, enforced = true }, report.cpus)
    assert.same({ asked = 512, applied = 512, enforced = true }, report.pids)
    assert.is_nil(limits.shortfall(report))
  end

  it("are in force on cgroup v2, also on the level above the container's own", function()
    local scope = "/user.slice/libpod-" .. ID .. ".scope"
    put(scope .. "/memory.max", "2147483648")
    put(scope .. "/cpu.max", "200000 100000")
    put(scope .. "/pids.max", "512")
    assert_enforced(v2(scope))
    put(scope .. "/container/memory.max", "max")
    put(scope .. "/container/cpu.max", "max 100000")
    put(scope .. "/container/pids.max", "max")
    assert_enforced(v2(scope .. "/container"))
  end)

  it("are in force on cgroup v1", function()
    local path = "/libpod_parent/libpod-" .. ID
    put("/memory" .. path .. "/memory.limit_in_bytes", "2147483648")
    put("/cpu" .. path .. "/cpu.cfs_quota_us", "200000")
    put("/cpu" .. path .. "/cpu.cfs_period_us", "100000")
    put("/pids" .. path .. "/pids.max", "512")
    assert_enforced(v1(path))
  end)

  it("that the runtime ignored are not", function()
    local scope = "/user.slice/libpod-" .. ID .. ".scope"
    put(scope .. "/memory.max", "max")
    put(scope .. "/cpu.max", "max 100000")
    local report = v2(scope)
    assert.is_true(report.verified)
    for _, key in ipairs { "memory", "cpus", "pids" } do
      assert.is_nil(report[key].applied)
      assert.is_false(report[key].enforced)
    end
    assert.equal("memory = 2g, cpus = 2, pids = 512", limits.shortfall(report))
  end)

  it("of the host's own cgroup are not the container's", function()
    put("/memory/user/memory.limit_in_bytes", "1048576")
    put("/cpu/user/cpu.cfs_quota_us", "100000")
    put("/cpu/user/cpu.cfs_period_us", "100000")
    put("/pids/user/pids.max", "10")
    local report = v1 "/user"
    assert.is_nil(report.memory.applied)
    assert.is_false(report.pids.enforced)
  end)

  it("are none where cgroup v1 says the largest number", function()
    local path = "/libpod-" .. ID
    put("/memory" .. path .. "/memory.limit_in_bytes", "9223372036854771712")
    put("/cpu" .. path .. "/cpu.cfs_quota_us", "-1")
    put("/cpu" .. path .. "/cpu.cfs_period_us", "100000")
    put("/pids" .. path .. "/pids.max", "max")
    local report = v1(path)
    assert.is_nil(report.memory.applied)
    assert.is_nil(report.cpus.applied)
    assert.is_nil(report.pids.applied)
  end)

  it("that are looser than asked do not count", function()
    local scope = "/libpod-" .. ID .. ".scope"
    put(scope .. "/memory.max", "4294967296")
    put(scope .. "/cpu.max", "400000 100000")
    put(scope .. "/pids.max", "512")
    local report = v2(scope)
    assert.is_false(report.memory.enforced)
    assert.is_false(report.cpus.enforced)
    assert.is_true(report.pids.enforced)
    assert.equal("memory = 2g, cpus = 2", limits.shortfall(report))
  end)

  it("are not verified where the container runs elsewhere", function()
    local report = limits.verify(ASKED, nil, ID)
    assert.is_false(report.verified)
    assert.is_false(report.memory.enforced)
    assert.is_string(limits.shortfall(report))
  end)

  it("of which none was asked fall short of nothing", function()
    assert.is_nil(limits.shortfall(limits.compare({}, nil)))
  end)
end)
