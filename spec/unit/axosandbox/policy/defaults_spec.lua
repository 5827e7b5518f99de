-- The defaults of the user, and of a project, which can only take away.
local uv = require "luv"
local axo = require "axosandbox"
local janitor = require "spec.support.janitor"
local narrow = require "axosandbox.start.narrow"
local nearest = require "axosandbox.base.text.nearest"
local temp = require "spec.support.temp"

describe("defaults", function()
  local mark, before, config, project
  before_each(function()
    mark, before = janitor.mark(), os.getenv "XDG_CONFIG_HOME"
    local base = temp.dir()
    config = base .. "/axosandbox"
    assert(uv.fs_mkdir(config, 448))
    uv.os_setenv("XDG_CONFIG_HOME", base)
    project = temp.dir "project"
  end)
  after_each(function()
    if before then uv.os_setenv("XDG_CONFIG_HOME", before) else uv.os_unsetenv "XDG_CONFIG_HOME" end
    janitor.sweep(mark)
  end)

  local function user(text) return temp.write(config .. "/config.lua", text, "600") end

  local function of_project(text)
    uv.fs_mkdir(project .. "/.axosandbox", 493)
    return temp.write(project .. "/.axosandbox/config.json", text)
  end

  local function refused(pattern)
    local found, err = axo.defaults(project)
    assert.is_nil(found)
    assert.matches(pattern, err.message)
    return err
  end

  it("are none where there is no file", function()
    assert.same({ user = {}, narrow = {}, list = {}, notices = {} }, assert(axo.defaults(project)))
  end)

  it("are what the user's file says, each with the file", function()
    local path = user 'local memory = "1" .. "g"\nreturn { memory = memory, port = { 3000 } }\n'
    local found = assert(axo.defaults(project))
    assert.same({ memory = "1g", port = { 3000 } }, found.user)
    assert.same({
      { name = "memory", value = "1g", file = path, by = "user" },
      { name = "port", value = { 3000 }, file = path, by = "user" },
    }, found.list)
  end)

  it("of the project take away, and never add", function()
    user 'return { memory = "1g", cpus = 2, network = "bridge", timeout = 60 }'
    local file = of_project [[{ "memory": "512m", "cpus": 4, "network": "none", "timeout": 10,
      "pids": 100, /* of nothing */ "require_resource_limits": true, }]]
    local found = assert(axo.defaults(project))
    assert.same({ memory = "512m", network = "none", pids = 100, require_resource_limits = true },
      found.narrow)
    assert.equal(10, found.timeout)
    assert.same({ file .. ": cpus = 4 is not taken: it is more than you allow" }, found.notices)
    local by = {}
    for _, it in ipairs(found.list) do by[it.name] = it.by end
    assert.same({ memory = "project", network = "project", timeout = "project", pids = "project",
      require_resource_limits = "project", cpus = "user" }, by)
  end)

  it("of the project open no network, and choose no image, port, variable or trust", function()
    user 'return { network = "none" }'
    of_project [[{ "network": "bridge", "image": "evil", "port": [22], "env": { "A": "b" },
      "allow_untrusted_image": true, "allow_post_create": true, "user": "root",
      "require_resource_limits": false }]]
    local found = assert(axo.defaults(project))
    assert.same({}, found.narrow)
    assert.same({ network = "none" }, found.user)
    assert.equal(1, #found.list)
    assert.equal(8, #found.notices)
  end)

  it("of the project with the network that is there anyway say nothing", function()
    of_project '{ "network": "bridge" }'
    assert.same({}, assert(axo.defaults(project)).narrow)
  end)

  for text, pattern in pairs {
    ['return { memry = "1g" }'] = 'no default "memry": did you mean memory%?$',
    ["return { frobnicate = 1 }"] = 'no default "frobnicate"; there are allow_post_create',
    ["return 7"] = ":1: it returns no table",
    ["\nreturn {"] = "config.lua:%d+: unexpected symbol",
    ['return { memory = "lots" }'] = "memory: expected a size",
    ["return { memory = false }"] = "memory: expected string or integer",
    ["while true do end"] = "budget",
    ['error "x"'] = ":1: x",
    ["return { env = { ['A B'] = '1' } }"] = "not the name of an environment variable",
    ["return { port = { 0 } }"] = "port%[1%]: ",
    ["return { port = 3000 }"] =
      "port: expected table, got number; write it so: port = { 3000 }$",
    ['return { local_env = { "A B" } }'] = 'not the name .*so: local_env = { "EDITOR" }$',
    ["return { image = function() end }"] = "a function at the key .*not plain data",
    ["os.execute 'true'"] = "'os' is not available",
  } do
    it("of the user are refused whole: " .. text, function()
      user(text)
      assert.equal("DEFAULTS", refused(pattern).code)
    end)
  end

  for text, pattern in pairs {
    ["{"] = "config.json: line 1: ", ["[]"] = "no object",
    ['{ "netwrk": "none" }'] = "network%?$",
    ['{ "memory": 1e300 }'] = "memory: ", ['{ "memory": null }'] = "memory: ",
    ['{ "cpus": -1 }'] = 'cpus: .*; write it so: "cpus": 1.5$',
    ['{ "network": "host" }'] = "network: ",
  } do
    it("of the project are refused whole: " .. text, function()
      of_project(text)
      assert.matches("without defaults", refused(pattern).hint)
    end)
  end

  it("of either kind are taken as the complaint about a wrong one shows them", function()
    local names = {}
    user "return { frobnicate = 1 }"
    for name in refused("there are ").message:match "there are (.*)":gmatch "[%w_]+" do
      names[#names + 1] = name
    end
    assert.is_true(#names > 16)
    for _, name in ipairs(names) do
      user(("return { %s = %s }"):format(name, name == "image" and "1" or "'\\0'"))
      local found, err = axo.defaults(project)
      local shown = not found and err.message:match "write it so: (.*)$" or nil
      assert.is_truthy(shown, name)
      user(("return { %s }"):format(shown))
      assert(axo.defaults(project))
    end
  end)

  it("of the project are data in a plain file: no link is followed, nothing runs", function()
    local file = of_project "return {}"
    refused "line 1"
    assert(uv.fs_unlink(file))
    assert(uv.fs_symlink(temp.write(project .. "/other", "{}"), file))
    refused "symbolic link"
    assert(uv.fs_unlink(file))
    assert(uv.fs_mkdir(file, 493))
    refused "a directory, not a file"
    assert(uv.fs_rmdir(file))
    of_project((" "):rep(64 * 1024 + 1))
    refused "may have 65536"
    assert(uv.fs_unlink(file))
    assert(uv.fs_rename(project .. "/.axosandbox", project .. "/real"))
    assert(uv.fs_symlink(project .. "/real", project .. "/.axosandbox"))
    temp.write(project .. "/real/config.json", "{}")
    refused "its folder is a link"
  end)

  it("of the user are refused where others can write them, sessions among them", function()
    uv.fs_chmod(user "return {}", tonumber("666", 8))
    refused "others can write it"
    uv.os_setenv("XDG_CONFIG_HOME", project)
    uv.fs_mkdir(project .. "/axosandbox", 448)
    temp.write(project .. "/axosandbox/config.lua", "return {}", "600")
    refused "lies in the session's directory"
  end)
end)

describe("a start that is narrowed", function()
  local function decision(changes)
    local d = { network = "bridge", limits = { memory = "2g", cpus = 2, pids = 512 } }
    for key, value in pairs(changes or {}) do d[key] = value end
    return d
  end

  it("has the smaller of each", function()
    local d = decision()
    narrow.apply(d, { network = "none", memory = 2 ^ 28 // 1, cpus = 4, pids = 10, shm_size = "8m",
      require_resource_limits = true })
    assert.same({ network = "none", limits = { memory = 2 ^ 28 // 1, cpus = 2, pids = 10 },
      shm_size = "8m", require_resource_limits = true }, d)
  end)

  it("has a limit where policy gives none, and no larger /dev/shm", function()
    local d = decision { limits = { memory = false, cpus = false } }
    narrow.apply(d, { memory = "1g", cpus = 1, pids = 5, shm_size = "1g" })
    assert.same({ memory = "1g", cpus = 1, pids = 5 }, d.limits)
    assert.equal("64m", d.shm_size)
  end)

  it("is as it was where nothing is said", function()
    local d = decision()
    narrow.apply(d, nil)
    narrow.apply(d, {})
    assert.same(decision(), d)
  end)
end)

describe("the nearest name", function()
  it("differs by two letters at most", function()
    local names = { "memory", "network", "cpus" }
    assert.equal("memory", nearest("memry", names))
    assert.equal("network", nearest("netwrok", names))
    assert.is_nil(nearest("frobnicate", names))
    assert.is_nil(nearest(("x"):rep(100000), names))
  end)
end)
