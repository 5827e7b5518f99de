require("spec.support.cli").expose_libraries()
local cli = require "axolua.cli"
local mount_options = require "axolua.sandbox.mount_options"
local naming = require "axosandbox.base.naming"

describe("the options of mounts", function()
  local function parse(...)
    local parser = cli.parser("run", "For a spec.")
    mount_options.add(parser)
    return parser:pparse { ... }
  end

  local READ = {
    { "-v", "/a:/b", "/a", "/b", false }, { "--volume", "/a:/b:ro", "/a", "/b", false },
    { "-v", "/a:/b:rw", "/a", "/b", true }, { "-v", "/a:/b:rw,cached", "/a", "/b", true },
    { "--mount", "type=bind,source=/a,target=/b", "/a", "/b", false },
    { "--mount", "src=/a,dst=/b,rw", "/a", "/b", true },
    { "--mount", "type=bind,src=/a,destination=/b,readonly", "/a", "/b", false },
    { "--mount", "type=bind,src=/a,target=/b,readonly=false", "/a", "/b", true },
    { "--mount", "type=bind,src=/a,target=/b,rw=0", "/a", "/b", false },
    { "--mount", "type=bind,src=/a,target=/b,readonly=0", "/a", "/b", true },
    { "--mount", "type=bind,src=/a,target=/b,rw=false,ro", "/a", "/b", false },
  }
  for _, case in ipairs(READ) do
    it(("reads %s %s"):format(case[1], case[2]), function()
      local ok, args = parse(case[1], case[2])
      assert.is_true(ok, args)
      assert.same({ { source = case[3], target = case[4], writable = case[5] } }, args.volume)
    end)
  end

  local WRONG = {
    { "-v", "data:/b", "no named volumes.*%./data:/b" }, { "-v", "/a", "anonymous volume" },
    { "-v", "/a:b", "must be an absolute path" },
    { "-v", "/a:/b:z", '"z" is none of ro and rw: SELinux' },
    { "--mount", "type=tmpfs,target=/b", "only type=bind" },
    { "--mount", "source=/a,target=/b,uid=3", '"uid" is none of' },
    { "--mount", "type=volume,source=x,target=/b", "only type=bind" },
    { "--mount", "source=/a,target=/b,rw,readonly", "either readonly or rw" },
    { "--mount", "source=/a,target=/b,rw=no", "true or false" },
    { "--allow-mount", "", "empty" },
  }
  for _, case in ipairs(WRONG) do
    it(("refuses %s %s"):format(case[1], case[2]), function()
      local ok, problem = parse(case[1], case[2])
      assert.is_false(ok)
      assert.matches(case[3], problem)
    end)
  end
end)

describe("mounts in a label", function()
  it("come back as they were, whatever is in their names", function()
    local list = {
      { source = "/a b,c:d%20", target = "/x", writable = true },
      { source = "/\xE9\27", target = "/y-z_1.2", writable = false },
    }
    local labels = naming.labels {
      id = "demo", dir = "/d", version = "1", owner = "1:2:3:4", instance = "ab", ports = {},
      limits = {}, mounts = list,
    }
    assert.same(list, naming.parse_labels(labels).mounts)
    labels["axosandbox.mounts"] = nil
    assert.same({}, naming.parse_labels(labels).mounts)
    for _, wrong in ipairs { "x", "/a:/b", "/a:/b:rx", "/a:b:ro", "/a,/b:ro" } do
      labels["axosandbox.mounts"] = wrong
      assert.is_nil((naming.parse_labels(labels)))
    end
  end)
end)
