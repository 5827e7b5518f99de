local cgroups = require "axosandbox.host.mounts.cgroups"
local ports = require "axosandbox.podman.ports"
local usage = require "axosandbox.session.usage"
local host = require "axosandbox.host"

local ID = ("ab12"):rep(16)
local PID = 4242

-- The files of a host, instead of this one's.
local function on_host(files, fn)
  local real = host.read_file
  host.read_file = function(path) return files[path] end
  local ok, err = xpcall(fn, debug.traceback)
  host.read_file = real
  if not ok then error(err, 0) end
end

local function v1(files)
  local lines, cgroup = {}, {}
  for i, controller in ipairs { "memory", "cpu", "cpuacct", "pids" } do
    lines[i] = ("%d 24 0:2%d / /cg/%s rw - cgroup cgroup rw,%s"):format(
      i, i, controller, controller)
    cgroup[i] = ("%d:%s:/libpod-%s"):format(i, controller, ID)
  end
  lines[5] = "9 24 0:9 / /cg/unified rw - cgroup2 cgroup2 rw"
  cgroup[5] = "0::/libpod-" .. ID
  local all = {
    ["/proc/4242/cgroup"] = table.concat(cgroup, "\n") .. "\n",
    ["/proc/self/mountinfo"] = table.concat(lines, "\n") .. "\n",
  }
  for path, text in pairs(files) do all[path:gsub("ID", ID)] = text end
  return all
end

local function v2(files, path)
  local all = {
    ["/proc/4242/cgroup"] = "0::" .. path:gsub("ID", ID) .. "\n",
    ["/proc/self/mountinfo"] = "31 24 0:27 / /cg rw - cgroup2 cgroup2 rw\n",
  }
  for name, text in pairs(files) do all[name:gsub("ID", ID)] = text end
  return all
end

describe("what a container uses", function()
  it("is read from the hierarchies of cgroup v1", function()
    on_host(v1 {
      ["/cg/cpuacct/libpod-ID/cpuacct.usage"] = "2500000000\n",
      ["/cg/memory/libpod-ID/memory.usage_in_bytes"] = "10485760\n",
      ["/cg/memory/libpod-ID/memory.stat"] = "inactive_file 7\ntotal_inactive_file 4194304\n",
      ["/cg/memory/libpod-ID/memory.oom_control"] = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
      ["/cg/memory/libpod-ID/memory.limit_in_bytes"] = "536870912\n",
      ["/cg/pids/libpod-ID/pids.current"] = "17\n",
      ["/cg/pids/libpod-ID/pids.max"] = "200\n",
    }, function()
      local stats = assert(usage.read(PID, ID))
      assert.equal(2.5, stats.cpu_seconds)
      assert.equal(6291456, stats.memory)
      assert.equal(10485760, stats.memory_total)
      assert.equal(536870912, stats.memory_limit)
      assert.equal(3, stats.oom_kills)
      assert.equal(17, stats.pids)
      assert.equal(200, stats.pids_limit)
      assert.is_nil(stats.cpus_limit)
    end)
  end)

  it("is read from cgroup v2, at the level that holds all of it", function()
    local scope = "/cg/user.slice/libpod-ID.scope"
    on_host(v2({
      [scope .. "/cpu.stat"] = "usage_usec 1500000\nuser_usec 1\n",
      [scope .. "/memory.current"] = "1000000\n",
      [scope .. "/memory.stat"] = "anon 1\ninactive_file 400000\n",
      [scope .. "/memory.events"] = "low 0\noom 4\noom_kill 2\n",
      [scope .. "/pids.current"] = "5\n",
      [scope .. "/cpu.max"] = "150000 100000\n",
      [scope .. "/container/pids.current"] = "4\n",
    }, "/user.slice/libpod-ID.scope/container"), function()
      local stats = assert(usage.read(PID, ID))
      assert.equal(1.5, stats.cpu_seconds)
      assert.equal(600000, stats.memory)
      assert.equal(2, stats.oom_kills)
      assert.equal(5, stats.pids)
      assert.equal(1.5, stats.cpus_limit)
      assert.is_nil(stats.memory_limit)
    end)
  end)

  it("leaves out what a controller that was not delegated does not tell", function()
    on_host(v2({ ["/cg/a/libpod-ID/pids.current"] = "5\n" }, "/a/libpod-ID"), function()
      local stats = assert(usage.read(PID, ID))
      assert.equal(5, stats.pids)
      assert.is_nil(stats.memory)
      assert.is_nil(stats.cpu_seconds)
    end)
  end)

  it("is never what the host's own cgroup uses", function()
    on_host(v2({ ["/cg/user.slice/pids.current"] = "500\n" }, "/user.slice"), function()
      local stats, err = usage.read(PID, ID)
      assert.is_nil(stats)
      assert.equal("ENOTSUP", err.code)
      assert.is_string(err.hint)
    end)
  end)

  it("is an error when the container has ended, or is elsewhere", function()
    on_host({ ["/proc/self/mountinfo"] = "" }, function()
      assert.equal("GONE", select(2, usage.read(PID, ID)).code)
      assert.equal("ENOTSUP", select(2, usage.read(nil, ID)).code)
      assert.equal("ENOTSUP", select(2, usage.read(0, ID)).code)
    end)
  end)

  it("gives the CPUs that were busy between two readings", function()
    assert.equal(1.5, usage.cpus({ taken = 10, cpu_seconds = 3 }, { taken = 12, cpu_seconds = 6 }))
    assert.equal(0, usage.cpus({ taken = 10, cpu_seconds = 3 }, { taken = 12, cpu_seconds = 2 }))
    assert.is_nil(usage.cpus({ taken = 10, cpu_seconds = 3 }, { taken = 10, cpu_seconds = 4 }))
    assert.is_nil(usage.cpus({ taken = 10 }, { taken = 11, cpu_seconds = 4 }))
  end)
end)

describe("the directory of a cgroup", function()
  it("is the controller's on v1 and the unified one where v1 has it not", function()
    on_host(v1 {}, function()
      local context = assert(cgroups.context(PID, ID))
      assert.equal("/cg/memory/libpod-" .. ID, cgroups.directory(context, "memory"))
      assert.equal("/cg/unified/libpod-" .. ID, cgroups.directory(context, "hugetlb"))
    end)
  end)
end)

describe("where programs in a container listen", function()
  local HEADER = "  sl  local_address rem_address   st\n"

  local function line(address, port, state)
    return ("   0: %s:%04X 00000000:0000 %s 00000000:00000000\n"):format(address, port, state)
  end

  it("is anywhere, or only on loopback, or nowhere", function()
    on_host({
      ["/proc/4242/net/tcp"] = HEADER
        .. line("00000000", 3000, "0A") .. line("0100007F", 3001, "0A")
        .. line("0B00007F", 3002, "0A") .. line("0500A8C0", 3003, "0A")
        .. line("0100007F", 3004, "01") .. line("0100007F", 3005, "0A"),
      ["/proc/4242/net/tcp6"] = HEADER
        .. line("00000000000000000000000001000000", 3006, "0A")
        .. line("0000000000000000FFFF00000100007F", 3007, "0A")
        .. line("00000000000000000000000000000000", 3005, "0A"),
    }, function()
      assert.same({
        [3000] = "any", [3001] = "loopback", [3002] = "loopback", [3003] = "any",
        [3005] = "any", [3006] = "loopback", [3007] = "loopback",
      }, ports.reach(PID))
      assert.is_nil(ports.reach(nil))
      assert.is_nil(ports.reach(7))
    end)
  end)
end)
