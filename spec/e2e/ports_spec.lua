-- @runs native-root native-user
local e2e = require "spec.support.e2e"
local net = require "spec.support.net"
local axo = require "axosandbox"
local podman = e2e.podman

local function sample(predicate)
  local cjson = require "cjson"
  for _, entry in ipairs(cjson.decode(e2e.temp.read "spec/fixtures/podman_failures.json")) do
    entry.expect_port = math.tointeger(entry.expect_port)
    if predicate(entry) then return entry end
  end
  error "the fixture has no such sample"
end

--- A podman whose first `run` only complains, as the fixture says; the real one does the rest.
local function complaining(entry)
  local dir = e2e.temp.dir()
  local text = e2e.temp.write(dir .. "/stderr", entry.stderr .. "\n")
  return podman.recording(([[
if [ "$1" = run ] && [ ! -e %s/done ]; then
  : > %s/done
  cat %s >&2
  exit %d
fi
]]):format(dir, dir, text, entry.rc or 126))
end

local function runs_of(calls)
  local runs = {}
  for _, call in ipairs(calls()) do
    if call:find "^run " then runs[#runs + 1] = call end
  end
  return runs
end

local function bridge(ports)
  return e2e.options {
    optional = { ports = ports }, policy = { network = "bridge", provision = e2e.no_provisioning },
  }
end

if podman.has_bridge() then
  describe("a port that is held", function()
    e2e.housekeeping(_ENV)

    it("is an error that names it where it was asked for, and nothing is left", function()
      local holder <close> = net.listen "127.0.0.1"
      local options = bridge { net.free_port() }
      options.ports = { holder.port }
      local sb, err = axo.start(options)
      assert.is_nil(sb)
      assert.equal("PORT_CONFLICT", err.class, tostring(err))
      assert.equal(holder.port, err.port)
      assert.matches("port " .. holder.port .. " was asked for, and another program holds it",
        err.hint)
      assert.matches("%-%-optional%-port", err.hint)
      assert.is_false(podman.exists("axo-ses-" .. options.id))
    end)

    it("is dropped with a warning that names it where it is optional; others are kept", function()
      local holder <close> = net.listen "127.0.0.1"
      local free = net.free_port()
      local sb = assert(axo.start(bridge { holder.port, free }))
      assert.same({ free }, sb:ports())
      assert.matches(tostring(holder.port), table.concat(sb:warnings(), "\n"))
      assert.is_nil(table.concat(sb:warnings(), "\n"):find(tostring(free), 1, true))
      assert(sb:stop())
    end)

    it("that the session which is reused does not publish is named by a warning", function()
      local free, more = net.free_port(), net.free_port()
      local options = bridge { free }
      local first = assert(axo.start(options))
      options.reuse, options.optional, options.ports = true, nil, { free, more }
      local sb <close> = assert(axo.start(options))
      assert.same({ free }, sb:ports())
      local warnings = table.concat(sb:warnings(), "\n")
      assert.matches(tostring(more), warnings)
      assert.is_nil(warnings:find(tostring(free), 1, true))
      assert(first:stop())
    end)

    it("and another one are both dropped, one after the other", function()
      local one <close> = net.listen "127.0.0.1"
      local two <close> = net.listen "127.0.0.1"
      local free = net.free_port()
      local sb = assert(axo.start(bridge { one.port, free, two.port }))
      assert.same({ free }, sb:ports())
      assert(sb:stop())
    end)
  end)
end

describe("a number in podman's complaint", function()
  e2e.housekeeping(_ENV)

  it("that is no port drops none: a complaint full of colons and numbers", function()
    local entry = sample(function(each)
      return each.class ~= "PORT_CONFLICT" and each.expect_port == nil
        and each.stderr:find ":%d%d%d%d" ~= nil
    end)
    local program, calls = complaining(entry)
    local ports = {}
    for number in entry.stderr:gmatch ":(%d%d%d%d+)" do
      if tonumber(number) > 1024 and tonumber(number) < 65536 and not ports[1] then
        ports[1] = tonumber(number)
      end
    end
    ports[#ports + 1] = net.free_port()
    podman.with(program, function()
      local sb = axo.start(bridge(ports))
      if sb then
        assert.same(ports, sb:ports())
        assert(sb:stop())
      end
    end)
    for _, run in ipairs(runs_of(calls)) do
      for _, port in ipairs(ports) do
        assert.truthy(run:find(":" .. port .. ":" .. port, 1, true),
          "port " .. port .. " was dropped: " .. run)
      end
    end
  end)

  it("that is the port of a conflict drops that one", function()
    local entry = sample(function(each)
      return each.class == "PORT_CONFLICT" and (each.expect_port or 0) > 1024
        and each.expect_port ~= 3999
    end)
    local program, calls = complaining(entry)
    podman.with(program, function()
      local options = bridge { entry.expect_port, 3999 }
      local sb = axo.start(options)
      if sb then assert(sb:stop()) end
    end)
    local runs = runs_of(calls)
    assert(#runs >= 2, "podman was not asked again")
    assert.truthy(runs[1]:find(":" .. entry.expect_port .. ":", 1, true))
    assert.is_nil(runs[2]:find(":" .. entry.expect_port .. ":", 1, true))
    assert.truthy(runs[2]:find(":3999:", 1, true))
  end)
end)

describe("ports", function()
  e2e.housekeeping(_ENV)

  it("that are none are refused before podman is asked", function()
    local program, calls = podman.recording()
    podman.with(program, function()
      for _, port in ipairs { 0, 65536, -1, 1.5, "3000" } do
        local options = bridge { port }
        local ok, sb, err = pcall(axo.start, options)
        assert(not ok or sb == nil, "started with port " .. tostring(port))
        assert.truthy(ok and err or sb)
      end
    end)
    assert.same({}, runs_of(calls))
  end)
end)
