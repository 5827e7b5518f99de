local cjson = require "cjson"
local devcontainer = require "axosandbox.devcontainer"
local policies = require "spec.support.policies"
local projects = require "spec.support.devcontainers"
local load, report = projects.load, projects.report

-- The file for one property.
local function property(name, json)
  return ('{"image":"alpine","%s":%s}'):format(name, json)
end

local function read(name, json, opts)
  return load(property(name, json), opts)
end

describe("a devcontainer.json's properties", function()
  policies.housekeeping(_ENV)

  it("become the options of a start", function()
    local found, dir = load [[{
      "name": "A title", "image": "alpine:3.20",
      "containerEnv": { "A": "${localWorkspaceFolderBasename}" },
      "containerUser": "node", "remoteUser": "root:root", "remoteEnv": { "B": "${containerEnv:A}" },
      "forwardPorts": [3000], "appPort": 8080,
    }]]
    assert.equal(dir .. "/.devcontainer.json", found.path)
    assert.equal("A title", found.name)
    local options = found.options
    assert.equal(dir, options.dir)
    assert.equal("alpine:3.20", options.image)
    assert.same({ A = "project" }, options.env)
    assert.equal("node", options.user)
    assert.same({ 3000, 8080 }, options.ports)
    assert.same({ env = { B = "${containerEnv:A}" }, user = "root:root" }, found.remote)
    assert.equal("policy", report(found, "image"))
    assert.equal("policy", report(found, "containerUser"))
    assert.equal("honoured", report(found, "containerEnv"))
  end)

  it("give each project a session of its own, the same each time", function()
    local dir = projects.with('{"image":"alpine"}', "my pro.ject")
    local first, second = devcontainer.load(dir), devcontainer.load(dir)
    assert.matches("^my%-pro.ject%-%w+$", first.options.id)
    assert.equal(first.options.id, second.options.id)
    assert.not_equal(first.options.id, load('{"image":"alpine"}').options.id)
    assert.equal("mine", devcontainer.load(dir, { id = "mine" }).options.id)
  end)

  it("have an id of 52 digits", function()
    local id = load('{"image":"alpine"}').id
    assert.equal(52, #id)
    assert.matches("^[0-9a-v]+$", id)
  end)

  it("that would weaken the border are denied by name", function()
    for name, json in pairs {
      initializeCommand = '"touch /tmp/x"', privileged = "true", capAdd = '["SYS_ADMIN"]',
      securityOpt = '["seccomp=unconfined"]', runArgs = '["--privileged"]',
      mounts = '["source=/,target=/host,type=bind"]', workspaceMount = '"source=/,target=/host"',
      build = '{"dockerfile":"Dockerfile"}', dockerFile = '"Dockerfile"', context = '"/"',
      features = '{"ghcr.io/x/y:1":{}}', overrideFeatureInstallOrder = '["x"]',
      dockerComposeFile = '"compose.yml"', service = '"web"', runServices = '["db"]',
    } do
      local found = read(name, json)
      local status, reason = report(found, name)
      assert.equal("denied", status, name)
      assert.is_string(reason)
      assert.equal("alpine", found.options.image)
      assert.same({}, found.lifecycle)
      assert.same({}, found.options.env)
    end
  end)

  it("that mean nothing to a session are ignored by name", function()
    for name, json in pairs {
      customizations = '{"vscode":{}}', shutdownAction = '"none"', updateRemoteUserUID = "true",
      userEnvProbe = '"none"', waitFor = '"onCreateCommand"', otherPortsAttributes = '{"a":1}',
      secrets = '{"A":{}}', overrideCommand = "false", madeUp = "1", ["a\\tb"] = "1",
    } do
      assert.equal("ignored", report(read(name, json), (name:gsub("\\t", "?"))), name)
    end
  end)

  it("that ask for nothing are not mentioned", function()
    local found = load [[{ "image": "alpine", "privileged": false, "capAdd": [], "mounts": [],
      "features": {}, "overrideCommand": true, "customizations": {}, "$schema": "x" }]]
    assert.same({ "image" }, (function()
      local names = {}
      for i, it in ipairs(found.reports) do names[i] = it.property end
      return names
    end)())
  end)

  it("of the wrong type are reported, and none is believed", function()
    local values = { "null", "true", "1", '"x"', "[]", "{}", '[[1]]', '{"a":{"b":[]}}', '[null]' }
    for _, name in ipairs {
      "name", "image", "containerEnv", "remoteEnv", "containerUser", "remoteUser", "forwardPorts",
      "appPort", "portsAttributes", "workspaceFolder", "init", "hostRequirements",
      "onCreateCommand", "postAttachCommand", "customizations", "privileged", "features",
    } do
      for _, json in ipairs(values) do assert.is_table(read(name, json), name .. json) end
    end
    for name, json in pairs {
      name = "1", containerEnv = "[]", remoteEnv = '"x"', containerUser = "1",
      forwardPorts = "3000", appPort = "{}", portsAttributes = "[]", workspaceFolder = "1",
      init = '"yes"', hostRequirements = "[]", postStartCommand = "1",
    } do
      assert.equal("invalid", report(read(name, json), name), name)
    end
    assert.equal("invalid", report(load '{"image":"--privileged"}', "image"))
    assert.is_nil(load('{"image":"--privileged"}').options.image)
  end)

  it("twice in the file are reported", function()
    local found = load '{"image":"alpine",\n"image":"debian"}'
    assert.equal("debian", found.options.image)
    local status, reason = report(found, "image")
    assert.equal("warning", status)
    assert.matches("twice in one object %(line 2%)", reason)
  end)

  it("report a bounded number of things", function()
    local parts = {}
    for i = 1, 5000 do parts[i] = ('"made up %d":1'):format(i) end
    local found = load("{" .. table.concat(parts, ",") .. "}")
    assert.equal(101, #found.reports)
    assert.equal("4900 more", found.reports[101].property)
    -- What is done is never among those that are only counted.
    for i = 1, 300 do parts[i] = ('"%d":"x"'):format(i) end
    found = load(('{"containerEnv":{%s},"appPort":3000,"postCreateCommand":"x"}'):format(
      table.concat(parts, ",", 1, 300)))
    assert.same({ "honoured", "published: 3000" }, { report(found, "appPort") })
    assert.equal("policy", report(found, "postCreateCommand"))
    assert.equal("200 more", found.reports[#found.reports].property)
    assert.equal("x?y?z", load('{ "x\u{9b}y\u{202e}z": 1 }').reports[1].property)
    local long = load(property(("é"):rep(5000), "1")).reports[2].property
    assert(#long < 100 and utf8.len(long))
  end)
end)

describe("a devcontainer.json's variables", function()
  policies.housekeeping(_ENV)

  it("of the container must be such, each for itself", function()
    local found = read("containerEnv",
      '{"GOOD":"1","--privileged":"x","A=B":"x","N":"a\\u0000b","NUM":1,"NULL":null,"L":"'
      .. ("x"):rep(40000) .. '"}')
    assert.same({ GOOD = "1" }, found.options.env)
    for _, name in ipairs { "--privileged", "A=B", "N", "NUM", "NULL", "L" } do
      assert.equal("invalid", report(found, "containerEnv." .. name), name)
    end
  end)

  it("that are to be taken away are reported", function()
    local found = read("remoteEnv", '{"A":null,"B":"b"}')
    assert.same({ B = "b" }, found.remote.env)
    assert.equal("ignored", report(found, "remoteEnv.A"))
  end)

  it("are not looked for in a megabyte of digits", function()
    local found = load(('{ "appPort": "%s" }'):format(("1"):rep(1000000)))
    assert.same({}, found.options.ports)
  end)

  it("are bounded in number", function()
    local parts = {}
    for i = 1, 300 do parts[i] = ('"V%d":"x"'):format(i) end
    local found = read("containerEnv", "{" .. table.concat(parts, ",") .. "}")
    local count = 0
    for _ in pairs(found.options.env) do count = count + 1 end
    assert.equal(256, count)
    assert.equal("invalid", report(found, "containerEnv.V300"))
  end)

  it("read from this machine only what policy lists", function()
    policies.with_env({ AXO_TEST_SECRET = "secret" }, function()
      local json = '{"A":"${localEnv:AXO_TEST_SECRET:none}"}'
      local found = read("containerEnv", json)
      assert.same({ A = "none" }, found.options.env)
      local status, reason = report(found, "localEnv:AXO_TEST_SECRET")
      assert.equal("denied", status)
      assert.matches("local_env .*containerEnv", reason)
      assert.is_nil(cjson.encode(found.config):find "secret")
      local allowed = read("containerEnv", json, {
        policy = { local_env = { "AXO_TEST_SECRET" }, project_env = { "A" } },
      })
      assert.same({ A = "secret" }, allowed.options.env)
      assert.is_nil(report(allowed, "localEnv:AXO_TEST_SECRET"))
    end)
  end)

  it("choose no code that runs, unless its commands may run too", function()
    local names = { "PATH", "LD_PRELOAD", "LD_x", "BASH_ENV", "BASH_FUNC_ls", "ENV",
      "GIT_SSH_COMMAND", "NODE_OPTIONS", "PYTHONPATH", "PYTHONSTARTUP", "HOME", "CC", "CXX", "LD",
      "CMAKE_TOOLCHAIN_FILE", "DOTNET_STARTUP_HOOKS", "GRADLE_OPTS", "MAVEN_OPTS", "GOPROXY",
      "GOFLAGS", "npm_config_registry", "PIP_INDEX_URL", "UV_INDEX_URL", "PERL5OPT", "RUBYOPT",
      "PROMPT_COMMAND", "LESSOPEN", "EDITOR", "BROWSER", "DEBIAN_FRONTEND", "JAVA_HOME",
      "RUSTC_WRAPPER", "DJANGO_SETTINGS_MODULE", "TERMINFO", "LOCPATH", "lang", "LANGX",
      "HTTP_PROXY", "SSL_CERT_FILE", "DOCKER_HOST", "KUBECONFIG", "WHATEVER" }
    for _, property_name in ipairs { "containerEnv", "remoteEnv" } do
      for _, name in ipairs(names) do
        local json = ('{"%s":"/x","NODE_ENV":"test"}'):format(name)
        local found = read(property_name, json, { policy = {} })
        local env = property_name == "remoteEnv" and found.remote.env or found.options.env
        assert.same({ NODE_ENV = "test" }, env)
        local status, reason = report(found, property_name .. "." .. name)
        assert.equal("denied", status, name)
        assert.matches("allow_post_create", reason)
        found = read(property_name, json, { policy = { allow_post_create = true } })
        env = property_name == "remoteEnv" and found.remote.env or found.options.env
        assert.same({ [name] = "/x", NODE_ENV = "test" }, env)
      end
    end
  end)

  it("that the caller names are set besides", function()
    local json = '{"CC":"tcc","MINE_1":"1","OTHER":"2","TZ":"UTC"}'
    local found = read("containerEnv", json, { policy = { project_env = { "CC", "MINE_*" } } })
    assert.same({ CC = "tcc", MINE_1 = "1", TZ = "UTC" }, found.options.env)
    assert.equal("denied", report(found, "containerEnv.OTHER"))
  end)

  it("of a decision that lists what is forbidden are an error that says what to do", function()
    local policy = { sandbox = function(request, default)
      local decision = default(request)
      decision.guarded_env = { "PATH" }
      return decision
    end }
    local found, err = devcontainer.load(projects.with '{"image":"x"}', { policy = policy })
    assert.is_nil(found)
    assert.matches("guarded_env: .*project_env", err.message)
  end)

  it("set what a policy lists, and nothing where it does not say", function()
    local listed
    local policy = { sandbox = function(request, default)
      local decision = default(request)
      decision.project_env = listed
      return decision
    end }
    local function env_of()
      return read("containerEnv", '{"A":"1","PATH":"2"}', { policy = policy }).options.env
    end
    assert.same({}, env_of())
    listed = { "A*" }
    assert.same({ A = "1" }, env_of())
    listed = { "*" }
    assert.same({ A = "1", PATH = "2" }, env_of())
    listed = {}
    assert.same({}, env_of())
  end)

  it("read nothing when a policy knows of no such list", function()
    policies.with_env({ LANG = "xx" }, function()
      local policy = { sandbox = function(request, default)
        local decision = default(request)
        decision.local_env, decision.project_env = nil, { "A" }
        return decision
      end }
      assert.same({ A = "" },
        read("containerEnv", '{"A":"${localEnv:LANG}"}', { policy = policy }).options.env)
      assert.same({ A = "xx" }, read("containerEnv", '{"A":"${localEnv:LANG}"}').options.env)
    end)
  end)
end)

describe("a devcontainer.json's users", function()
  policies.housekeeping(_ENV)

  it("belong to the image of the file", function()
    local found = load '{"build":{"dockerfile":"x"},"containerUser":"node","remoteUser":"node"}'
    assert.is_nil(found.options.user)
    assert.is_nil(found.remote.user)
    assert.equal("ignored", report(found, "remoteUser"))
  end)

  it("must be names", function()
    for _, user in ipairs { "--user", "a b", "a:b:c", "", ":x", "a:", ("x"):rep(200), "a/b" } do
      local found = read("containerUser", ('"%s"'):format(user))
      assert.is_nil(found.options.user)
      assert.equal("invalid", report(found, "containerUser"), user)
    end
    for _, user in ipairs { "node", "1000", "1000:1000", "www-data", "_x$" } do
      assert.equal(user, read("remoteUser", ('"%s"'):format(user)).remote.user)
    end
  end)
end)

describe("a devcontainer.json's ports", function()
  policies.housekeeping(_ENV)

  it("are those of this container, 1:1", function()
    local found = load [[{ "forwardPorts": [3000, "localhost:3001", "db:5432", 3000, 0, 65536, 1.5,
      "x", "3002"], "appPort": [ 8000, "8001", "8002:8002", "127.0.0.1:8003:8003/tcp", "8004:9",
      "8000-8010", "53:53/udp", "-p" ] }]]
    assert.same({ 3000, 3001, 8000, 8001, 8002, 8003 }, found.options.ports)
    for _, name in ipairs {
      "forwardPorts db:5432", "forwardPorts 0", "forwardPorts 65536", "forwardPorts 1.5",
      "forwardPorts x", "appPort 8004:9", "appPort 8000-8010", "appPort 53:53/udp", "appPort -p",
    } do
      assert.equal("ignored", report(found, name), name)
    end
  end)

  it("are none of the machine's own, and are reported by number", function()
    local found = load [[{ "forwardPorts": [22, 1024, 1023, "localhost:80"],
      "appPort": ["443:443", 8443] }]]
    assert.same({ 1024, 8443 }, found.options.ports)
    for _, name in ipairs {
      "forwardPorts 22", "forwardPorts 1023", "forwardPorts 80", "appPort 443",
    } do
      assert.equal("denied", report(found, name), name)
    end
    found = load [[{ "forwardPorts": [3000, 3001, 3000], "appPort": [3001, 8443] }]]
    assert.same({ "honoured", "published: 3000, 3001" }, { report(found, "forwardPorts") })
    assert.same({ "honoured", "published: 8443" }, { report(found, "appPort") })
    assert.equal(2, #found.reports)
  end)

  it("have labels: one for a port goes before one for a range", function()
    local found = load [[{ "forwardPorts": [3000, 3001, 4000, 5000], "portsAttributes": {
      "3000-3999": { "label": "range" }, "3001": { "label": "App\n" }, "1-9999": { "label": "all" },
      "localhost:5000": { "label": "five" }, ".+/server.js": { "label": "x" }, "4000": {} } }]]
    assert.same({
      { port = 3000, label = "range" }, { port = 3001, label = "App " },
      { port = 4000, label = "all" }, { port = 5000, label = "five" },
    }, found.ports)
    assert.equal("ignored", report(found, "portsAttributes..+/server.js"))
  end)

  it("are bounded in number", function()
    local list = {}
    for i = 1, 100 do list[i] = 3000 + i end
    local found = read("forwardPorts", "[" .. table.concat(list, ",") .. "]")
    assert.equal(32, #found.options.ports)
    assert.same({ "ignored", "at most 32 ports are published" }, { report(found, "forwardPorts") })
  end)
end)

describe("a devcontainer.json's folder", function()
  policies.housekeeping(_ENV)
  local uv = require "luv"

  local function folder(text, prepare)
    local dir = projects.with(property("workspaceFolder", cjson.encode(text)))
    if prepare then prepare(dir) end
    local found = assert(devcontainer.load(dir))
    return found.remote.cwd, dir, report(found, "workspaceFolder")
  end
  local function make(dir) assert(uv.fs_mkdir(dir .. "/sub", 493)) end

  it("is one beneath the project", function()
    local cwd, dir, status = folder("${localWorkspaceFolder}//./sub/", make)
    assert.equal(dir .. "/sub", cwd)
    assert.equal("honoured", status)
    cwd, dir = folder "${localWorkspaceFolder}"
    assert.equal(dir, cwd)
  end)

  it("is no other", function()
    for _, text in ipairs {
      "/workspaces/${localWorkspaceFolderBasename}", "/", "/etc", "sub", "${localWorkspaceFolder}x",
      "${localWorkspaceFolder}/../x", "${localWorkspaceFolder}/sub/../..",
      "${localWorkspaceFolder}/missing", "${localWorkspaceFolder}/.devcontainer.json",
    } do
      local cwd, _, status = folder(text, make)
      assert.is_nil(cwd, text)
      assert.equal("ignored", status, text)
    end
  end)

  it("is not beyond a symbolic link", function()
    local cwd, _, status, reason = folder("${localWorkspaceFolder}/link", function(dir)
      assert(uv.fs_symlink("/etc", dir .. "/link"))
    end)
    assert.is_nil(cwd)
    assert.equal("ignored", status)
    assert.matches("is a link", reason)
  end)

  it("is where ${containerWorkspaceFolder} leads", function()
    local found, dir = load [[{ "workspaceFolder": "/workspaces/x",
      "containerEnv": { "A": "${containerWorkspaceFolder}" } }]]
    assert.equal(dir, found.options.env.A)
  end)
end)

describe("a devcontainer.json's requirements", function()
  policies.housekeeping(_ENV)

  local function status(json, key, opts)
    return report(read("hostRequirements", json, opts), "hostRequirements." .. key)
  end

  it("are compared with the machine", function()
    assert.equal("honoured", status('{"cpus":1}', "cpus"))
    assert.equal("honoured", status('{"memory":"1kb"}', "memory"))
    assert.equal("honoured", status('{"storage":"1"}', "storage"))
    for key, json in pairs { cpus = '{"cpus":60000}', memory = '{"memory":"900tb"}',
      storage = '{"storage":"999999tb"}' } do
      local what, reason = status(json, key)
      assert.equal("warning", what)
      assert.matches("are wanted, this machine has", reason)
    end
  end)

  it("are compared with the limits of the session", function()
    local policy = { limits = { memory = "64m", cpus = 0.5 } }
    local what, reason = status('{"memory":"128mb"}', "memory", { policy = policy })
    assert.equal("warning", what)
    assert.equal("128 MB are wanted, the session's limit is 64 MB", reason)
    what, reason = status('{"cpus":1}', "cpus", { policy = policy })
    assert.equal("warning", what)
    assert.matches("limit is 0.5", reason)
  end)

  it("of a GPU are reported", function()
    assert.equal("warning", status('{"gpu":true}', "gpu"))
    assert.equal("warning", status('{"gpu":{"cores":1}}', "gpu"))
    assert.equal("ignored", status('{"gpu":"optional"}', "gpu"))
    assert.is_nil(status('{"gpu":false}', "gpu"))
  end)

  it("must be such", function()
    assert.equal("invalid", status('{"cpus":"4"}', "cpus"))
    assert.equal("invalid", status('{"memory":"4g"}', "memory"))
    assert.equal("invalid", status('{"storage":4}', "storage"))
    assert.equal("ignored", status('{"disk":4}', "disk"))
  end)
end)

describe("a devcontainer.json's commands", function()
  policies.housekeeping(_ENV)

  local function commands(json)
    local found = read("postCreateCommand", json)
    return found.lifecycle[1] and found.lifecycle[1].commands, found
  end

  it("have three forms", function()
    assert.same({ { argv = { "sh", "-c", "npm ci && x" }, text = "npm ci && x" } },
      commands '"npm ci && x"')
    assert.same({ { argv = { "echo", "it's", "" }, text = [[echo 'it'\''s' '']] } },
      commands [=[["echo", "it's", ""]]=])
    assert.same({
      { name = "b", argv = { "sh", "-c", "x" }, text = "x" },
      { name = "a", argv = { "y", "z" }, text = "y z" },
    }, commands '{"b":"x","a":["y","z"]}')
  end)

  it("may be empty", function()
    for _, json in ipairs { '""', '"  "', "[]", "{}", '{"a":"","b":[]}' } do
      assert.is_nil((commands(json)), json)
    end
  end)

  it("must be such, and nothing of a wrong one runs", function()
    local many = {}
    for i = 1, 33 do many[i] = ('"%d":"x"'):format(i) end
    for _, json in ipairs {
      "1", "true", "null", "[1]", '["a",["b"]]', '{"a":1}', '{"a":"x","b":{"c":"x"}}',
      '"a\\u0000b"', '["a","\\u0000"]', '["", "x"]', "{" .. table.concat(many, ",") .. "}",
      '"' .. ("x"):rep(70000) .. '"', '["' .. ("x"):rep(70000) .. '"]',
    } do
      local list, found = commands(json)
      assert.is_nil(list, json:sub(1, 40))
      assert.equal("invalid", report(found, "postCreateCommand"))
    end
  end)

  it("come in the order in which they run, not in that of the file", function()
    local found = load [[{ "postAttachCommand": "5", "postStartCommand": "4",
      "postCreateCommand": "3", "updateContentCommand": "2", "onCreateCommand": "1",
      "initializeCommand": "0" }]]
    local order = {}
    for i, it in ipairs(found.lifecycle) do order[i] = it.when .. it.commands[1].text end
    assert.same({ "create1", "create2", "create3", "start4", "attach5" }, order)
  end)

  it("know the variables of the file", function()
    local found, dir = load '{"onCreateCommand":["ls","${containerWorkspaceFolder}"]}'
    assert.same({ "ls", dir }, found.lifecycle[1].commands[1].argv)
  end)
end)

describe("axosandbox.devcontainer.load", function()
  policies.housekeeping(_ENV)

  it("asks policy about the directory first", function()
    local found, err = devcontainer.load "/etc"
    assert.is_nil(found)
    assert.equal("POLICY", err.code)
    err = projects.refused("{", { policy = { sandbox = function() return { deny = "no" } end } })
    assert.equal("POLICY", err.code)
    assert.matches("refused: no", err.message)
  end)

  it("fails closed when policy fails", function()
    local err = projects.refused('{"image":"alpine"}',
      { policy = { sandbox = function() error "broken" end } })
    assert.equal("POLICY", err.code)
  end)

  it("raises on wrong options", function()
    local dir = projects.with "{}"
    for _, opts in ipairs {
      { name = "../x" }, { name = "" }, { name = ".." }, { name = 1 }, { id = "--x" },
      { unknown = 1 }, { policy = { nonsense = 1 } },
    } do
      assert.has_error(function() devcontainer.load(dir, opts) end)
    end
    assert.has_error(function() devcontainer.load "relative" end)
    for option, value in pairs { image = 7, unknown = 1, policy = { nonsense = 1 } } do
      local description = projects.load "{}"
      description.options[option] = value
      assert.has_error(function() devcontainer.start(description, function() end) end)
    end
  end)

  it("names the file, line and column of what is wrong", function()
    local err = projects.refused '{\n  "image": "x"\n  "b": 1 }'
    assert.equal("INVALID", err.code)
    assert.matches("/%.devcontainer%.json:3:3: expected a comma", err.message)
    assert.matches("without it", err.hint)
    assert.matches("expected an object", projects.refused("[]").message)
  end)
end)
