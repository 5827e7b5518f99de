local cgroups = require "axosandbox.host.mounts.cgroups"

describe("/proc/PID/cgroup", function()
  it("gives the path in each hierarchy", function()
    local paths = cgroups.parse_cgroup(
      "9:name=systemd:/a\n8:pids:/b:c\n3:cpu,cpuacct:/d\n0::/user.slice/e\n")
    assert.equal("/b:c", paths.pids)
    assert.equal("/d", paths.cpu)
    assert.equal("/d", paths.cpuacct)
    assert.equal("/user.slice/e", paths[""])
  end)
end)

describe("/proc/self/mountinfo", function()
  it("tells where the hierarchies are mounted", function()
    local mounts = cgroups.parse_mounts(table.concat({
      "25 30 0:23 / /proc rw,nosuid shared:7 - proc proc rw",
      "31 24 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate",
      "3 24 0:28 /docker/x /sys/fs/cgroup/cpu\\040acct rw shared:1 - cgroup cgroup rw,cpu,cpuacct",
    }, "\n"))
    assert.same({ root = "/", point = "/sys/fs/cgroup/unified" }, mounts[""])
    assert.same({ root = "/docker/x", point = "/sys/fs/cgroup/cpu acct" }, mounts.cpu)
  end)
end)
