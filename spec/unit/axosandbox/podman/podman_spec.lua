local uv = require "luv"
local await = require "axosandbox.base.await"
local embedded = require "axosandbox.podman.embedded"
local install = require "axosandbox.podman.install"
local package_manager = require "axosandbox.podman.package_manager"
local podman = require "axosandbox.podman"
local ports = require "axosandbox.podman.ports"
local tar = require "axosandbox.podman.tar"
local unit = require "spec.support.unit"

-- The client runs whatever podman it is given: a shell serves to see what it makes of output,
-- exit codes, signals and time.
local function client()
  return assert(podman.client { podman = "/bin/sh" })
end

local function ask(script, opts)
  return await.call(function(done)
    return client():request({ "/bin/sh", "-c", script }, opts, done)
  end)
end

describe("a request", function()
  it("gives what podman answered", function()
    local result = assert(ask "echo out; echo err >&2")
    assert.equal("out\n", result.stdout)
    assert.equal("err\n", result.stderr)
  end)

  it("runs in a directory that can be read", function()
    assert.equal("/\n", assert(ask "pwd").stdout)
  end)

  it("has no input unless it is given some", function()
    assert.equal("", assert(ask "cat").stdout)
    assert.equal("some", assert(ask("cat", { stdin = "some" })).stdout)
  end)

  it("that fails carries the cause, the exit code and all of stderr", function()
    local text = 'time="x" level=warning msg="no"\nError: no such thing\n'
    local result, err = ask(("printf '%%s' '%s' >&2; exit 125"):format(text), { op = "start" })
    assert.is_nil(result)
    assert.equal("PODMAN", err.code)
    assert.equal("start", err.op)
    assert.equal(125, err.exit_code)
    assert.equal(text, err.stderr)
    assert.matches("no such thing", err.message, 1, true)
    assert.is_nil(err.message:find("warning", 1, true))
  end)

  it("that fails without a word is told by its exit code", function()
    local _, err = ask "exit 3"
    assert.matches("3", err.message)
  end)

  it("that hangs is ended, and the exit code 0 of a signalled client is not believed", function()
    local _, err = ask("trap 'exit 0' TERM; while :; do sleep 0.01; done", { timeout = 0.1 })
    assert.equal("TIMEOUT", err.code)
  end)

  it("that is cancelled is no success either", function()
    local outcome
    local process = client():request(
      { "/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.01; done" }, {},
      function(err) outcome = err or false end)
    process:cancel()
    unit.wait(function() return outcome ~= nil end)
    assert.equal("CANCELLED", outcome.code)
  end)

  it("whose client is killed tells the signal", function()
    local _, err = ask "kill -9 $$"
    assert.equal("PODMAN", err.code)
    assert.equal("KILL", err.signal)
  end)

  it("that is watched has its stderr all the same", function()
    local seen = {}
    local _, err = ask("echo 'Error: one' >&2; exit 125",
      { progress = function(bytes) seen[#seen + 1] = bytes end })
    assert.equal("Error: one\n", table.concat(seen))
    assert.equal("Error: one\n", err.stderr)
  end)

  it("of a program that is gone fails at once", function()
    local process, err = client():request({ "/no/such/podman" }, {}, function() end)
    assert.is_nil(process)
    assert.truthy(err.code)
  end)
end)

describe("podman that is missing", function()
  it("is an error with the command to type, and nothing hangs", function()
    local path, override = os.getenv "PATH", os.getenv "AXOSANDBOX_PODMAN"
    uv.os_setenv("PATH", "")
    uv.os_unsetenv "AXOSANDBOX_PODMAN"
    local found, err = podman.client()
    uv.os_setenv("PATH", path)
    if override then uv.os_setenv("AXOSANDBOX_PODMAN", override) end
    assert.is_nil(found)
    assert.equal("ENOENT", err.code)
    assert.matches("install", err.hint)
  end)

  it("is installed by the manager of the distribution", function()
    local cases = {
      ["ID=debian\n"] = "apt-get",
      ['ID=linuxmint\nID_LIKE="ubuntu debian"\n'] = "apt-get",
      ["ID=fedora\n"] = "dnf",
      ['ID="rocky"\nID_LIKE="rhel centos fedora"\n'] = "dnf",
      ["ID=arch\n"] = "pacman",
      ['ID="opensuse-leap"\nID_LIKE="suse opensuse"\n'] = "zypper",
      ["ID=alpine\n"] = "apk",
    }
    for text, program in pairs(cases) do
      assert.equal(program, package_manager.manager_for(text).program)
    end
    assert.is_nil(package_manager.manager_for "ID=nixos\n")
    assert.is_nil(package_manager.manager_for(nil))
  end)

  it("is not installed unless that is allowed, nor with options that are none", function()
    assert.has_error(function() install.ensure_ready { allow_instal = true } end)
  end)
end)

describe("a complaint", function()
  it("is classified by its text", function()
    local meaning = podman.classify(
      "Error: rootlessport listen tcp 0.0.0.0:3000: bind: address already in use", 126)
    assert.equal("PORT_CONFLICT", meaning.class)
    assert.equal(3000, meaning.port)
  end)

  it("must be text", function()
    assert.has_error(function() podman.classify(nil, 1) end)
  end)
end)

describe("the embedded image", function()
  local function elf(interpreter)
    local header = "\127ELF" .. "\2\1\1" .. ("\0"):rep(9) .. ("<I2I2I4I8I8I8I4I2I2I2I2I2I2"):pack(
      2, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    local function segment(kind) return ("<I4"):pack(kind) .. ("\0"):rep(52) end
    return header .. segment(1) .. segment(interpreter and 3 or 1)
  end

  it("is made only of a busybox that needs no loader", function()
    assert.is_true(embedded.is_static(elf(false)))
    assert.is_false(embedded.is_static(elf(true)))
    for _, text in ipairs { "", "#!/bin/sh\n", "\127ELF", elf(false):sub(1, 100) } do
      assert.is_false(embedded.is_static(text))
    end
  end)

  it("has links for applets, none of them onto busybox itself", function()
    local seen = {}
    for _, entry in ipairs(embedded.entries("BUSYBOX",
      "bin/busybox\nbin/sh\nbin/sh\nusr/bin/env\nlinuxrc\nodd/place/x\nbin\n../etc/x\n")) do
      assert.is_nil(seen[entry.path], entry.path)
      seen[entry.path] = entry
    end
    assert.equal("file", seen["bin/busybox"].type)
    assert.equal("/bin/busybox", seen["bin/sh"].target)
    assert.equal("/bin/busybox", seen["usr/bin/env"].target)
    assert.equal("directory", seen.bin.type)
    assert.equal(tonumber("1777", 8), seen.tmp.mode)
    for _, path in ipairs { "linuxrc", "odd/place/x", "../etc/x" } do assert.is_nil(seen[path]) end
  end)

  it("is packed as tar reads it", function()
    local bytes = tar.pack {
      { path = "dir", type = "directory", mode = tonumber("1777", 8) },
      { path = "dir/file", type = "file", mode = tonumber("755", 8), data = ("x"):rep(1000) },
      { path = "dir/link", type = "symlink", mode = tonumber("777", 8), target = "file" },
    }
    assert.equal(0, #bytes % 512)
    local listing = assert(unit.run({ "tar", "-tvf", "-", "--numeric-owner" }, { stdin = bytes }))
    assert.equal(0, listing.code, listing.stderr)
    assert.matches("drwxrwxrwt 0/0 +0 [^\n]* dir/\n", listing.stdout)
    assert.matches("%-rwxr%-xr%-x 0/0 +1000 [^\n]* dir/file\n", listing.stdout)
    assert.matches("l[rwx-]+ 0/0 +0 [^\n]* dir/link %-> file\n", listing.stdout)
    local file = assert(unit.run({ "tar", "-xOf", "-", "dir/file" }, { stdin = bytes }))
    assert.equal(("x"):rep(1000), file.stdout)
  end)
end)

describe("a port", function()
  -- A luv handle that is still closing when the state is closed crashes luv.
  local function busy(address, list)
    local found = ports.busy(address, list)
    uv.run "nowait"
    return found
  end

  it("is busy while somebody listens on it", function()
    local server = uv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(1, function() end)
    local port = server:getsockname().port
    assert.same({ [port] = true }, busy("127.0.0.1", { port }))
    local found = {}
    local file = io.open "/proc/net/tcp"
    if file then
      ports.parse_listeners(file:read "a", found)
      file:close()
      assert.is_true(found[port])
    end
    server:close()
    uv.run "nowait"
    assert.same({}, busy("127.0.0.1", { port }))
  end)

  it("is not busy on an address that is none: podman will say", function()
    assert.same({}, busy("nowhere", { 80 }))
  end)
end)
