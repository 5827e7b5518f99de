local jsonc = require "axosandbox.base.jsonc"
local variables = require "axosandbox.devcontainer.variables"
local policies = require "spec.support.policies"
local projects = require "spec.support.devcontainers"

local function context(changes)
  local result = {
    root = "/work/my project", folder = "/work/my project/sub", id = "abc",
    allowed = { AXO_SEEN = true, AXO_UNSET = true }, budget = { left = variables.MAX_BYTES },
    refused = {},
  }
  result.denied = function(name) table.insert(result.refused, name) end
  for key, value in pairs(changes or {}) do result[key] = value end
  return result
end

local function put(text, changes)
  local used = context(changes)
  return variables.substitute(used, text), used.refused
end

describe("the variables of devcontainer.json", function()
  policies.housekeeping(_ENV)

  local function with_env(fn)
    policies.with_env({ AXO_SEEN = "seen", AXO_SECRET = "secret", AXO_UNSET = false }, fn)
  end

  it("name the directories and the id", function()
    assert.equal("/work/my project", (put "${localWorkspaceFolder}"))
    assert.equal("<my project>", (put "<${localWorkspaceFolderBasename}>"))
    assert.equal("/work/my project/sub", (put "${containerWorkspaceFolder}"))
    assert.equal("subsub",
      (put "${containerWorkspaceFolderBasename}${containerWorkspaceFolderBasename}"))
    assert.equal("a-abc", (put "a-${devcontainerId}"))
  end)

  it("read the variables of this machine that are allowed, by both names", function()
    with_env(function()
      assert.equal("seen-seen", (put "${localEnv:AXO_SEEN}-${env:AXO_SEEN:x}"))
      assert.equal("", (put "${localEnv:AXO_UNSET}"))
      assert.equal("else", (put "${localEnv:AXO_UNSET:else}"))
      assert.equal("http://x", (put "${localEnv:AXO_UNSET:http://x}"))
    end)
  end)

  it("read no other: it has its default, or nothing, and is reported", function()
    with_env(function()
      local text, refused = put "${localEnv:AXO_SECRET}|${env:AXO_SECRET:none}|${localEnv:PATH}"
      assert.equal("|none|", text)
      assert.same({ "AXO_SECRET", "AXO_SECRET", "PATH" }, refused)
    end)
  end)

  -- devcontainers/cli 0.89 keeps what stands before the second colon, and loses the rest.
  it("have the whole of their default, colons included", function()
    policies.with_env({ AXO_UNSET = false }, function()
      for _, default in ipairs {
        "https://x", "http://host:80/a:b", ":", "::", "a:", "C:\\x", "$HOME:/bin", "{",
      } do
        local text = ("<${localEnv:AXO_UNSET:%s}|${env:AXO_UNSET:%s}>"):format(default, default)
        assert.equal(("<%s|%s>"):format(default, default), (put(text)))
        assert.equal(("<%s>"):format(default),
          variables.in_container(("<${containerEnv:NO:%s}>"):format(default), {}, 1000))
      end
      -- It ends at the first brace: what is in it is not read.
      assert.equal("<${localEnv:X}>", (put "<${localEnv:AXO_UNSET:${localEnv:X}}>"))
      assert.equal("<a}>", (put "<${localEnv:AXO_UNSET:a}}>"))
    end)
  end)

  it("are put in once: a value is not read again", function()
    policies.with_env({ AXO_SEEN = "${localEnv:AXO_SECRET}", AXO_SECRET = "secret" }, function()
      assert.equal("${localEnv:AXO_SECRET}", (put "${localEnv:AXO_SEEN}"))
    end)
  end)

  it("stay when they are unknown, or belong to the container", function()
    for _, text in ipairs {
      "${containerEnv:PATH}", "${unknown}", "${}", "$HOME", "${", "}", "${a\n}", "$ {localEnv:X}",
      "${${localWorkspaceFolder",
    } do
      assert.equal(text, (put(text)))
    end
    assert.equal("${\nabc", (put "${\n${devcontainerId}"))
  end)

  it("are found in everything but keys", function()
    local value = jsonc.decode(
      '{"${devcontainerId}":["${devcontainerId}",{"a":"${devcontainerId}"}]}')
    local result = variables.substitute(context(), value)
    assert.same({ "${devcontainerId}" }, jsonc.keys(result))
    assert.equal("abc", result["${devcontainerId}"][1])
    assert.equal("abc", result["${devcontainerId}"][2].a)
  end)

  it("without a name are an error that names the property", function()
    local err = projects.refused '{"image":"alpine","containerEnv":{"A":"${localEnv}"}}'
    assert.equal("INVALID", err.code)
    assert.matches("containerEnv: %${localEnv} does not name", err.message)
  end)

  it("cannot blow a small file up", function()
    local text = ("${localWorkspaceFolder}"):rep(40000)
    local ok, err = pcall(put, text, { root = "/" .. ("x"):rep(4000) })
    assert.is_false(ok)
    assert.matches("too long", err.message)
  end)

  it("are found in linear time", function()
    local open = ("${"):rep(500000)
    for _, text in ipairs { open, open .. "\n", ("${x"):rep(300000) .. "}" } do
      local before = os.clock()
      put(text)
      -- Quadratic, this would take minutes.
      assert(os.clock() - before < 20)
    end
  end)

  it("of the container have defaults, and bounds", function()
    local env = { PATH = "/bin", LONG = ("x"):rep(100) }
    assert.equal("/bin:/opt//usr",
      variables.in_container("${containerEnv:PATH}:/opt/${containerEnv:NO}/${containerEnv:NO:usr}",
        env, 1000))
    assert.equal("${localEnv:PATH}", variables.in_container("${localEnv:PATH}", env, 1000))
    assert.is_nil(variables.in_container(("${containerEnv:LONG}"):rep(11), env, 1000))
  end)
end)
