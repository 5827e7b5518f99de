-- Secrets: where they may come from, what is refused, and how a command gets them.
local uv = require "luv"
local await = require "axosandbox.base.await"
local host = require "axosandbox.host"
local redact = require "axosandbox.audit.redact"
local request = require "axosandbox.start.request"
local secrets = require "axosandbox.podman.secrets"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"

-- Resolves at the top level.
local function resolve(sources, dirs)
  return await.call(function(done)
    await.spawn(function()
      local found, err = secrets.resolve(sources, { dirs = dirs or {} })
      if err then return nil, err end
      return found or false
    end, done)
    return true
  end)
end

local function value_of(source, dirs)
  local found, err = resolve({ S = source }, dirs)
  if not found then return nil, err end
  secrets.release(found)
  return found.values.S
end

local function refused(source, dirs)
  local value, err = value_of(source, dirs)
  assert.is_nil(value)
  assert.matches("^the secret S: ", err.message)
  return err
end

describe("secrets", function()
  local mark, dir
  setup(function()
    mark = janitor.mark()
    dir = temp.dir()
  end)
  teardown(function() janitor.sweep(mark) end)

  local function file(name, bytes, mode)
    return { file = temp.write(dir .. "/" .. name, bytes, mode or "600") }
  end

  describe("from a file", function()
    it("are its bytes without the newlines at the end", function()
      assert.equal("a b\n\xffc", value_of(file("a", "a b\n\xffc\r\n\n")))
      assert.equal(("x"):rep(65536), value_of(file("b", ("x"):rep(65536))))
      assert(uv.fs_symlink(dir .. "/a", dir .. "/link-to-a"))
      assert.equal("a b\n\xffc", value_of { file = dir .. "/link-to-a" })
    end)

    it("are refused when they are too long, too short, or no text for a variable", function()
      assert.matches("longer than 65536", refused(file("c", ("x"):rep(65537))).message)
      assert.matches("empty", refused(file("d", "\n")).message)
      assert.matches("shorter than 4", refused(file("e", "abc\n")).message)
      assert.matches("NUL", refused(file("f", "abcd\0e")).message)
    end)

    it("are refused from what is no file, without waiting for it", function()
      assert.equal(true, (os.execute("mkfifo " .. dir .. "/fifo")))
      assert.matches("not a regular file", refused({ file = dir .. "/fifo" }).message)
      assert.matches("not a regular file", refused({ file = dir }).message)
      assert.matches("not a regular file", refused({ file = "/dev/zero" }).message)
      assert.matches("ENOENT", refused({ file = dir .. "/none" }).message)
    end)

    it("are refused where the session could choose the file", function()
      local project = temp.dir "project"
      local target = file("target", "something").file
      temp.write(project .. "/token", "something")
      assert(uv.fs_symlink(target, project .. "/link"))
      assert(uv.fs_symlink(project .. "/link", dir .. "/through-link"))
      assert(uv.fs_symlink(project, dir .. "/through-dir"))
      assert(uv.fs_mkdir(project .. "/sub", 493))
      assert(uv.fs_symlink(dir, project .. "/sub/out"))
      for _, path in ipairs {
        project .. "/token", project .. "/link", dir .. "/through-link",
        dir .. "/through-dir/link", dir .. "/../" .. dir:match "[^/]*$" .. "/through-link",
        project .. "/sub/out/target", project .. "//./link", project .. "/sub/../link",
      } do
        local err = refused({ file = path }, { project })
        assert.equal("EPERM", err.code, path)
        assert.matches("lies in a directory that the session can write", err.message)
      end
      assert.equal("something", value_of({ file = target }, { project }))
      assert.equal("something", value_of({ file = target }, { project, dir .. "/targ" }))
      assert(uv.fs_symlink("loop", dir .. "/loop"))
      assert.equal("EPERM", refused({ file = dir .. "/loop" }, { project }).code)
    end)
  end)

  describe("from a command", function()
    it("are what it prints, in /, without a terminal or input", function()
      assert.equal("in /, read ", value_of { command = "echo \"in $(pwd), read $(cat)\"" })
      assert.equal("a b\nc", value_of { command = "printf 'a b\\nc\\n\\n'" })
      assert.equal("a  b $x", value_of { command = { "printf", "%s", "a  b $x" } })
      assert.equal("no tty", value_of { command = "(: </dev/tty) 2>/dev/null || echo no tty" })
    end)

    it("come from no program of a session's directory", function()
      local project = uv.fs_realpath(temp.dir "tools")
      temp.write(project .. "/axo-token", "#!/bin/sh\necho stolen\n", "755")
      local path = os.getenv "PATH"
      finally(function() uv.os_setenv("PATH", path) end)
      uv.os_setenv("PATH", project .. ":" .. path)
      assert.equal("stolen", value_of { command = "axo-token" })
      host.avoid(project)
      assert.matches("axo%-token", refused({ command = "axo-token" }).message)
    end)

    it("are refused when it fails, with what it said", function()
      local err = refused { command = "echo first >&2; echo not in the store >&2; exit 3" }
      assert.equal("COMMAND", err.code)
      assert.matches("exit code 3: not in the store$", err.message)
      assert.matches("SIGTERM", refused({ command = "kill -TERM $$" }).message)
      assert.equal("ENOENT", refused({ command = { "/no/such/program" } }).code)
    end)

    it("are refused when it prints without end", function()
      assert.matches("more than 65536 bytes", refused({ command = "yes" }).message)
    end)
  end)

  it("are resolved one after the other, and redacted until they are released", function()
    local path = dir .. "/counter"
    local found = assert(resolve {
      B = { command = "cat " .. path }, A = { command = "echo from-a | tee " .. path },
    })
    assert.same({ "A", "B" }, found.names)
    assert.equal("from-a", found.values.B)
    assert.equal("x<redacted:A>", (redact.text "xfrom-a"):gsub(":B", ":A"))
    secrets.release(found)
    secrets.release(found)
    assert.equal("from-a", redact.text "from-a")
    assert.is_false(resolve {})
  end)

  it("stop at the first failure", function()
    local path = dir .. "/never"
    local found, err = resolve {
      A = { command = "false" }, B = { command = "echo done | tee " .. path },
    }
    assert.is_nil(found)
    assert.matches("^the secret A", err.message)
    assert.is_nil(uv.fs_stat(path))
  end)

  describe("as an option", function()
    local BAD = {
      { { PATH = { file = "/x" } }, "a meaning to podman" },
      { { LD_PRELOAD = { file = "/x" } }, "a meaning to podman" },
      { { XDG_RUNTIME_DIR = { file = "/x" } }, "a meaning to podman" },
      { { CONTAINER_HOST = { file = "/x" } }, "a meaning to podman" },
      { { CONTAINERS_CONF = { file = "/x" } }, "a meaning to podman" },
      { { _CONTAINERS_USERNS_CONFIGURED = { file = "/x" } }, "a meaning to podman" },
      { { GODEBUG = { file = "/x" } }, "a meaning to podman" },
      { { AXOSANDBOX_WORK = { file = "/x" } }, "a meaning to podman" },
      { { ["A B"] = { file = "/x" } }, "not the name" },
      { { ["A=B"] = { file = "/x" } }, "not the name" },
      { { A = {} }, "exactly one" },
      { { A = { file = "/x", command = "y" } }, "exactly one" },
      { { A = { file = "x" } }, "must be absolute" },
      { { A = { command = {} } }, "the command is empty" },
      { { A = { command = { "x", 1 } } }, "not a string" },
      { { A = { value = "x" } }, 'unknown key "value"' },
      { { A = "file:/x" }, "expected table" },
    }
    for i, case in ipairs(BAD) do
      it(("raise on a mistake (%d: %s)"):format(i, case[2]), function()
        local ok, err = pcall(request.check, { id = "a", dir = "/x", env_from = case[1] }, 1)
        assert.is_false(ok)
        assert.matches(case[2], err)
      end)
    end

    it("are bounded in number", function()
      local many = {}
      for i = 1, 65 do many["A" .. i] = { file = "/x" } end
      assert.is_false((pcall(request.check, { id = "a", dir = "/x", env_from = many }, 1)))
    end)
  end)

  describe("reach a podman client", function()
    local held = { names = { "A", "B" }, values = { A = "one", B = "two" } }

    it("in its environment, once, where a command has none of its own", function()
      assert.same({ "A", "B" }, secrets.names_for(held, nil))
      assert.same({ "B" }, secrets.names_for(held, { A = "mine" }))
      assert.is_nil(secrets.names_for(held, { A = "x", B = "y" }))
      assert.is_nil(secrets.names_for(nil, {}))
      assert.same({ "C=3", "AB=4", "A=one", "B=two" },
        secrets.client_env({ "A=host", "C=3", "AB=4", "B=host" }, held))
      local base = { "A=host" }
      assert.equal(base, secrets.client_env(base, nil))
    end)
  end)

  describe("are kept for who opens the session", function()
    local function record(runtime_dir, instance)
      return { runtime_dir = runtime_dir, instance = instance, warnings = {} }
    end
    local values = { A = "one \"two\"\n\xff", B = "three" }

    it("in a file of mode 0600, for this container alone", function()
      local runtime = temp.dir()
      local made = record(runtime, "i1")
      made.secrets = secrets.of(values)
      assert(secrets.keep(made))
      assert.equal(384, assert(uv.fs_stat(runtime .. "/secrets.json")).mode & 511)
      local opened = record(runtime, "i1")
      secrets.recall(opened, { "A", "B" })
      assert.same(values, opened.secrets.values)
      assert.same({}, opened.warnings)
      local other = record(runtime, "i2")
      secrets.recall(other, { "A", "B" })
      assert.is_nil(other.secrets)
      assert.matches("secrets are gone %(A, B%)", other.warnings[1])
      for _, one in ipairs { made, opened } do secrets.forget(one) end
      assert.equal("three", redact.text "three")
    end)

    it("and not believed when others can read the file, or it is something else", function()
      local runtime = temp.dir()
      local made = record(runtime, "i1")
      made.secrets = secrets.of(values)
      assert(secrets.keep(made))
      local path = runtime .. "/secrets.json"
      local function is_believed()
        local opened = record(runtime, "i1")
        secrets.recall(opened, { "A" })
        local believed = opened.secrets ~= nil
        secrets.forget(opened)
        return believed
      end
      assert.is_true(is_believed())
      assert(uv.fs_chmod(path, 420))
      assert.is_false(is_believed())
      assert(uv.fs_chmod(path, 384))
      assert(uv.fs_rename(path, runtime .. "/elsewhere"))
      assert(uv.fs_symlink(runtime .. "/elsewhere", path))
      assert.is_false(is_believed())
      assert(uv.fs_unlink(path))
      temp.write(path, "[[[", "600")
      assert.is_false(is_believed())
      secrets.forget(made)
    end)

    it("or the start fails", function()
      local made = record(dir .. "/none", "i1")
      made.secrets = secrets.of(values)
      local kept, err = secrets.keep(made)
      assert.is_nil(kept)
      assert.equal("env_from", err.op)
      secrets.forget(made)
    end)
  end)
end)
