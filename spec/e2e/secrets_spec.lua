-- @runs native-root portable-root
-- Secrets reach the commands of a session, and nothing else: here and in a process that opens the
-- session later. The suite runs on either path.
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local audit = require "spec.support.audit"
local cli = require "spec.support.cli"
local uv = require "luv"
local host, podman, temp = e2e.host, e2e.podman, e2e.temp

local SHOW = { "sh", "-c", 'printf %s "$TOKEN"' }

local function new_secret()
  return "s3cr3t-" .. temp.token() .. ' "quoted" $HOME\nsecond line of it'
end

-- Every word of every process on this machine that this user may read.
local function all_arguments()
  local words = {}
  local scan = assert(uv.fs_scandir "/proc")
  for name in function() return uv.fs_scandir_next(scan) end do
    local words_of = name:find "^%d+$" and temp.read("/proc/" .. name .. "/cmdline")
    words[#words + 1] = words_of and words_of:gsub("%z", " ")
  end
  return table.concat(words, "\n")
end

-- A part of a secret that no quoting changes.
local function token_of(secret) return assert(secret:match "^s3cr3t%-[%w-]+") end

describe("a session's secrets", function()
  e2e.housekeeping(_ENV)

  local function start(secret, changes)
    local options = {
      env_from = { TOKEN = { file = temp.write(temp.dir() .. "/token", secret .. "\n", "600") } },
    }
    for key, value in pairs(changes or {}) do options[key] = value end
    return e2e.start(options)
  end

  it("reach commands, tasks and terminals, byte for byte", function()
    local secret = new_secret()
    local sb <close> = start(secret)
    assert.equal(secret, assert(sb:exec(SHOW)).stdout)
    local task = assert(sb:spawn_background(SHOW))
    task:wait()
    assert.equal(secret, task:log())
    local term = assert(sb:spawn_pty(SHOW))
    term:wait()
    assert.equal((secret:gsub("\n", "\r\n")), term:snapshot())
    local own = assert(sb:exec(SHOW, { env = { TOKEN = "of the command" } }))
    assert.equal("of the command", own.stdout)
  end)

  it("are in no argument, no setting of the container and no log", function()
    local secret = new_secret()
    local path = audit.on()
    local sb = start(secret)
    local going = assert(sb:spawn_background({ "sh", "-c", 'echo "$TOKEN" >&2; sleep 1000' }))
    local term = assert(sb:spawn_pty({ "sh", "-c", 'echo "$TOKEN"; sleep 1000' }))
    e2e.eventually(function() return going:log() ~= "" and term:snapshot() ~= "" end)
    local pending
    local handle = assert(sb:exec({ "sh", "-c", 'echo "$TOKEN"; sleep 1000' }, {},
      function(_, result) pending = result end))
    local arguments = all_arguments()
    assert.is_truthy(arguments:find("sleep 1000", 1, true))
    assert.is_nil(arguments:find(token_of(secret), 1, true))
    local inspected = podman.must("inspect", sb:container())
    assert.is_truthy(inspected:find("TOKEN", 1, true)) -- its name, on a label
    assert.is_nil(inspected:find(token_of(secret), 1, true))
    handle:cancel()
    e2e.eventually(function() return pending end)
    assert(sb:exec({ "sh", "-c", "echo " .. token_of(secret) .. " '" .. secret .. "'" }))
    sb:stop()
    audit.off()
    local text = temp.read(path)
    assert.is_truthy(text:find("<redacted:TOKEN>", 1, true))
    assert.is_nil(text:find("second line of it", 1, true))
    assert.is_nil(e2e.logged("warn"):find(token_of(secret), 1, true))
  end)

  it("are there for who opens the session, and gone with it", function()
    local secret = new_secret()
    local sb = start(secret)
    local opened = host.run([[
      local sb = assert(axo.open(options.id))
      say((assert(sb:exec({ "sh", "-c", 'printf %s "$TOKEN"' })).stdout:gsub("\n", "|")))
    ]], { options = { id = sb:id() } })
    assert.equal(0, opened.code, opened.stderr)
    assert.equal((secret:gsub("\n", "|")) .. "\n", opened.stdout)
    local kept = sb.record.runtime_dir .. "/secrets.json"
    assert.equal(384, assert(uv.fs_stat(kept)).mode & 511)
    assert(sb:stop())
    assert.is_nil(uv.fs_stat(kept))
  end)

  it("are missed with a warning when their file is gone", function()
    local sb <close> = start(new_secret())
    assert(uv.fs_unlink(sb.record.runtime_dir .. "/secrets.json"))
    local other = assert(axo.open(sb:id()))
    assert.matches("secrets are gone %(TOKEN%)", table.concat(other:warnings(), "\n"))
    assert.equal("", assert(other:exec(SHOW)).stdout)
    other:__close()
  end)

  it("that cannot be had leave no container", function()
    local err = e2e.refused { env_from = { TOKEN = { command = "exit 1" } } }
    assert.equal("env_from", err.op)
    local dir = temp.dir "project"
    temp.write(dir .. "/token", "something")
    err = e2e.refused { dir = dir, env_from = { TOKEN = { file = dir .. "/token" } } }
    assert.matches("lies in a directory that the session can write", err.message)
  end)

  it("are not asked for when policy refuses the session", function()
    local mark = temp.dir() .. "/ran"
    local seen
    local err = e2e.refused {
      env_from = { TOKEN = { command = "echo long-enough | tee " .. mark } },
      policy = { sandbox = function(request)
        seen = request.secret_names
        return { deny = "not with secrets" }
      end },
    }
    assert.matches("not with secrets", err.message)
    assert.same({ "TOKEN" }, seen)
    assert.is_nil(uv.fs_stat(mark))
  end)

  it("are given by axolua run --env-from, and to axolua exec later", function()
    local secret, id, state = new_secret(), e2e.new_id(), temp.dir()
    local file = temp.write(temp.dir() .. "/token", secret, "600")
    local env = { XDG_STATE_HOME = state }
    local result = cli.run({
      "run", "--dir", temp.dir "project", "--id", id, "--image", e2e.images.base(),
      "--allow-untrusted-image", "--network", "none", "--keep", "-q",
      "--env-from", "TOKEN=file:" .. file, "--env-from", "KEY=cmd:echo a key from a command",
      "--", "sh", "-c", 'echo "$KEY"; printf %s "$TOKEN"',
    }, { env = env })
    assert.equal("", result.stderr)
    assert.equal("a key from a command\n" .. secret, result.stdout)
    result = cli.run({ "exec", id, "--", table.unpack(SHOW) }, { env = env })
    assert.equal(secret, result.stdout)
    assert.equal(0, cli.run({ "stop", id }, { env = env }).code)
    local text = temp.read(state .. "/axosandbox/audit.jsonl")
    assert.is_nil(text:find(token_of(secret), 1, true))
    assert.is_truthy(text:find('"secrets":["KEY","TOKEN"]', 1, true))
    for _, wrong in ipairs { "TOKEN", "TOKEN=x", "TOKEN=file:", "T=env:x", "1=file:/x" } do
      result = cli.run { "run", "--env-from", wrong, "--", "true" }
      assert.equal(2, result.code, wrong)
      assert.matches("%-%-env%-from", result.stderr)
    end
    result = cli.run { "run", "--env-from", "PATH=file:/x", "--", "true" }
    assert.equal(2, result.code)
    assert.matches("a meaning to podman", result.stderr)
  end)

  it("reach post-create commands that policy lets run", function()
    local secret = new_secret()
    local dir = temp.dir "project"
    local sb <close> = start(secret, {
      dir = dir, post_create = { 'printf %s "$TOKEN" > made' },
      policy = { allow_post_create = true },
    })
    assert.equal(secret, temp.read(dir .. "/made"))
    assert.equal(dir, sb:root())
  end)

  it("are not written down by a start that fails, whatever its commands print", function()
    local path = audit.on()
    local secret = new_secret()
    local err = e2e.refused {
      env_from = { TOKEN = { file = temp.write(temp.dir() .. "/token", secret, "600") } },
      post_create = { 'echo "$TOKEN"; exit 1' },
      policy = {
        allow_post_create = true,
        post_create = function(request, default)
          local decision = default(request)
          decision.on_failure = "fail"
          return decision
        end,
      },
    }
    assert.equal("POST_CREATE", err.code)
    audit.flush()
    local failed = audit.of(audit.events(path), "session_failed")[1]
    assert.matches("<redacted:TOKEN>", failed.error.message, 1, true)
    assert.is_nil(temp.read(path):find(secret, 1, true))
  end)
end)
