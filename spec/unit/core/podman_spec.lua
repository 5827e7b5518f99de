local core = require "axosandbox.core"

describe("core.podman.find", function()
  it("finds nothing where nothing is, and says what to type", function()
    for _, path in ipairs { "", "/no/such/directory" } do
      local found, err = core.podman.find(nil, path)
      assert.is_nil(found)
      assert.equal("ENOENT", err.code)
      assert.is_true(#err.hint > 0)
    end
  end)

  it("takes another program when told so", function()
    assert.equal("/bin/sh", core.podman.find "/bin/sh")
    assert.matches("^/.*/sh$", core.podman.find("sh", "/bin"))
  end)
end)

describe("core.podman.judge", function()
  local function judge(code, stderr, total)
    return core.podman.judge {
      code = code, argv0 = "frob", stderr = stderr, stdout_total = total or 0 }
  end

  it("leaves the command its own exit codes", function()
    assert.is_nil(judge(0, ""))
    assert.is_nil(judge(3, "Error: mine"))
    assert.is_nil(judge(127, "frob: not found\n"))
    assert.is_nil(judge(125, "Error: something", 10))
  end)

  it("makes podman's own failures errors", function()
    local stderr = 'Error: runc: exec failed: unable to start container process: exec: "frob": '
      .. "executable file not found in $PATH: OCI runtime attempted to invoke a command that was "
      .. "not found\n"
    local err = judge(127, stderr)
    assert.is_true(core.is_error(err))
    assert.equal("NOT_FOUND", err.code)
    assert.equal(127, err.exit_code)
    assert.equal(stderr, err.stderr)
    assert.equal("GONE", judge(125, 'Error: no container with name or ID "x" found: no such '
      .. "container\n").code)
  end)

  it("raises on what is no outcome", function()
    assert.has_error(function() core.podman.judge {} end, "podman.judge.code is required")
    assert.has_error(function()
      core.podman.judge { code = 1 << 40, argv0 = "a", stderr = "", stdout_total = 0 }
    end)
  end)
end)
