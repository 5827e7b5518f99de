local mount_table = require "axosandbox.host.mounts.table"
local sealed = require "axosandbox.host.mounts.sealed"

local ID = ("ab12"):rep(16)
local TABLE = [[
87 53 0:51 / / rw,relatime - overlay overlay rw,lowerdir=/a
97 87 254:0 /run/x /run/.axosandbox ro,nosuid,nodev,relatime shared:3 master:1 - ext4 /dev/vda rw
99 87 254:0 /p/userdata/]] .. ID .. [[ /tmp/a\040b\134c rw,nosuid - ext4 /dev/vda rw
101 87 0:24 /c/overlay-containers/]] .. ID .. [[/userdata/hosts /etc/hosts rw - tmpfs t rw
102 87 0:24 /containers/]] .. ID .. [[/userdata/run/secrets /run/secrets rw,nosuid - tmpfs t rw
103 87 0:24 /containers/]] .. ID .. [[/userdata/hostname /etc/hostname ro,nosuid - tmpfs t rw
104 90 0:41 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=64000k
105 87 0:24 /containers/]] .. ("ff"):rep(32) .. [[/userdata/hosts /other rw - tmpfs t rw
106 89 0:58 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw,mode=755
nonsense
]]

describe("a table of mounts", function()
  it("is read, whatever the names", function()
    local entries = mount_table.parse(TABLE)
    assert.equal(9, #entries)
    assert.equal("/tmp/a b\\c", entries[3].at)
    assert.is_false(entries[2].is_writable)
    assert.is_true(entries[1].is_writable)
    assert.equal("ext4", entries[2].kind)
    assert.equal("254:0", entries[2].device)
    assert.same({ "87", "53" }, { entries[1].id, entries[1].parent })
  end)

  it("tells what an overlay shows, whatever the names", function()
    local function layers(options)
      return mount_table.parse("1 2 0:9 / /x rw - overlay overlay rw," .. options)[1].layers
    end
    assert.same({ "/a", "/b c", "/u" }, layers "lowerdir=/a:/b\\040c,upperdir=/u,workdir=/w")
    assert.same({ "/a:b", "/c,d", "/e" }, layers "lowerdir=/a\\134:b:/c\\134,d::/e")
    assert.same({ "/a", "/b" }, layers "lowerdir+=/a,datadir+=/b")
    assert.same({}, layers "lowerdir=l/X,workdir=/w")
    assert.is_nil(mount_table.parse("1 2 0:9 / /x rw - ext4 d rw,lowerdir=/a")[1].layers)
    assert.equal(1, #layers("lowerdir=/" .. ("\\"):rep(1024 * 1024)))
  end)

  it("tells podman's own files that can grow", function()
    local places = sealed.places(mount_table.parse(TABLE), ID)
    assert.same({ "/etc/hosts", "/run/secrets", "/sys/fs/cgroup" }, places)
  end)

  it("of any length is read in one go", function()
    local line = "1 2 3:4 " .. ("/x"):rep(2000) .. " /y rw - ext4 d rw\n"
    assert.equal(2000, #mount_table.parse(line:rep(2000)))
    assert.equal(0, #mount_table.parse(("9"):rep(16 * 1024 * 1024)))
    assert.equal(0, #mount_table.parse((" "):rep(16 * 1024 * 1024)))
  end)
end)
