-- What the shipped files decide, but for retry.lua.
local core = require "axosandbox.core"
local policies = require "spec.support.policies"

local function decide(name, request, fields)
  return assert(policies.new(fields):decide(name, request))
end

local HOST = { uid = 1000, home = "/home/me", os = "Linux", rootless = true }

local function sandbox(changes, fields)
  local request = { id = "demo", dir = "/home/me/project", ports = {}, env = {}, host = HOST }
  request.dir_real = request.dir
  for key, value in pairs(changes or {}) do request[key] = value end
  return decide("sandbox", request, fields)
end

local function refusal(dir, changes)
  local request = { dir = dir, dir_real = dir }
  for key, value in pairs(changes or {}) do request[key] = value end
  return sandbox(request).deny
end

describe("sandbox.lua", function()
  it("has the defaults that are promised", function()
    local decision = sandbox()
    assert.is_true(#decision.project_env > 20)
    decision.project_env = nil
    assert.same({
      network = "bridge", limits = { memory = "2g", cpus = 2, pids = 512 },
      require_resource_limits = false, shm_size = "64m", publish_address = "127.0.0.1", exec = {},
      http_proxy = false, timeouts = { start = 120, pull = 300, stop = 30 }, init = true,
      local_env = { "LANG", "LC_ALL", "TERM", "TZ" }, setuid = true, nested_namespaces = false,
      keep_id = true,
    }, decision)
  end)

  describe("decides on extra mounts", function()
    local function mount(source, changes)
      local it = { source = source, source_real = source, target = "/data", writable = false,
        places = {}, mounts = {} }
      for key, value in pairs(changes or {}) do it[key] = value end
      return it
    end
    local function decision(fields, ...)
      return sandbox({ extra_mounts = { ... } }, fields)
    end

    it("grants none by itself, and says how one is allowed", function()
      local deny = decision(nil, mount "/srv/cache").deny
      assert.matches("the directory /srv/cache may not be mounted", deny)
      assert.matches("%-%-allow%-mount /srv/cache", deny)
      assert.matches("allow_mounts of the policy table", deny)
      deny = decision({ allow_mounts = { "/srv" } }, mount("/srv/cache", { writable = true })).deny
      assert.matches("%-%-allow%-writable%-mount /srv/cache", deny)
    end)

    it("grants what lies in a directory that is allowed, and no neighbour", function()
      local allow = { allow_mounts = { "/srv/cache" }, allow_writable_mounts = { "/srv/rw/" } }
      assert.same({ { source = "/srv/cache/a", target = "/data", writable = false },
        { source = "/srv/rw", target = "/rw", writable = true } },
        decision(allow, mount "/srv/cache/a", mount("/srv/rw", { target = "/rw", writable = true }))
          .mounts)
      assert.is_string(decision(allow, mount "/srv/cached").deny)
      assert.is_string(decision({ allow_mounts = { "/" } }, mount "/srv/cache").deny)
      assert.is_string(decision({ allow_mounts = { "/srv/../srv" } }, mount "/srv/cache").deny)
      -- One that is refused refuses the session.
      assert.is_string(decision(allow, mount "/srv/cache", mount "/srv/other").deny)
    end)

    it("grants the session's own directory at another path, without being told", function()
      local dir = "/srv/project"
      local function granted(source, writable)
        return sandbox({ dir = dir, dir_real = dir, extra_mounts = {
          mount(source, { target = "/app", writable = writable }) } }, nil)
      end
      assert.same({ { source = dir, target = "/app", writable = true } }, granted(dir, true).mounts)
      assert.is_nil(granted(dir .. "/sub", false).deny)
      assert.is_string(granted(dir .. "-other", false).deny)
      assert.is_string(granted("/srv", false).deny)
    end)

    it("never grants what may be no session's directory, whoever allows it", function()
      for _, dir in ipairs { "/etc", "/usr/share/doc", "/home/me", "/home/me/.ssh", "/root/.aws",
        "/var/lib/containers", "/", "/home/other" } do
        assert.is_string(decision({ allow_mounts = { dir, "/" } }, mount(dir)).deny, dir)
      end
      local allow = { allow_mounts = { "/srv/x", "/etc/ssl" } }
      assert.is_string(decision(allow, mount("/srv/x", { source_real = "/etc/ssl" })).deny)
      assert.is_string(decision(allow, mount("/etc/ssl", { source_real = "/srv/x" })).deny)
    end)

    it("knows them by where they really lie", function()
      local it = mount("/srv/x", {
        places = { { at = "/srv/x", root = "/etc", device = "8:1" } },
        mounts = { { at = "/", root = "/", device = "8:1" },
          { at = "/srv/x", root = "/etc", device = "8:1" } },
      })
      local deny = decision({ allow_mounts = { "/srv/x" } }, it).deny
      assert.matches("it is /etc by another name", deny)
    end)
  end)

  describe("knows a directory by where it really lies", function()
    local function place(at, root, device)
      return { at = at, root = root, device = device or "8:1" }
    end
    local ROOT = place("/", "/")

    -- The answer for a directory that is there on the disk of "/", or at places of its own.
    local function why(dir, places, mounts)
      if type(places) == "string" then places = { place(dir, places) } end
      mounts = mounts or {}
      table.insert(mounts, 1, ROOT)
      mounts[#mounts + 1] = places[1]
      return refusal(dir, { places = places, mounts = mounts })
    end

    it("whatever a bind mount calls it", function()
      assert.matches("/x may not be mounted: it is /etc by another name", why("/x", "/etc"))
      assert.matches("it is /etc/ssh by another name", why("/x", "/etc/ssh"))
      assert.matches("is /home/me by another", why("/srv/x", "/home/me"))
      assert.matches("is /home/you by another", why("/srv/x", "/home/you"))
      assert.matches("is /home/me/.ssh by another", why("/srv/x", "/home/me/.ssh"))
      assert.matches("is /root/.gnupg/a by another", why("/srv/x", "/root/.gnupg/a"))
      assert.matches("is / by another", why("/srv/x", "/"))
      assert.matches("is /home by another", why("/srv/x", "/home"))
      assert.matches("is /usr/bin by another", why("/srv/x/bin",
        { place("/srv/x/bin", "/usr/bin") }, { place("/srv/x", "/usr") }))
      assert.is_nil(why("/srv/x", "/home/me/project"))
      assert.is_nil(why("/srv/x", "/srv/y"))
      assert.is_nil(why("/srv/x", "/usr/src/linux"))
      assert.is_nil(why("/srv/x", "/etcetera"))
    end)

    it("of a file system of its own as well", function()
      local boot = place("/boot", "/", "8:2")
      assert.matches("is /boot by another", why("/x", { place("/x", "/", "8:2") }, { boot }))
      assert.matches("is /boot/grub by", why("/x", { place("/x", "/grub", "8:2") }, { boot }))
      assert.is_nil(why("/x", { place("/x", "/", "8:3") }, { boot }))
      assert.matches("is /proc by", why("/x", { place("/x", "/", "0:5") },
        { place("/proc", "/", "0:5") }))
    end)

    it("and what is mounted beneath it", function()
      local function with(sub, mounts)
        return why("/srv/p", { place("/srv/p", "/srv/p"), sub }, mounts)
      end
      assert.matches("/srv/p/c is mounted in it, and it is /etc by",
        with(place("/srv/p/c", "/etc")))
      assert.matches("/srv/p/k is mounted", with(place("/srv/p/k", "/home/me/.aws")))
      assert.matches("is /dev by",
        with(place("/srv/p/dev", "/", "0:6"), { place("/dev", "/", "0:6") }))
      assert.is_nil(with(place("/srv/p/data", "/", "8:9")))
      assert.is_nil(with(place("/srv/p/data", "/home/me/data")))
    end)

    it("and what is mounted elsewhere and lies in it", function()
      assert.matches("it holds what is mounted at /etc/nginx", why("/home/me/p", "/home/me/p",
        { place("/etc/nginx", "/home/me/p/conf") }))
      assert.is_nil(why("/home/me/p", "/home/me/p", { place("/srv/www/p", "/home/me/p/html") }))
    end)

    it("and what lies beneath an overlay", function()
      local layer = place("/srv/o", "/etc")
      layer.is_layer = true
      assert.matches("/srv/o shows what lies beneath it: it is /etc by another name",
        why("/srv/o", { place("/srv/o", "/", "0:70"), layer }))
      layer.root = "/srv/base"
      assert.is_nil(why("/srv/o", { place("/srv/o", "/", "0:70"), layer }))
    end)

    it("and a project in a container that was made to work in", function()
      -- Toolbox, with the machine's disk and its own, and the same on a system of images.
      for home, trees in pairs {
        ["/home/me"] = { place("/run/host", "/", "8:2"), place("/home/me", "/home/me", "8:2") },
        ["/var/home/me"] = {
          place("/run/host", "/ostree/deploy/os/deploy/1", "8:2"),
          place("/run/host/var", "/ostree/deploy/os/var", "8:2"),
          place("/var/home/me", "/ostree/deploy/os/var/home/me", "8:2"),
        },
      } do
        local root = trees[#trees].root
        local function at(dir, rest, from)
          local mounts = {}
          for i, it in ipairs(trees) do mounts[i] = it end
          return why(dir, { place(dir, (from or root) .. rest, "8:2") }, mounts)
        end
        assert.is_nil(at(home .. "/p", "/p"))
        assert.matches("holds private data", at(home .. "/.ssh", "/.ssh"))
        assert.matches("is " .. home .. "/.ssh by another", at("/x", "/.ssh"))
        assert.matches("is " .. home .. " by another", at("/x", ""))
        local above = root:match "^(.*)/home/me$"
        assert.is_string(at("/x", "", above == "" and "/" or above))
        assert.is_string(at("/x", "/log", above == "" and "/var" or above))
      end
    end)

    it("and what persists where a machine forgets the rest", function()
      local nix = { place("/nix", "/", "8:4") }
      assert.is_nil(why("/home/me/p", { place("/home/me/p", "/persist/home/me/p", "8:4") }, nix))
      for root, name in pairs { ["/persist/etc/ssh"] = "/nix/persist/etc/ssh",
        ["/persist/home/me"] = "/nix/persist/home/me", ["/store"] = "/nix/store",
        ["/persist/home/me/.ssh"] = "/nix/persist/home/me/.ssh", ["/"] = "/nix" } do
        assert.matches("is " .. name .. " by another",
          why("/x", { place("/x", root, "8:4") }, nix), 1, true)
      end
    end)

    it("but not for a disk that is mounted in the system as a whole", function()
      local dir = "/var/home/me/p"
      local own = place("/var", "/ostree/deploy/os/var")
      ROOT = place("/", "/ostree/deploy/os/deploy/1")
      local mounts = { own, place("/sysroot", "/"), place("/run/timeshift/backup", "/") }
      local there = { place(dir, "/ostree/deploy/os/var/home/me/p") }
      assert.is_nil(why(dir, there, mounts))
      assert.matches("is /etc by", why("/x", "/ostree/deploy/os/deploy/1/etc", mounts))
      ROOT = place("/", "/")
    end)
  end)

  it("lets nobody set set-id bits where podman is run by root, unless it is asked to", function()
    local host = { uid = 0, home = "/root", os = "Linux", rootless = false }
    assert.is_false(sandbox({ host = host }).setuid)
    assert.is_false(sandbox({ host = host }).keep_id)
    assert.is_false(sandbox(nil, { keep_id = false }).keep_id)
    assert.is_true(sandbox({ host = host }, { setuid = true }).setuid)
    assert.is_false(sandbox(nil, { setuid = false }).setuid)
    assert.is_true(sandbox(nil, { nested_namespaces = true }).nested_namespaces)
  end)

  it("lets a project read no variable of the machine that could hold a secret", function()
    local fields = { local_env = { "USER", "MINE" } }
    assert.same({ "LANG", "LC_ALL", "TERM", "TZ", "USER", "MINE" },
      sandbox(nil, fields).local_env)
  end)

  it("takes the users that a project asks for, but not against the calling program", function()
    local asked = { user = "node", remote_user = "root" }
    local function users(fields)
      local decision = sandbox(asked, fields)
      return { decision.user, decision.remote_user }
    end
    assert.same({ "node", "root" }, users())
    assert.same({ "1000" }, users { user = "1000" })
  end)

  it("takes the fields of the call, and keeps the defaults of the others", function()
    local decision = sandbox(nil, {
      network = "none", limits = { memory = "4g", pids = false }, require_resource_limits = true,
      publish_address = "::1", user = "1000:1000", exec = { timeout = 9 },
    })
    assert.equal("none", decision.network)
    assert.same({ memory = "4g", cpus = 2, pids = false }, decision.limits)
    assert.is_true(decision.require_resource_limits)
    assert.equal("::1", decision.publish_address)
    assert.equal("1000:1000", decision.user)
    assert.same({ timeout = 9 }, decision.exec)
  end)

  for _, dir in ipairs {
    "/home/me/project", "/home/me/a/b c/d", "/home/me/.cache/work", "/tmp/x",
    "/var/tmp/x", "/srv/app", "/opt/app", "/work", "/work/app", "/mnt/disk/project",
    "/workspace", "/var/www/x", "/var/lib/jenkins/workspace", "/usr/src/app",
    "/usr/local/src/app", "/run/media/me/stick/x", "/home/other/shared/project",
    "/home/me/.local/share/worktrees/x", "/home/me/etc", "/home/me/.sshx", "/data",
    "/homes/x", "/root/project", "/usrx",
  } do
    it("mounts " .. dir, function() assert.is_nil(refusal(dir)) end)
  end

  for _, dir in ipairs {
    "/", "//", "/home", "/home/", "/home/me", "/home/me/", "/home//me", "/home/other",
    "/root", "/etc", "/etc/ssh", "/usr", "/usr/bin", "/usr/local", "/usr/local/bin",
    "/usr/src", "/var", "/var/lib", "/var/lib/containers/storage", "/var/log",
    "/var/run/x", "/proc", "/proc/1/root", "/sys/kernel", "/dev", "/dev/shm", "/run",
    "/run/user/1000/x", "/boot", "/bin", "/sbin", "/lib", "/lib64", "/tmp", "/opt",
    "/srv", "/mnt", "/media", "/home/me/.ssh", "/home/me/.ssh/keys", "/home/me/.gnupg",
    "/home/me/.config", "/home/me/.config/axosandbox/policy", "/home/me/.aws",
    "/home/me/.kube", "/home/me/.docker", "/home/me/.local", "/home/me/.local/share",
    "/home/me/.local/state/axosandbox", "/home/me/.local/share/containers/storage",
    "/home/other/.ssh", "/root/.ssh", "/nix/store", "/var/home/me", "/Users", "/Users/me",
    "/Users/me/Library/x", "/System", "/Applications/x", "relative", "",
    "/home/me/../other", "/home/me/./x",
  } do
    it("does not mount " .. (dir == "" and "nothing" or dir), function()
      local deny = refusal(dir)
      assert.is_string(deny)
      assert.truthy(deny:find(dir, 1, true))
    end)
  end

  it("looks at where the directory really is", function()
    assert.matches("/etc may not be mounted", refusal("/home/me/link", { dir_real = "/etc" }))
    assert.matches("/home/me/.ssh may", refusal("/tmp/x", { dir_real = "/home/me/.ssh" }))
    assert.is_nil(refusal("/tmp/x", { dir_real = "/srv/x" }))
  end)

  it("tells a home from what many share", function()
    assert.matches("/root may not be mounted: it is a home directory.*in it", refusal "/root")
    assert.matches("it is a home directory", refusal "/home/me")
    assert.matches("shared", refusal "/home")
  end)

  it("knows a home that is somewhere else", function()
    local host = { uid = 5, home = "/srv/people/me", os = "Linux" }
    assert.is_string(refusal("/srv/people/me", { host = host }))
    assert.is_string(refusal("/srv/people", { host = host }))
    assert.is_string(refusal("/srv/people/me/.ssh", { host = host }))
    assert.is_nil(refusal("/srv/people/me/project", { host = host }))
    assert.is_nil(refusal("/root/project", { host = { uid = 0, home = "/root", os = "Linux" } }))
  end)

  it("knows where a Mac keeps things", function()
    local host = { uid = 501, home = "/Users/me", os = "Darwin" }
    assert.is_string(refusal("/private/etc", { host = host }))
    assert.is_string(refusal("/private/tmp", { host = host }))
    assert.is_nil(refusal("/private/tmp/x", { host = host }))
    assert.is_nil(refusal("/private/var/folders/ab/T/x", { host = host }))
    assert.is_nil(refusal("/Users/me/project", { host = host }))
  end)

  it("decides without knowing the host", function()
    assert.is_nil(decide("sandbox", { dir = "/srv/x" }).deny)
    assert.is_string(decide("sandbox", { dir = "/" }).deny)
  end)
end)

describe("image_trust.lua", function()
  local DEFAULT, EMBEDDED = "docker.io/library/alpine:3.20", "localhost/axosandbox/base"
  local DIGEST = "sha256:" .. ("a"):rep(64)

  local function trust(image, fields, optional, built, agreed)
    return decide("image_trust", {
      image = image, reference = image and assert(core.reference.parse(image)),
      local_reference = built and assert(core.reference.parse(built)),
      default = DEFAULT, embedded = EMBEDDED, optional = optional, agreed = agreed,
    }, fields)
  end

  it("takes the default image when none is asked for, however it is spelled", function()
    local expected = { image = DEFAULT, pull = "missing", fallback = EMBEDDED }
    assert.same(expected, trust(nil))
    local spellings = { "alpine:3.20", "library/alpine:3.20", "docker.io/alpine:3.20", DEFAULT }
    for _, image in ipairs(spellings) do
      assert.same(expected, trust(image))
    end
  end)

  for _, image in ipairs {
    "alpine", "alpine:3.19", "alpine:3.20.1", "ghcr.io/library/alpine:3.20", "evil/alpine:3.20",
    "docker.io.evil.com/library/alpine:3.20", "localhost/alpine:3.20", "debian", "quay.io/x/y",
    "alpine:3.20@" .. DIGEST, "localhost/axosandbox/base:evil", "localhost:5000/axosandbox/base",
  } do
    it("refuses " .. image .. ", and says how to have it", function()
      local decision = trust(image)
      assert.is_nil(decision.image)
      assert.truthy(decision.deny:find(core.reference.parse(image).text, 1, true))
      assert.matches("allow_untrusted_image", decision.deny)
    end)

    it("replaces " .. image .. " where that is only wished for, with a warning", function()
      local decision = trust(image, nil, true)
      assert.equal(DEFAULT, decision.image)
      assert.equal("missing", decision.pull)
      assert.truthy(decision.warning:find(core.reference.parse(image).text, 1, true))
      assert.matches("allow_untrusted_image", decision.warning)
    end)
  end

  it("takes the embedded image, and never pulls it", function()
    assert.same({ image = EMBEDDED, pull = "never" }, trust(EMBEDDED))
    assert.same({ image = EMBEDDED, pull = "never" }, trust(EMBEDDED .. ":latest"))
  end)

  it("takes any image when the call trusts all", function()
    assert.same({ image = "docker.io/library/debian:12", pull = "missing" },
      trust("debian:12", { allow_untrusted_image = true }))
    assert.same({ image = "localhost/mine:1", pull = "never" },
      trust("localhost/mine:1", { allow_untrusted_image = true }))
    assert.equal("missing",
      trust("localhost:5000/mine:1", { allow_untrusted_image = true }).pull)
  end)

  it("takes what the operator agreed to, from this machine alone", function()
    for _, agreed in ipairs { "made", "project" } do
      assert.same({ image = "docker.io/library/debian:12", pull = "never" },
        trust("debian:12", nil, nil, nil, agreed))
      assert.same({ image = "localhost/mine:1", pull = "never" },
        trust("mine:1", nil, nil, "localhost/mine:1", agreed))
    end
  end)

  it("refuses what was agreed to when it was another image, and says what to type", function()
    local changed = trust("debian:12", nil, nil, nil, "changed").deny
    assert.matches("debian:12 is another image by now", changed, 1, true)
    assert.matches("; `axolua image use docker.io/library/debian:12`", changed, 1, true)
    assert.is_nil(changed:find("pull", 1, true))
    local gone = trust("debian:12", nil, nil, nil, "gone").deny
    assert.matches("is no longer on this machine; .*axolua image pull", gone)
  end)

  it("takes what was built here by its short name, and in no trusted image's place", function()
    local function built(image, fields)
      return trust(image, fields, nil, "localhost/" .. image)
    end
    assert.matches("^localhost/mine:1 is not trusted here", built("mine:1").deny)
    assert.same({ image = "localhost/mine:1", pull = "never" },
      built("mine:1", { allow_untrusted_image = true }))
    assert.same({ image = "localhost/mine:1", pull = "never" },
      built("mine:1", { allow_images = { { registry = "localhost" } } }))
    assert.equal("docker.io/library/debian:12", built("debian:12", {
      allow_untrusted_image = true,
      allow_images = { { registry = "docker.io", repository = "library/debian" } },
    }).image)
    assert.equal(DEFAULT, built("alpine:3.20", { allow_untrusted_image = true }).image)
    assert.same({ image = EMBEDDED, pull = "never" }, built "axosandbox/base")
  end)

  it("takes an image of the call's list, part by part", function()
    local function allows(entry, image)
      return trust(image, { allow_images = { entry } }).deny == nil
    end
    assert.is_true(allows({ registry = "ghcr.io" }, "ghcr.io/me/tool:1"))
    assert.is_false(allows({ registry = "ghcr.io" }, "quay.io/me/tool:1"))
    assert.is_false(allows({ registry = "ghcr.io" }, "ghcr.io.evil.com/me/tool:1"))
    assert.is_true(allows({ registry = "docker.io", repository = "library/debian" }, "debian:12"))
    assert.is_false(allows({ registry = "docker.io", repository = "library/debian" }, "debian2:12"))
    assert.is_true(allows({ registry = "ghcr.io", repository = "me/*" }, "ghcr.io/me/tool"))
    assert.is_false(allows({ registry = "ghcr.io", repository = "me/*" }, "ghcr.io/me2/tool"))
    assert.is_false(allows({ registry = "ghcr.io", repository = "me/*" }, "ghcr.io/me"))
    assert.is_true(allows({ digest = DIGEST }, "anything@" .. DIGEST))
    assert.is_false(allows({ digest = DIGEST }, "anything:1"))
    assert.is_false(allows({ registry = "quay.io", digest = DIGEST }, "ghcr.io/x@" .. DIGEST))
  end)

  it("fails on a mistake in an operator's list rather than let it match more", function()
    for _, case in ipairs {
      { '{ registry = "docker.io", repositori = "library/debian" }', 'unknown key "repositori"' },
      { '{ repository = "library/debian" }', "without a registry" },
      { '"docker.io"', "expected table, got string" },
      { '{ registry = 5 }', "expected string, got number" },
    } do
      local set = policies.with("image_trust", ([[
        return function(request, default)
          request.fields.allow_images = { %s }
          return default(request)
        end]]):format(case[1]))
      local decision, err = set:decide("image_trust", {
        image = "debian:12", reference = core.reference.parse "debian:12",
      })
      assert.is_nil(decision)
      assert.matches(case[2], err.message)
    end
  end)

  it("refuses what is no reference", function()
    local decision = decide("image_trust", { image = "--privileged" })
    assert.matches("is not an image reference", decision.deny)
  end)
end)

describe("post_create.lua", function()
  it("skips the commands, and says how to run them", function()
    local decision = decide("post_create", { commands = { "npm ci", "make" } })
    assert.is_false(decision.run)
    assert.same({}, decision.commands)
    assert.matches("2 post%-create commands were skipped", decision.warning)
    assert.matches("allow_post_create = true", decision.warning)
    assert.matches("1 post%-create command was",
      decide("post_create", { commands = { "x" } }).warning)
  end)

  it("says the same of each event of a devcontainer.json", function()
    local function warning(event)
      return decide("post_create", { commands = { "x" }, event = event }).warning
    end
    assert.matches("devcontainer.json's commands were skipped", warning "onCreateCommand")
    assert.equal(warning "onCreateCommand", warning "postAttachCommand")
  end)

  it("runs them in their order when the call allows it", function()
    local decision =
      decide("post_create", { commands = { "b", "a" } }, { allow_post_create = true })
    assert.same({
      run = true, commands = { "b", "a" }, timeout = 600, on_failure = "warn",
    }, decision)
  end)

  it("has nothing to say when there is none", function()
    for _, allow in ipairs { true, false } do
      local decision = decide("post_create", { commands = {} }, { allow_post_create = allow })
      assert.is_false(decision.run)
      assert.is_nil(decision.warning)
    end
  end)
end)

describe("provision.lua", function()
  local function provision(image, changes)
    local request = {
      image = image, reference = core.reference.parse(image), network = "bridge", embedded = false,
    }
    for key, value in pairs(changes or {}) do request[key] = value end
    return decide("provision", request)
  end

  it("installs into the default image, and keeps the result", function()
    local decision = provision "docker.io/library/alpine:3.20"
    assert.is_true(decision.run)
    assert.is_true(decision.cache)
    assert.equal("alpine-dev-1", decision.key)
    assert.equal(1, #decision.commands)
    for _, package in ipairs { "git", "curl", "bash", "build%-base" } do
      assert.matches("^apk add %-%-no%-cache .*" .. package, decision.commands[1])
    end
  end)

  it("installs nothing without a network, and nothing into another image", function()
    assert.is_false(provision("docker.io/library/alpine:3.20", { network = "none" }).run)
    assert.is_false(provision("docker.io/library/alpine:3.20", { embedded = true }).run)
    assert.is_false(provision("localhost/axosandbox/base", { embedded = true }).run)
    for _, image in ipairs { "debian:12", "alpine:3.19", "ghcr.io/library/alpine:3.20" } do
      assert.is_false(provision(image).run)
    end
    assert.is_false(decide("provision", { image = "x", network = "bridge" }).run)
  end)
end)

describe("exec.lua", function()
  local function exec(changes, fields)
    local request = { argv = { "make" }, kind = "exec", id = "demo", dir = "/srv/x" }
    for key, value in pairs(changes or {}) do request[key] = value end
    return decide("exec", request, fields)
  end

  it("allows, with a time and a cap", function()
    assert.same({ allow = true, timeout = 600, max_output = 1048576 }, exec())
  end)

  it("gives no time to what runs in the background", function()
    for _, kind in ipairs { "task", "terminal" } do
      assert.is_nil(exec({ kind = kind }).timeout)
      assert.is_nil(exec({ kind = kind, timeout = 0 }).timeout)
      assert.equal(5, exec({ kind = kind, timeout = 5 }).timeout)
    end
  end)

  it("respects what the caller asks for, up to a bound of output", function()
    assert.same({ allow = true, timeout = 5000, max_output = 10 },
      exec { timeout = 5000, max_output = 10 })
    assert.is_nil(exec({ timeout = 0 }).timeout)
    assert.is_nil(exec({ timeout = math.huge }).timeout)
    assert.equal(64 * 1048576, exec({ max_output = 1 << 40 }).max_output)
  end)

  it("takes its defaults from the fields of the call", function()
    local fields = { exec = { timeout = 7, max_output = 100 } }
    assert.same({ allow = true, timeout = 7, max_output = 100 }, exec(nil, fields))
    assert.same({ allow = true, timeout = 9, max_output = 50 },
      exec({ timeout = 9, max_output = 50 }, fields))
    assert.equal(100, exec({ max_output = 5000 }, fields).max_output)
  end)
end)
