-- What a policy file can reach, and what it can change.
local policies = require "spec.support.policies"

local REQUEST = { argv = { "true" }, kind = "exec", id = "demo" }

--- What a body of exec.lua's function says, as the decision's reason.
local function say(body)
  local set = policies.with("exec", "return function(request, default)\n" .. body .. "\nend")
  return set:decide("exec", REQUEST)
end

local function reason(expression)
  local decision, err = say("return { allow = true, reason = tostring(" .. expression .. ") }")
  return assert(decision, err).reason
end

describe("a policy file", function()
  policies.housekeeping(_ENV)

  local NAMES = {
    "_G", "_ENV.os", "os", "io", "debug", "require", "package", "load", "loadstring",
    "loadfile", "dofile", "pcall", "xpcall", "coroutine", "collectgarbage", "setmetatable",
    "getmetatable", "rawset", "rawget", "rawequal", "rawlen", "print", "warn", "arg",
    "request_", "uv", "jit",
  }
  for _, name in ipairs(NAMES) do
    it("cannot reach " .. name, function()
      local decision, err = say("local x = " .. name .. "\nreturn { allow = true }")
      assert.is_nil(decision)
      assert.equal("POLICY", err.code)
      assert.matches("exec.lua:2: '[%w_]+' is not available to policy", err.message)
    end)
  end

  it("has what it needs, and no more", function()
    assert.equal(table.concat({
      "assert", "error", "ipairs", "math", "next", "pairs", "part", "select", "string", "table",
      "tonumber", "tostring", "type", "utf8",
    }, " "), reason [[(function()
      local names = {}
      for name in pairs(_ENV) do names[#names + 1] = name end
      table.sort(names)
      return table.concat(names, " ")
    end)()]])
  end)

  it("finds no function of the host that keeps state or takes it apart", function()
    for _, name in ipairs { "string.dump", "string.pack", "math.random", "math.randomseed" } do
      assert.equal("nil", reason(name))
    end
    assert.equal("nil", reason '("").dump')
    assert.equal("nil", reason '("x").pack')
  end)

  it("has bounded methods of strings, too", function()
    for _, body in ipairs {
      "local s = ('x'):rep(1e9)", "local s = ('x').rep('x', 1e9)",
      "local s = ('x'):rep(200000):find '.-.-.-.-y'",
    } do
      local decision, err = say(body .. "\nreturn { allow = true }")
      assert.is_nil(decision)
      assert.matches("exec.lua:2: ", err.message)
    end
  end)

  it("cannot change the host's tables", function()
    local format, insert, pi = string.format, table.insert, math.pi
    assert(say [[
      string.format, string.rep, string.evil = nil, function() return "evil" end, true
      table.insert = error
      math.pi, utf8.char = 3, nil
      tostring = nil
      new_global = 1
      return { allow = true }
    ]])
    assert.equal(format, string.format)
    assert.equal("xx", ("x"):rep(2))
    assert.is_nil(rawget(string, "evil"))
    assert.equal(insert, table.insert)
    assert.equal(pi, math.pi)
    assert.is_function(utf8.char)
    assert.is_nil(rawget(_G, "new_global"))
  end)

  it("cannot change what another file sees", function()
    local evil = policies.dir { exec = [[return function(request, default)
      string.upper = function() return "evil" end
      string.format = nil
      tostring = nil
      shared = 1
      return default(request)
    end]] }
    local good = policies.dir { exec = [[return function()
      return { allow = true, reason = string.upper "a" .. ("b"):upper() .. tostring(1) }
    end]] }
    local set = assert(policies.new(nil, { evil, good }))
    assert.equal("AB1", set:decide("exec", REQUEST).reason)
    local reach = policies.dir { exec = "return function()\n  local s = shared\nend" }
    local _, err = assert(policies.new(nil, { evil, reach })):decide("exec", REQUEST)
    assert.matches("exec.lua:2: 'shared' is not available", err.message)
  end)

  it("cannot change what the engine holds", function()
    local function pristine()
      return { argv = { "a", "b" }, kind = "exec", fields = { exec = { timeout = 3 } } }
    end
    local request = pristine()
    local set = policies.with("exec", [[return function(request, default)
      local decision = default(request)
      request.argv[1], request.kind, request.fields.exec.timeout = "evil", nil, 99
      request.fields = nil
      return decision
    end]])
    assert.equal(3, set:decide("exec", request).timeout)
    assert.same(pristine(), request)
    assert.equal(3, set:decide("exec", request).timeout)
  end)

  it("cannot change the fields of the call", function()
    local dir = policies.dir { exec = [[return function(request, default)
      request.fields.network, request.fields.exec = "bridge", { timeout = 1 }
      return { allow = true }
    end]] }
    local set = assert(policies.new({ network = "none" }, { dir }))
    assert(set:decide("exec", REQUEST))
    assert.same({ network = "none" }, set:fields())
  end)

  it("cannot keep a hold on a decision", function()
    local set = policies.with("exec", [[
      local kept
      return function()
        if kept then kept.allow = "changed later" end
        kept = { allow = true }
        return kept
      end]])
    local first = set:decide("exec", REQUEST)
    local second = set:decide("exec", REQUEST)
    assert.same({ allow = true }, first)
    assert.same({ allow = true }, second)
  end)

  it("hands what it decided to the one that wraps it as a copy", function()
    local below = policies.dir { exec = [[
      local kept = { allow = false, reason = "kept" }
      return function() return kept end]] }
    local above = policies.dir { exec = [[return function(request, default)
      local first = default(request)
      first.reason = "changed"
      return default(request)
    end]] }
    local set = assert(policies.new(nil, { above, below }))
    assert.equal("kept", set:decide("exec", REQUEST).reason)
  end)

  it("cannot yield, and is the same whether the host runs in a coroutine or not", function()
    local set = policies.with("exec", "return function() return { allow = true } end")
    local co = coroutine.wrap(function() return set:decide("exec", REQUEST) end)
    assert.same({ allow = true }, co())
  end)

  it("gets the end of a long complaint only", function()
    local set = policies.with("retry", [[return function(request)
      return { class = "N" .. #request.stderr, subclass = request.stderr:sub(-3) }
    end]])
    local long = ("x"):rep(1000000) .. "END"
    assert.same({ class = "N16384", subclass = "END" },
      set:decide("retry", { op = "classify", stderr = long }))
  end)

  it("is refused when it lies in the session's directory, by any name of it", function()
    local uv = require "luv"
    local temp = require "spec.support.temp"
    local dir = policies.dir { exec = "return function() return { allow = true } end" }
    local link = temp.dir() .. "/link"
    assert(uv.fs_symlink(dir, link))
    local parent = dir:match "^(.*)/"
    local set = policies.new { exec = dir .. "/exec.lua" }
    for _, session in ipairs { dir, link } do
      local decision, err = set:decide("exec", { argv = { "x" }, kind = "exec", dir = session })
      assert.is_nil(decision)
      assert.equal("POLICY", err.code)
      assert.matches("exec.lua:1: refused, because it lies in the session's directory", err.message)
    end
    assert.is_nil((set:decide("exec", { argv = { "x" }, kind = "exec", dir = parent })))
    assert.is_nil((set:decide("exec", { argv = {}, kind = "exec", dir = "/x", dir_real = dir })))
    assert.truthy(set:decide("exec", { argv = { "x" }, kind = "exec", dir = dir .. "-other" }))
    -- The first decision of a session answers for all of them.
    local start = { dir = dir, dir_real = dir }
    assert.matches("exec.lua:1: refused", select(2, set:decide("sandbox", start)).message)
    -- And what it mounts besides, where it may write there.
    start = { dir = "/x", dir_real = "/x", extra_mounts = {
      { source = link, source_real = parent, target = "/y", writable = true } } }
    assert.matches("exec.lua:1: refused", select(2, set:decide("sandbox", start)).message)
    start.extra_mounts[1].writable = false
    local _, other = set:decide("sandbox", start)
    assert.is_nil(other and other.message:match "exec.lua:1: refused")
    set = policies.new { exec = link .. "/exec.lua" }
    assert.is_nil((set:decide("exec", { argv = { "x" }, kind = "exec", dir = dir })))
  end)
end)
