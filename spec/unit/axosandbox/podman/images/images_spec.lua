-- What the operator agreed to, and where an image's packages come from; without podman.
local uv = require "luv"
local temp = require "spec.support.temp"
local janitor = require "spec.support.janitor"
local consent = require "axosandbox.podman.images.consent"
local image = require "axosandbox.podman.image"
local sources = require "axosandbox.podman.images.sources"
local await = require "axosandbox.base.await"
local axo = require "axosandbox"

local ONE, OTHER = "sha256:" .. ("1a"):rep(32), "sha256:" .. ("2b"):rep(32)

describe("what was agreed to about images", function()
  local mark, before, state
  before_each(function()
    mark, before = janitor.mark(), os.getenv "XDG_STATE_HOME"
    state = temp.dir()
    uv.os_setenv("XDG_STATE_HOME", state)
  end)
  after_each(function()
    if before then uv.os_setenv("XDG_STATE_HOME", before) else uv.os_unsetenv "XDG_STATE_HOME" end
    janitor.sweep(mark)
  end)

  local function change(fn)
    assert(await.sequence(function()
      consent.change(fn)
      return true
    end))
  end

  local function agree(dir, name, digest)
    change(function(all) all.projects[dir] = { image = name, digest = digest, at = 1 } end)
  end

  it("counts for that digest in that directory, and for nothing else", function()
    agree("/p", "localhost/x:1", ONE)
    assert.equal("project", consent.about("localhost/x:1", ONE, "/p"))
    assert.equal("project", consent.about("localhost/other:1", ONE, "/p"))
    assert.equal("changed", consent.about("localhost/x:1", OTHER, "/p"))
    assert.equal("gone", consent.about("localhost/x:1", nil, "/p"))
    assert.is_nil(consent.about("localhost/y:1", OTHER, "/p"))
    assert.is_nil(consent.about("localhost/x:1", ONE, "/p/below"))
    assert.is_nil(consent.about("localhost/x:1", ONE, nil))
  end)

  it("counts everywhere for what was made here, by its digest alone", function()
    change(function(all) all.made[ONE] = { name = "localhost/x:1", packages = {}, at = 1 } end)
    assert.equal("made", consent.about("localhost/x:1", ONE, "/p"))
    assert.equal("made", consent.about("localhost/z:1", ONE, "/q"))
    assert.is_nil(consent.about("localhost/x:1", OTHER, "/p"))
  end)

  it("is asked about only where there is something to know", function()
    assert.is_false(consent.may_know "/p")
    agree("/p", "localhost/x:1", ONE)
    assert.is_true(consent.may_know "/p")
    assert.is_false(consent.may_know "/q")
  end)

  it("is this user's alone, and nothing where others could have written it", function()
    agree("/p", "localhost/x:1", ONE)
    local file = state .. "/axosandbox/images.json"
    assert.equal(384, uv.fs_stat(file).mode & 511)
    uv.fs_chmod(file, 420)
    assert.same({ made = {}, projects = {} }, consent.read())
    uv.fs_chmod(file, 384)
    assert.equal(ONE, consent.read().projects["/p"].digest)
  end)

  it("is nothing where the file is no such file", function()
    agree("/p", "localhost/x:1", ONE)
    local file = state .. "/axosandbox/images.json"
    for _, text in ipairs {
      "", "[]", "{", '{"version":2,"projects":{"/p":{"image":"x","digest":"y"}}}',
      '{"version":1,"projects":{"/p":{"image":1,"digest":"y"}},"made":7}',
    } do
      temp.write(file, text, "600")
      assert.same({ made = {}, projects = {} }, consent.read())
    end
  end)

  it("is written whole by several at once", function()
    local left = 20
    for i = 1, 20 do
      await.spawn(function()
        consent.change(function(all)
          all.projects["/p" .. i] = { image = "localhost/x:1", digest = ONE, at = i }
        end)
        return true
      end, function(err)
        assert.is_nil(err)
        left = left - 1
      end)
    end
    while left > 0 do uv.run "once" end
    local count = 0
    for _ in pairs(consent.read().projects) do count = count + 1 end
    assert.equal(20, count)
  end)
end)

describe("the digest of an image", function()
  it("is what podman calls its id, and nothing that is none", function()
    assert.equal(ONE, image.digest_of { Id = ("1a"):rep(32) })
    assert.equal(ONE, image.digest_of { Id = ONE })
    for _, it in ipairs { { Id = "1a2b" }, { Id = 7 }, {}, "x" } do
      assert.is_nil(image.digest_of(it))
    end
  end)
end)

describe("the archive that an image is made from", function()
  local TARGETS = sources.parse(table.concat({
    "http://a.example/debian/ bookworm main bookworm ",
    "http://a.example/debian/ bookworm contrib bookworm ",
    "http://a.example/debian/ bookworm-updates main bookworm-updates ",
    "http://a.example/security/ bookworm-security main bookworm-security /usr/share/keyrings/x.gpg",
    "http://b.example/other/ stable main stable -----BEGIN PGP",
  }, "\n"))

  it("is that of this host's release, with what came later", function()
    local from = assert(sources.choose(TARGETS, "bookworm"))
    assert.same({
      "deb http://a.example/debian/ bookworm main",
      "deb http://a.example/debian/ bookworm contrib",
      "deb http://a.example/debian/ bookworm-updates main",
      "deb http://a.example/security/ bookworm-security main",
    }, from.lines)
    assert.equal("http://a.example/debian/", from.url)
    assert.equal("bookworm", from.suite)
    assert.equal("", from.keyring)
  end)

  it("is the host's for another release, of which nothing else is known", function()
    local from = assert(sources.choose(TARGETS, "bookworm", "trixie"))
    assert.same({ "deb http://a.example/debian/ trixie main" }, from.lines)
    assert.equal("trixie", from.suite)
  end)

  it("is none where apt knows none, or the release is unknown", function()
    local from, problem = sources.choose({}, "bookworm")
    assert.is_nil(from)
    assert.matches("%-%-mirror", problem)
    from, problem = sources.choose(TARGETS, nil, nil)
    assert.is_nil(from)
    assert.matches("%-%-suite", problem)
  end)

  it("is none whose address holds a password: the image would keep it", function()
    local from, problem = sources.choose(
      sources.parse "http://me:secret@a.example/debian/ bookworm main bookworm ", "bookworm")
    assert.is_nil(from)
    assert.matches("holds a password", problem)
    assert.is_nil(problem:find("secret", 1, true))
  end)
end)

describe("axo.images", function()
  it("refuses what can be no option of a call, before anything runs", function()
    for _, case in ipairs {
      { "make", { packages = { "git" } }, "name" },
      { "make", { name = "x", packages = {} }, "at least one" },
      { "make", { name = "x", packages = { "--option" } }, "not the name of a package" },
      { "make", { name = "x", packages = { "git;id" } }, "not the name of a package" },
      { "make", { name = "x", packages = { "git" }, suite = "../x" }, "name of a release" },
      { "make", { name = "x", packages = { "git" }, mirror = "http://u:p@h" }, "not the address" },
      { "make", { name = "x", packages = { "git" }, mirror = "-o/x" }, "not the address" },
      { "make", { name = "x", packages = { "git" }, bogus = 1 }, "unknown key" },
      { "pull", {}, "image" },
      { "use", { image = "x" }, "dir" },
    } do
      local ok, problem = pcall(axo.images[case[1]], case[2])
      assert.is_false(ok)
      assert.matches(case[3], problem)
    end
  end)
end)
