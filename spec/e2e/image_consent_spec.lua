-- @runs native-root native-user
-- What `axolua image` agrees to, and what comes of it where another image takes the name.
local cjson = require "cjson"
local audit = require "spec.support.audit"
local e2e = require "spec.support.e2e"
local support = require "spec.support.cli"
local axo = require "axosandbox"
local podman, temp = e2e.podman, e2e.temp

describe("an image that the operator agrees to", function()
  e2e.housekeeping(_ENV)

  local function tag(name, image)
    podman.must("tag", image or e2e.images.base(), name)
    return e2e.janitor.made("image", name)
  end

  local function new_name() return "localhost/axotest-" .. temp.token() .. ":1" end

  local function run(dir, ...)
    local arguments = { "run", "--dir", dir, "--network", "none", ... }
    table.move({ "--", "cat", "/etc/passwd" }, 1, 3, #arguments + 1, arguments)
    return support.run(arguments)
  end

  local function digest_of(name)
    return "sha256:" .. podman.must("image", "inspect", "--format", "{{.Id}}", name):match "%x+"
  end

  -- Has a user of its own, so that it can be told from the base image by what it holds.
  local function marked() return e2e.images.users() end

  it("is refused before, with what to type; runs after, there alone and without a flag", function()
    local dir, other, name = temp.dir "project", temp.dir "project", tag(new_name(), marked())
    local result = run(dir, "--image", name)
    assert.equal(125, result.code)
    assert.matches(name .. " is not trusted here; `axolua image use " .. name .. "` allows it",
      result.stderr, 1, true)
    result = support.run { "image", "use", name, "--dir", dir }
    assert.equal(0, result.code, result.stderr)
    assert.matches("run " .. name, result.stdout, 1, true)
    result = run(dir)
    assert.equal(0, result.code, result.stderr)
    assert.matches("builder:", result.stdout)
    assert.equal(125, run(other, "--image", name).code)
    assert.is_nil(axo.images.of(other))
    local shown = cjson.decode(support.run({ "policy", "show", "--json", "--dir", dir }).stdout)
    assert.equal(name, shown.image_trust.decision.image)
    assert.equal("agreement", shown.defaults[1].by)
    shown = support.run({ "policy", "show", "image_trust", "--image", name, "--dir", other }).stdout
    assert.matches("is not trusted here", shown)
    result = support.run { "image", "use", "--none", "--dir", dir }
    assert.equal(0, result.code, result.stderr)
    assert.is_nil(axo.images.of(dir))
    assert.equal(125, run(dir, "--image", name).code)
  end)

  it("is another one when its name was given to another, and is asked about again", function()
    local dir, name = temp.dir "project", tag(new_name())
    assert(axo.images.use { image = name, dir = dir })
    tag(name, marked())
    local result = run(dir)
    assert.equal(125, result.code)
    assert.matches("another image by now", result.stderr)
    assert.matches("axolua image use " .. name, result.stderr, 1, true)
    assert.equal(0, support.run({ "image", "use", name, "--dir", dir }).code)
    assert.matches("builder:", run(dir).stdout)
    podman.must("untag", name, name)
    result = run(dir)
    assert.equal(125, result.code)
    assert.matches("no longer on this machine", result.stderr)
  end)

  it("is refused where policy refuses it all the same", function()
    local dir, name, policy = temp.dir "project", tag(new_name()), temp.dir()
    temp.write(policy .. "/image_trust.lua", "return function() return { deny = 'never' } end\n")
    local result = support.run({ "image", "use", name, "--dir", dir },
      { env = { AXOSANDBOX_POLICY_PATH = policy } })
    assert.equal(125, result.code)
    assert.matches("the image is refused: never", result.stderr)
    assert.is_nil(axo.images.of(dir))
  end)

  it("is listed with its digest and its projects; others only by --all", function()
    local dir, unknown = temp.dir "project", tag(new_name())
    local name = e2e.images.labelled("listed", { axotest = temp.token() })
    assert(axo.images.use { image = name, dir = dir })
    local function listed(...)
      local found = {}
      local result = support.run { "image", "ls", "--json", ... }
      assert.equal(0, result.code, result.stderr)
      for _, it in ipairs(cjson.decode(result.stdout)) do found[it.name] = it end
      return found
    end
    local few, all = listed(), listed "--all"
    assert.is_nil(few[unknown])
    assert.matches("not trusted", all[unknown].refused)
    assert.equal(digest_of(name), few[name].digest)
    assert.same({ dir }, few[name].projects)
    assert.is_false(few[name].trusted)
    local line
    for each in support.run({ "image", "ls" }).stdout:gmatch "[^\n]+" do
      if each:sub(1, #name + 1) == name .. " " then
        assert.is_nil(line)
        line = each
      end
    end
    assert.equal("sessions in " .. dir, line:sub(-#("sessions in " .. dir)))
  end)

  it("must be here, and its directory too", function()
    local missing = "localhost/axotest-none:1"
    local agreed, err = axo.images.use { image = missing, dir = temp.dir() }
    assert.is_nil(agreed)
    assert.equal("NOT_FOUND", err.code)
    agreed, err = axo.images.use { image = tag(new_name()), dir = "/axo/nowhere" }
    assert.is_nil(agreed)
    assert.same({ "ENOENT", "image use" }, { err.code, err.op })
    agreed, err = axo.images.use { image = "--privileged", dir = temp.dir() }
    assert.is_nil(agreed)
    assert.matches("invalid image reference", err.message)
  end)

  it("is removed with all that was agreed to, and not while a session runs it", function()
    local dir = temp.dir "project"
    local name = e2e.images.labelled("consent", { axotest = temp.token() })
    local digest, log = digest_of(name), temp.dir() .. "/audit.jsonl"
    local used = support.run({ "image", "use", name, "--dir", dir },
      { env = { AXOSANDBOX_AUDIT = log } })
    assert.equal(0, used.code, used.stderr)
    assert(axo.images.forget(dir))
    assert(axo.images.use { image = name, dir = dir })
    local sb = e2e.start { image = name, dir = dir, policy = { allow_untrusted_image = false } }
    local removed, err = axo.images.remove(name)
    assert.is_nil(removed)
    assert.equal("PODMAN", err.code)
    assert.equal(name, axo.images.of(dir).image)
    assert(sb:stop())
    assert.equal(name, axo.images.remove(name))
    assert.is_nil(axo.images.of(dir))
    local event = audit.of(audit.events(log), "image_use")[1]
    assert.same({ name, digest, dir }, { event.image, event.digest, event.dir })
    assert.is_number(event.uid)
    local result = support.run { "image", "rm", name }
    assert.equal(125, result.code)
    assert.matches("is not on this machine\n +axolua image ls", result.stderr)
  end)
end)
