local begin = require "axosandbox.session.work.begin"
local request = require "axosandbox.start.request"

describe("a mistake that many make", function()
  it("a key of the policy beside it, is told where that goes", function()
    local ok, problem = pcall(request.check, { id = "a", dir = "/x", network = "none" }, 1)
    assert.is_false(ok)
    assert.matches('"network" goes into the policy table: policy = { network', problem, 1, true)
  end)

  it("a key that is nowhere, is told of all there are", function()
    local ok, problem = pcall(request.check, { id = "a", dir = "/x", netwrok = "none" }, 1)
    assert.is_false(ok)
    assert.matches('unknown key "netwrok" (known: confirm, dir', problem, 1, true)
  end)

  it("a command line where an argv belongs, is told of a shell", function()
    local ok, problem = pcall(begin.words, "ls -l", "sandbox:exec", 1)
    assert.is_false(ok)
    assert.matches('sandbox:exec: the argv is a string; .*{ "sh", "%-c"', problem)
  end)
end)
