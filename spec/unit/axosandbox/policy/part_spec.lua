-- A policy file in parts: what `part` gives, and that nothing else can be had by it.
local uv = require "luv"
local policy = require "axosandbox.policy"
local policies = require "spec.support.policies"
local temp = require "spec.support.temp"

local REQUEST = { argv = { "make" }, kind = "exec", id = "demo", dir = "/home/me/project" }
local WHOLE = [[local words = part "words"
return function() return { allow = false, reason = words.reason() } end]]
local WORDS = "return { reason = function() return 'in part' end }"

local function reason(dir)
  return assert(assert(policies.new(nil, { dir })):decide("exec", REQUEST)).reason
end

local function error_of(dir)
  local set, err = policies.new(nil, { dir })
  if set then err = select(2, set:decide("exec", REQUEST)) end
  assert(err, "it went well")
  assert.equal("POLICY", err.code)
  return err
end

--- That the error's message begins with this file (and line) and says `pattern`.
local function says(err, where, pattern)
  assert.equal(1, (err.message:find(where .. ": ", 1, true)), err.message)
  assert.matches(pattern, err.message)
end

describe("a part of a policy file", function()
  policies.housekeeping(_ENV)

  it("is what its file returns", function()
    assert.equal("in part", reason(policies.dir { exec = WHOLE, ["exec/words"] = WORDS }))
  end)

  it("is found beside a file that the call names", function()
    local dir = policies.dir { mine = WHOLE, ["mine/words"] = WORDS }
    local set = assert(policies.new { exec = dir .. "/mine.lua" })
    assert.equal("in part", assert(set:decide("exec", REQUEST)).reason)
  end)

  it("belongs to its file: each file of a chain has its own", function()
    local wrap = [[local suffix = part "words"
      return function(request, default)
        local decision = default(request)
        decision.reason = decision.reason .. suffix
        return decision
      end]]
    local above = policies.dir { exec = wrap, ["exec/words"] = "return ' of another'" }
    local below = policies.dir { exec = WHOLE, ["exec/words"] = WORDS }
    local set = assert(policies.new(nil, { above, below }))
    assert.equal("in part of another", assert(set:decide("exec", REQUEST)).reason)
  end)

  it("has an environment of its own, in which there are no parts", function()
    local dir = policies.dir {
      exec = "leak = 1\n" .. WHOLE,
      ["exec/words"] = "return { reason = function() return tostring(leak) end }",
    }
    says(error_of(dir), dir .. "/exec/words.lua:1", "'leak' is not available to policy")
    dir = policies.dir { exec = WHOLE, ["exec/words"] = "\nreturn part 'words'" }
    says(error_of(dir), dir .. "/exec/words.lua:2", "'part' is not available to policy")
  end)

  it("is named, with the line, when something in it is wrong", function()
    for _, case in ipairs {
      { "\nreturn {", 2, "unexpected symbol" },
      { "\n\nlocal x\nreturn x.y", 4, "attempt to index" },
      { "return {\n  reason = function()\n    error 'late'\n  end,\n}", 3, "late" },
      { "\nwhile true do end", 2, "used up its budget" },
      { "return {\n  reason = function()\n    while true do end\n  end,\n}", 3, "its budget" },
    } do
      local dir = policies.dir { exec = WHOLE, ["exec/words"] = case[1] }
      says(error_of(dir), ("%s/exec/words.lua:%d"):format(dir, case[2]), case[3])
    end
  end)

  it("that is not there is an error, and says who needs it", function()
    local dir = policies.dir { exec = WHOLE }
    local err = error_of(dir)
    says(err, dir .. "/exec/words.lua:1", "there is no such file")
    assert.matches(dir:gsub("%p", "%%%0") .. "/exec%.lua needs it", err.hint)
  end)

  it("lies nowhere else", function()
    for _, name in ipairs { "'../words'", "'words/../words'", "'/etc/passwd'", "''", "'a.b'", "5",
      "nil", "{}" } do
      local dir = policies.dir {
        exec = "\nlocal x = part(" .. name .. ")\nreturn x", ["exec/words"] = WORDS,
      }
      says(error_of(dir), dir .. "/exec.lua:2", "a name is of letters, digits")
    end
  end)

  it("is had only while the file is loaded", function()
    local dir = policies.dir {
      exec = "return function()\n  local x = part 'words'\n  return x\nend", ["exec/words"] = WORDS,
    }
    says(error_of(dir), dir .. "/exec.lua:2", "only while the file is loaded")
  end)

  it("is refused as its file would be, when others can write it", function()
    local dir = policies.dir { exec = WHOLE, ["exec/words"] = WORDS }
    assert(uv.fs_chmod(dir .. "/exec/words.lua", tonumber("666", 8)))
    says(error_of(dir), dir .. "/exec/words.lua:1", "others can write it")
    assert(uv.fs_chmod(dir .. "/exec/words.lua", tonumber("600", 8)))
    assert(uv.fs_chmod(dir .. "/exec", tonumber("777", 8)))
    says(error_of(dir), dir .. "/exec/words.lua:1", "others can write the directory")
  end)

  it("is refused when it lies in the session's directory", function()
    local project = temp.dir()
    temp.write(project .. "/words.lua", WORDS, "600")
    local dir = policies.dir { exec = WHOLE, ["exec/words"] = WORDS }
    assert(uv.fs_unlink(dir .. "/exec/words.lua"))
    assert(uv.fs_symlink(project .. "/words.lua", dir .. "/exec/words.lua"))
    local set = assert(policies.new(nil, { dir }))
    local decision, err = set:decide("exec", { argv = { "make" }, kind = "exec", dir = project })
    assert.is_nil(decision)
    says(err, dir .. "/exec/words.lua:1", "lies in the session's directory")
  end)
end)

describe("retry.lua in its parts", function()
  policies.housekeeping(_ENV)

  local COMPLAINT = {
    op = "classify", exit_code = 126,
    stderr = "Error: rootlessport listen tcp 0.0.0.0:3000: bind: address already in use",
  }

  it("may be copied by an operator, with them", function()
    local texts = {}
    for _, name in ipairs { "retry", "retry/classify", "retry/rules" } do
      texts[name] = assert(temp.read("policy/" .. name .. ".lua"))
    end
    local dir = policies.dir(texts)
    local set = assert(policy.new(nil, { dirs = { dir } }))
    assert.equal(dir .. "/retry.lua", set:source "retry")
    assert.equal(3000, assert(set:decide("retry", COMPLAINT)).port)
  end)

  it("is wrapped as a whole: what an operator's file does not know is asked of the next", function()
    local dir = policies.dir { retry = [[return function(request, default)
      if request.op == "classify" and request.stderr:find "flux capacitor" then
        return { class = "OCI_RUNTIME", subclass = "FLUX" }
      end
      return default(request)
    end]] }
    local set = assert(policies.new(nil, { dir }))
    assert.equal("PORT_CONFLICT", assert(set:decide("retry", COMPLAINT)).class)
    local answer = assert(set:decide("retry", {
      op = "classify", exit_code = 126, stderr = "Error: no flux capacitor",
    }))
    assert.equal("FLUX", answer.subclass)
  end)

  it("asks the next about a complaint also while it decides", function()
    local dir = policies.dir { retry = [[return function(request, default)
      if request.op == "classify" then return default(request) end
      local again = default { op = "classify", stderr = request.stderr, exit_code = 126 }
      return { action = "give_up", hint = again.class }
    end]] }
    local set = assert(policies.new(nil, { dir }))
    local decision = assert(set:decide("retry", {
      op = "retry", class = "UNKNOWN", stderr = COMPLAINT.stderr, exit_code = 126, attempt = 1,
    }))
    assert.equal("PORT_CONFLICT", decision.hint)
  end)
end)
