-- @runs native-root native-user
-- `axolua image make`, with a program in the place of debootstrap that makes a small root of busybox
-- at once: what is around it, and what is left of it, is the real thing.
local cjson = require "cjson"
local uv = require "luv"
local e2e = require "spec.support.e2e"
local support = require "spec.support.cli"
local podman, temp = e2e.podman, e2e.temp

-- Its arguments end in SUITE, DIRECTORY and ARCHIVE. apt-get and useradd are what it says they are.
local BOOTSTRAP = [=[#!/bin/sh
set -eu
while [ $# -gt 3 ]; do shift; done
echo "I: making $1 from $3"
root=$2
for dir in bin dev etc/apt proc sys tmp usr/bin usr/sbin var/log; do mkdir -p "$root/$dir"; done
busybox=$(command -v busybox)
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
printf '#!/bin/sh\necho "$@" >>/packages\ncase $* in *missing*)\n' >"$root/usr/bin/apt-get"
cd "$root/usr"
printf 'echo "E: Unable to locate package missing" >&2; exit 100;; esac\n' >>bin/apt-get
printf '#!/bin/sh\necho dev:x:1000:1000::/home/dev:/bin/sh >>/etc/passwd\n' >sbin/useradd
chmod 755 bin/apt-get sbin/useradd
%s
]=]

describe("axolua image make", function()
  e2e.housekeeping(_ENV)

  local cache
  before_each(function() cache = temp.dir() end)

  local function environment(more)
    local program = temp.write(temp.dir() .. "/debootstrap", BOOTSTRAP:format(more or ""), "755")
    return { AXOSANDBOX_BOOTSTRAP = program, XDG_CACHE_HOME = cache }
  end

  local function new_name()
    local name = "axotest-" .. temp.token() .. ":1"
    e2e.janitor.made("image", "localhost/" .. name)
    return name
  end

  local function make(name, packages, more)
    return support.run({ "image", "make", name, "--packages", packages, "--suite", "axotest",
      "--mirror", "http://archive.invalid/debian" }, { env = environment(more) })
  end

  local function left()
    return support.shell([[ls "$1" | grep -cv "^lock$"]], cache .. "/axosandbox/images").stdout
  end

  local function run(name, ...)
    return support.run { "run", "--dir", temp.dir "project", "--network", "none", "--image", name,
      "--", ... }
  end

  local function digest_of(name)
    local result = podman.run("image", "inspect", "--format", "{{.Id}}", "localhost/" .. name)
    return result.code == 0 and result.stdout:match "%x+" or nil
  end

  it("makes an image that every project may run, and leaves nothing else", function()
    local name = new_name()
    local result = make(name, "tree,git")
    assert.equal(0, result.code, result.stderr)
    assert.matches("axolua run %-%-image " .. name:gsub("%p", "%%%0"), result.stdout)
    result = run(name, "sh", "-c", "cat /packages /etc/apt/sources.list; echo $LANG")
    assert.equal(0, result.code, result.stderr)
    assert.matches("install ca%-certificates tree git", result.stdout)
    assert.matches("deb http://archive.invalid/debian axotest main", result.stdout)
    assert.matches("C.UTF%-8", result.stdout)
    assert.equal("0\n", left())
    local labels = cjson.decode(podman.must("image", "inspect", "localhost/" .. name))[1].Labels
    assert.equal("tree,git", labels["axosandbox.packages"])
    assert.equal("axotest", labels["axosandbox.suite"])
  end)

  it("trusts the image by its digest: not another one that has its name", function()
    local name = new_name()
    assert.equal(0, make(name, "tree").code)
    e2e.janitor.made("image", digest_of(name)) -- it is about to lose its name
    podman.must("tag", e2e.images.base(), "localhost/" .. name)
    local result = run(name, "true")
    assert.equal(125, result.code)
    assert.matches("is not trusted here", result.stderr)
  end)

  it("gives the name to a new one when that is whole, and drops the old one", function()
    local name = new_name()
    assert.equal(0, make(name, "tree").code)
    local old = digest_of(name)
    local result = make(name, "missing")
    assert.equal(125, result.code)
    assert.matches("there is no package missing in axotest\n", result.stderr)
    assert.matches("apt%-cache search", result.stderr)
    assert.equal(old, digest_of(name))
    assert.equal("0\n", left())
    assert.equal(0, make(name, "git").code)
    assert.not_equal(old, digest_of(name))
    assert.not_equal(0, podman.run("image", "exists", old).code)
    assert.equal(0, run(name, "true").code)
  end)

  it("is ended by a signal, with all that it started, and leaves nothing", function()
    local name = new_name()
    local mark = temp.dir() .. "/started"
    local screen = support.on_terminal([[
      trap : INT
      "$AXOLUA" image make "$1" --packages tree --suite axotest --mirror http://archive.invalid/d
      echo "status=$?"
    ]], { name }, { 24, 100 }, environment(
      ("sleep 1000 &\n: >'%s'\nwait\n"):format(mark)))
    e2e.eventually(function() return uv.fs_stat(mark) end)
    screen.shows "making a minimal axotest"
    screen.type "\3"
    screen.shows "status=130"
    screen.wait()
    assert.equal("0\n", left())
    assert.is_nil(digest_of(name))
  end)

  it("shows on a terminal how far it is", function()
    local screen = support.on_terminal('"$AXOLUA" image make "$1" --packages tree '
      .. "--suite axotest --mirror http://archive.invalid/d", { new_name() }, { 24, 100 },
      environment [[
printf '#!/bin/sh\necho "0 upgraded, 2 newly installed"\n' >"$root/usr/bin/apt-get"
cd "$root/usr/bin"
printf 'echo "Unpacking tree (1)"; echo "Setting up libc6:amd64"\n' >>apt-get
printf 'until [ -e /seen ]; do sleep 0.1; done\n' >>apt-get]])
    screen.shows "2 of 4, Setting up libc6:amd64"
    support.shell([[for root in "$1"/axosandbox/images/work.*/root; do : >"$root/seen"; done]],
      cache)
    assert.equal(0, screen.wait().code)
  end)

  it("tells of a full disk, and which", function()
    local result = make(new_name(), "tree",
      "echo 'tar: x: write: No space left on device' >&2; exit 1")
    assert.equal(125, result.code)
    assert.matches("the disk is full on which the image is made: " .. cache, result.stderr, 1, true)
    assert.matches("XDG_CACHE_HOME", result.stderr)
  end)

  it("gives up in time, with all that it started, and leaves nothing", function()
    local name = new_name()
    local result = support.run({ "image", "make", name, "--packages", "tree", "--suite", "axotest",
      "--mirror", "http://archive.invalid/d", "--timeout", "3" },
      { env = environment "sleep 1000 & wait" })
    assert.equal(125, result.code)
    assert.matches("was not made within 3 s\n        .*%-%-timeout", result.stderr)
    assert.equal("0\n", left())
    assert.is_nil(digest_of(name))
  end)

  it("removes what one left that was killed", function()
    local stale = cache .. "/axosandbox"
    for _, dir in ipairs { stale, stale .. "/images", stale .. "/images/work.abcdef" } do
      uv.fs_mkdir(dir, 448)
    end
    assert.equal(0, make(new_name(), "tree").code)
    assert.equal("0\n", left())
  end)

  it("says what is missing, and takes no name that is a registry's", function()
    local result = support.run { "image", "make", "ghcr.io/x/y:1", "--packages", "tree" }
    assert.equal(125, result.code)
    assert.matches("is the name of a registry's image", result.stderr)
    result = support.run({ "image", "make", new_name(), "--packages", "tree" },
      { env = { AXOSANDBOX_BOOTSTRAP = "/axo/nowhere/debootstrap", XDG_CACHE_HOME = cache } })
    assert.equal(125, result.code)
    assert.matches("could not be made: .*/axo/nowhere/debootstrap", result.stderr)
  end)
end)
