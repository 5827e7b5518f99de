-- axolua policy: show, check, init.
local cjson = require "cjson"
local uv = require "luv"
local janitor = require "spec.support.janitor"
local support = require "spec.support.cli"
local temp = require "spec.support.temp"

local NAMES = { "sandbox", "image_trust", "post_create", "provision", "exec", "retry" }

describe("axolua policy", function()
  local mark, config
  before_each(function()
    mark = janitor.mark()
    config = temp.dir()
  end)
  after_each(function() janitor.sweep(mark) end)

  local function run(...)
    return support.run({ "policy", ... }, {
      env = { XDG_CONFIG_HOME = config, AXOSANDBOX_POLICY_PATH = false },
    })
  end

  local function override(name, text)
    local dir = config .. "/axosandbox"
    for _, path in ipairs { dir, dir .. "/policy" } do uv.fs_mkdir(path, 448) end
    return temp.write(("%s/policy/%s.lua"):format(dir, name), text, "600")
  end

  describe("show", function()
    it("tells each decision, its files, and what differs from the shipped one", function()
      local path = override("sandbox", [[
        return function(request, default)
          local decision = default(request)
          decision.network, decision.limits.memory = "none", "1g"
          return decision
        end]])
      local result = run "show"
      assert.equal(0, result.code, result.stderr)
      assert.is_truthy(result.stdout:find("sandbox      " .. path .. "\n  then       ", 1, true))
      assert.matches("\n  network +none   %(shipped: bridge%)\n", result.stdout)
      assert.matches("\n  limits.memory +1g   %(shipped: 2g%)\n", result.stdout)
      assert.matches("\n  limits.cpus +2\n", result.stdout)
      for _, name in ipairs(NAMES) do assert.matches("%f[%w]" .. name .. " +/", result.stdout) end
      -- What is installed depends on the network.
      assert.matches("with the network none", result.stdout)
    end)

    it("breaks a long list at its items, beneath each other", function()
      override("sandbox", [[
        return function(request, default)
          local decision = default(request)
          table.insert(decision.project_env, 1, "MINE")
          return decision
        end]])
      local shown = run("show", "sandbox").stdout
      local first, list = shown:match "\n(  project_env +)(MINE;.-)\n  [a-z]"
      assert.matches("LANG;.*   %(shipped: LANG;.*%)$", list)
      for line in list:gmatch "[^\n]+" do
        assert.is_true(#line <= 96, line)
        if line:sub(1, 4) ~= "MINE" then assert.equal(#first, #line:match "^ +", line) end
      end
      assert.matches(";\n +%S", list)
    end)

    it("is JSON for scripts", function()
      local path = override("exec", "return function() return { allow = true } end")
      local shown = cjson.decode(run("show", "--json").stdout)
      assert.equal(path, shown.exec.files[1].file)
      assert.is_false(shown.exec.files[1].shipped)
      assert.same({ allow = true }, shown.exec.decision)
      assert.equal("bridge", shown.sandbox.decision.network)
      assert.is_true(shown.sandbox.files[#shown.sandbox.files].shipped)
      assert.is_nil(cjson.decode(run("show", "exec", "--json").stdout).sandbox)
    end)

    it("answers for a directory and an image", function()
      assert.matches("deny +.*/etc belongs to the system", run("show", "--dir", "/etc").stdout)
      local shown = run("show", "image_trust", "--image", "ghcr.io/x/y").stdout
      assert.matches("deny +ghcr.io/x/y:latest is not trusted", shown)
      local wrong = run("show", "image_trust", "--image", "--x")
      assert.equal(2, wrong.code)
      wrong = run("show", "image_trust", "--image", "X Y")
      assert.equal(1, wrong.code)
      assert.matches("invalid image reference", wrong.stdout)
    end)

    it("tells what holds of the defaults, and what does not count", function()
      local project = uv.fs_realpath(temp.dir "project")
      uv.fs_mkdir(project .. "/.axosandbox", 448)
      temp.write(project .. "/.axosandbox/config.json",
        '{ "memory": "4g", "pids": 100, "shm_size": "1g" }')
      override("sandbox", "return function(r, default)\n  local d = default(r)\n"
        .. "  d.limits.cpus = 1\n  return d\nend")
      temp.write(config .. "/axosandbox/config.lua", "return { cpus = 4, network = 'none' }")
      local shown = run("show", "--dir", project).stdout
      assert.matches("\n  pids = 100 %(" .. project:gsub("%p", "%%%0"), shown)
      assert.matches("config.json: memory = 4g does not count: policy decides 2g", shown, 1, true)
      assert.matches("config.json: shm_size = 1g does not count", shown, 1, true)
      assert.matches("config.lua: cpus = 4 does not count: policy decides 1", shown, 1, true)
      assert.matches("\n  network +none\n", shown)
      assert.matches("\n  limits.pids +100 ", shown)
      assert.matches("\n  limits.memory +2g\n", shown)
      local report = cjson.decode(run("show", "--dir", project, "--json").stdout)
      assert.equal(2, #report.defaults)
      assert.equal(100, report.sandbox.decision.limits.pids)
    end)

    it("names the file and line that cannot decide", function()
      local path = override("exec", "return function()\n  error 'no'\nend")
      local result = run "show"
      assert.equal(1, result.code)
      assert.is_truthy(result.stdout:find("cannot decide: " .. path .. ":2: no", 1, true))
      override("exec", "return function(")
      result = run "show"
      assert.equal(125, result.code)
      assert.is_truthy(result.stderr:find(path .. ":1:", 1, true))
    end)
  end)

  describe("check", function()
    local CASES = {
      { "return function(", ":1: " },
      { "\nreturn 5", "must return one function" },
      { "return function(request)\n  return request.nothing.more\nend", ":2: attempt to index" },
      { "return function()\n\n  return { allow = true, timeuot = 5 }\nend", ":3: .*unknown key" },
      { "return function()\n  return { allow = 'yes' }\nend", ":2: .*expected boolean" },
      { "return function()\n  while true do end\nend", ":2: .*budget" },
      { "return function()\n  return os.getenv 'HOME'\nend", ":2: 'os' is not available" },
      { "return function(r)\n  if r.kind == 'terminal' then error 'late' end\n"
        .. "  return { allow = true }\nend", ":2: late" },
    }
    for i, case in ipairs(CASES) do
      it(("finds a mistake and its line (%d: %s)"):format(i, case[2]), function()
        local path = temp.write(temp.dir() .. "/exec.lua", case[1], "600")
        local result = run("check", path)
        assert.equal(1, result.code, result.stdout)
        assert.matches("FAIL ", result.stdout)
        assert.matches(case[2], result.stdout)
        assert.is_truthy(result.stdout:find(path .. ":", 1, true))
        local report = cjson.decode(run("check", "--json", path).stdout)
        assert.is_false(report.ok)
      end)
    end

    it("tells of a network by names how many there are", function()
      local path = temp.write(temp.dir() .. "/sandbox.lua", [[return function(request, default)
        local decision = default(request)
        if not decision.deny then decision.network = { allow = { "a.example", "b.example" } } end
        return decision
      end]], "600")
      local result = run("check", path)
      assert.equal(0, result.code, result.stdout)
      assert.matches("2 names", result.stdout)
    end)

    it("says one mistake once, though every sample meets it", function()
      local path = temp.write(temp.dir() .. "/sandbox.lua",
        "return function()\n  return { network = 'bridge' }\nend", "600")
      local shown = run("check", path).stdout
      local _, times = shown:gsub("\nFAIL ", "")
      assert.equal(1, times, shown)
      assert.matches("FAIL +%l[^\n]*, and %d+ more", shown)
      local checks = cjson.decode(run("check", "--json", path).stdout).checks
      assert.is_true(#checks > 3 and checks[3].error == checks[4].error)
    end)

    local LATE = {
      sandbox = {
        "if request.user then error 'late' end", "if request.remote_user then error 'late' end",
        "if request.secret_names[1] then error 'late' end",
        "if request.fields.local_env then error 'late' end",
        "if request.fields.user and request.remote_user then error 'late' end",
      },
      post_create = {
        "if request.event == 'onCreateCommand' then error 'late' end",
        "if request.event == 'postAttachCommand' then error 'late' end",
        "if request.event == 'postStartCommand' and request.fields.allow_post_create then "
          .. "error 'late' end",
        "if not request.event and #request.commands > 0 then error 'late' end",
      },
    }
    for name, lines in pairs(LATE) do
      it("asks about all that a " .. name .. " policy may be asked about", function()
        for _, line in ipairs(lines) do
          local path = temp.write(("%s/%s.lua"):format(temp.dir(), name),
            "return function(request, default)\n  " .. line .. "\n  return default(request)\nend",
            "600")
          local result = run("check", path)
          assert.equal(1, result.code, line .. "\n" .. result.stdout)
          assert.is_truthy(result.stdout:find(path .. ":2: late", 1, true), result.stdout)
        end
      end)
    end

    it("knows what may be decided about users, variables and questions", function()
      local function check(name, line)
        local path = temp.write(("%s/%s.lua"):format(temp.dir(), name),
          "return function(request, default)\n  local decision = default(request)\n  " .. line
            .. "\n  return decision\nend", "600")
        return run("check", path)
      end
      local WRONG = {
        sandbox = {
          "decision.remote_user = '-x'", "decision.remote_user = 7", "decision.local_env = 'LANG'",
          "decision.local_env = { 'A B' }",
        },
        post_create = { "decision.ask = 'yes'", "decision.run, decision.ask = true, true" },
      }
      for name, lines in pairs(WRONG) do
        for _, line in ipairs(lines) do
          local result = check(name, line)
          assert.equal(1, result.code, line .. "\n" .. result.stdout)
        end
      end
      local asks = check("post_create", "decision.ask, decision.run = true, false")
      assert.equal(0, asks.code, asks.stdout)
      assert.matches("onCreateCommand +asks first\n", asks.stdout)
      local users = check("sandbox", "decision.local_env = { 'HOME' }").stdout
      assert.matches("asks for users +bridge, as 1000:1000, devcontainer.json's commands as "
        .. "somebody\n", users)
      assert.matches("the caller names one +bridge, as nobody\n", users)
    end)

    it("shows all that differs from the shipped decision", function()
      local path = temp.write(temp.dir() .. "/sandbox.lua", [[
        return function(request, default)
          local decision = default(request)
          if decision.limits then decision.limits.memory = "1g" end
          return decision
        end]], "600")
      local shown = run("check", path).stdout
      assert.matches("a project +bridge\n +limits.memory +1g   %(shipped: 2g%)\n", shown)
      assert.is_nil(shown:find("limits.cpus", 1, true))
      path = temp.write(temp.dir() .. "/exec.lua",
        "return function(r, d) local a = d(r) a.timeout = 7 return a end", "600")
      assert.matches("a terminal +allowed\n +timeout +7   %(shipped: not set%)\n",
        run("check", path).stdout)
    end)

    it("keeps its columns, whatever is long", function()
      local path = temp.write(temp.dir() .. "/image_trust.lua",
        "return function(request, default) return default(request) end", "600")
      local shown = run("check", path).stdout
      local columns = {}
      for before in shown:gmatch "%f[^\n](%C-  +)%f[%S]docker%.io/%S+\n" do
        columns[#before] = true
      end
      assert.is_truthy(next(columns))
      assert.is_nil(next(columns, next(columns)), shown)
      assert.matches("sha256:%x+\n +denied: quay.io", shown)
    end)

    it("refuses a file that others can write, and one that is missing", function()
      local path = temp.write(temp.dir() .. "/exec.lua", "return function() end", "666")
      local result = run("check", path)
      assert.equal(1, result.code)
      assert.matches("others can write it", result.stdout)
      assert.matches("chmod go%-w", result.stdout)
      assert.matches("no such file", run("check", "/nowhere/exec.lua").stdout)
    end)

    it("asks for the decision when the name does not tell", function()
      local path = temp.write(temp.dir() .. "/mine.lua",
        "return function(request, default) return default(request) end", "600")
      assert.equal(2, run("check", path).code)
      for _, name in ipairs(NAMES) do
        local result = run("check", "--as", name, path)
        assert.equal(0, result.code, result.stdout .. result.stderr)
        assert.is_true(cjson.decode(run("check", "--json", "--as", name, path).stdout).ok)
      end
    end)

    it("says what was decided", function()
      local path = temp.write(temp.dir() .. "/exec.lua",
        "return function() return { allow = false, reason = 'never' } end", "600")
      local result = run("check", path)
      assert.equal(0, result.code)
      assert.matches("a terminal +denied: never", result.stdout)
    end)
  end)

  -- What lies in a session's directory is refused before it is asked.
  it("tries an administrator's file on no sample that holds it", function()
    support.expose_libraries()
    for _, sample in ipairs(require("axolua.policy.samples").list "sandbox") do
      assert.is_nil(("/etc/axosandbox/"):find("^" .. sample[2].dir_real:gsub("%p", "%%%0") .. "/"),
        sample[1])
    end
  end)

  describe("init", function()
    local function file(name) return ("%s/axosandbox/policy/%s.lua"):format(config, name) end

    it("writes private files that change nothing", function()
      local before = run("show", "--json").stdout
      local result = run "init"
      assert.equal(0, result.code, result.stderr)
      for _, name in ipairs(NAMES) do
        assert.equal(384, assert(uv.fs_stat(file(name))).mode & 511, name)
        assert.equal(0, run("check", file(name)).code, name)
      end
      assert.equal(448, uv.fs_stat(config .. "/axosandbox/policy").mode & 511)
      local now, then_ = cjson.decode(run("show", "--json").stdout), cjson.decode(before)
      for _, name in ipairs(NAMES) do
        assert.same(then_[name].decision, now[name].decision)
        assert.equal(file(name), now[name].files[1].file)
      end
    end)

    -- The lines that are offered are right.
    it("writes lines that can be uncommented", function()
      run "init"
      for _, name in ipairs(NAMES) do
        local text = assert(temp.read(file(name)))
        local head, body = text:match "^(.-\n\n)(.*)$"
        -- Words for people begin with a capital letter.
        body = body:gsub("(\n *)%-%- (%u[^\n]*)", "%1"):gsub("\n( *)%-%- ", "\n%1")
        temp.write(file(name), head .. body, "600")
        local result = run("check", file(name))
        assert.equal(0, result.code, name .. ": " .. result.stdout)
      end
      assert.matches("deny +sessions live in /srv/projects", run("show", "sandbox").stdout)
      local images = run("show", "image_trust", "--image", "debian:12").stdout
      assert.matches("\n  image +docker.io/library/debian:12   %(shipped: ", images)
      assert.matches("ask +true", run("show", "post_create").stdout)
    end)

    it("never touches what is there", function()
      local mine = override("exec", "-- mine")
      assert(uv.fs_symlink(config .. "/target", file "sandbox"))
      local result = run("init", "--json")
      assert.equal(0, result.code)
      local report = cjson.decode(result.stdout)
      local written = {}
      for _, row in ipairs(report) do written[row.file] = row.written end
      assert.is_false(written[mine])
      assert.is_false(written[file "sandbox"])
      assert.is_true(written[file "retry"])
      assert.equal("-- mine", temp.read(mine))
      assert.is_nil(uv.fs_stat(config .. "/target"))
      assert.matches("left alone", run("init", "exec").stdout)
    end)

    it("says why it cannot", function()
      temp.write(config .. "/axosandbox", "in the way")
      local result = run "init"
      assert.equal(125, result.code)
      assert.matches("cannot", result.stderr)
    end)
  end)

  it("wants to know what to do", function()
    assert.equal(2, run().code)
    assert.equal(2, run("frobnicate").code)
    assert.matches("check", run("--help").stdout)
    assert.matches("Usage: axolua policy check", run("check", "--help").stdout)
  end)
end)
