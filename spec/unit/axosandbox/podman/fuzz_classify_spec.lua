--- podman's complaints, mutated. AXO_SEED repeats a run, AXO_ROUNDS makes a longer one.
local cjson = require "cjson"
local uv = require "luv"
local policies = require "spec.support.policies"
local temp = require "spec.support.temp"

local SEED = math.tointeger(tonumber(os.getenv "AXO_SEED") or uv.hrtime() // 1000 % 2 ^ 31)
local ROUNDS = math.tointeger(tonumber(os.getenv "AXO_ROUNDS") or 2000)
local MAX_TEXT = 40000

local set = policies.new()
local random = math.random

local function samples()
  local all = {}
  for _, name in ipairs { "podman_failures.json", "failures_unseen.json" } do
    for _, sample in ipairs(cjson.decode((assert(temp.read("spec/fixtures/" .. name))))) do
      all[#all + 1] = sample
    end
  end
  return all
end

local SAMPLES = samples()
local WITH_PORT = {}
for _, sample in ipairs(SAMPLES) do
  if sample.expect_port ~= cjson.null then WITH_PORT[#WITH_PORT + 1] = sample end
end

local function any(list)
  return list[random(#list)]
end

-- ---- mutations ---------------------------------------------------------------------------

local NUMBERS = {
  "0", "1", "80", "0080", "65535", "65536", "99999", "123456789012345678901234567890", "-1", "0x50",
  "3000.5", "1e3",
}

-- Complete lines with a number where no published port stands.
local NOISE = {
  'time="2026-03-04T05:06:%d+02:00" level=warning msg="something passes"',
  "Trying to pull quay.io:%d/a/b:1...",
  "dial tcp 10.1.2.3:%d: connect: connection refused",
  "/usr/src/libpod/container.go:%d +0x1d",
  "the address fe80::1:%d is reachable",
  "goroutine %d [running]:",
  "lsetxattr(label=system_u:object_r:t:s0:c27,c%d) /x: operation not permitted",
  "[conmon:d]: exec with attach is waiting for pid:%d",
}

local function span(text, most)
  local from = random(#text + 1)
  return from, math.min(#text, from + random(0, most or 40) - 1)
end

local function insert(text, piece)
  local at = random(0, #text)
  return text:sub(1, at) .. piece .. text:sub(at + 1)
end

local mutations = {
  function(text)
    local from, to = span(text)
    return text:sub(1, from - 1) .. text:sub(to + 1)
  end,
  function(text)
    local from, to = span(text)
    return insert(text, text:sub(from, to))
  end,
  function(text)
    local other = any(SAMPLES).stderr
    local from, to = span(other, 120)
    return insert(text, other:sub(from, to))
  end,
  function(text) return text .. any { "\n", "\r\n", " ", "" } .. any(SAMPLES).stderr end,
  function(text) return insert(text, string.char(random(0, 255))) end,
  function(text)
    return insert(text, any { "\n", "\r\n", "\0", "Error: ", ": ", "\"", "\\", "%d" })
  end,
  function(text)
    return (text:gsub("%d+", function() return random(3) == 1 and any(NUMBERS) or nil end))
  end,
  function(text) return (text:gsub("%d+", tostring(random(1, 70000)))) end,
  function(text) return text:sub(1, random(0, #text)) end,
  function(text) return text:sub(random(#text + 1)) end,
  function(text)
    local from, to = span(text, 30)
    return insert(text, text:sub(from, to):rep(random(1, 400)))
  end,
  function(text) return random(2) == 1 and text:upper() or text:lower() end,
}

--- A text, and the numbers that stand in its lines of noise and nowhere else.
local function mutated()
  local text = any(random(3) == 1 and WITH_PORT or SAMPLES).stderr
  for _ = 1, random(0, 6) do text = any(mutations)(text):sub(-MAX_TEXT) end
  local noise = {}
  for _ = 1, random(0, 2) do
    local number = random(40000, 49999)
    if not text:find(tostring(number), 1, true) then
      noise[number] = true
      text = any(NOISE):format(number) .. "\n" .. text
    end
  end
  return text, noise
end

-- ---- what holds of every answer ------------------------------------------------------------

local WORDS = { "bind", "listen", "port", "proxy" }

--- Whether a line has this number, whole, and a word that makes it a port.
local function names_port(text, port)
  for line in text:lower():gmatch "[^\r\n]+" do
    if (" " .. line .. " "):find(("%%f[%%d]0*%d%%f[%%D]"):format(port)) then
      for _, word in ipairs(WORDS) do
        if line:find(word, 1, true) then return true end
      end
    end
  end
  return false
end

local function check_port(answer, text, noise)
  local port = answer.port
  if port == nil then return end
  assert(math.type(port) == "integer" and port >= 1 and port <= 65535, "it is no port")
  assert(answer.class == "PORT_CONFLICT", "a port of another class")
  assert(not noise[port], "it stands in a line of noise")
  assert(names_port(text, port), "no line names this port")
end

local function check_retry(answer, text, exit_code)
  local decision = assert(set:decide("retry", {
    op = "retry", class = answer.class, subclass = answer.subclass, port = answer.port,
    stderr = text, exit_code = exit_code, attempt = 1, tried = {}, stage = "run", fields = {},
    plan = { image = "a", ports = { 80, 3000 }, network = "bridge", pull = "never", limits = {} },
    host = { nofile = 1024, nproc = 1024, runtimes = { "crun", "runc" } },
  }))
  local dropped = (decision.changes or {}).drop_ports
  assert(decision.action == "retry" or decision.action == "give_up", "it is no decision")
  assert(type(dropped) ~= "table" or dropped[1] == answer.port, "it gives up another port")
end

--- That it answers at all says that it neither failed nor used up its instructions.
local function check(text, noise)
  local exit_code = any { 1, 125, 126, 127, 255 }
  local request = { op = "classify", stderr = text, exit_code = exit_code }
  local answer = assert(set:decide("retry", request))
  assert(answer.class:find "^[%u_]+$", "it is no class")
  check_port(answer, text, noise)
  check_retry(answer, text, exit_code)
end

describe("podman's complaint, mutated,", function()
  it("is always answered, and no number in it is taken for a port that is none", function()
    math.randomseed(SEED)
    for round = 1, ROUNDS do
      local text, noise = mutated()
      local ok, err = pcall(check, text, noise)
      if not ok then
        error(("AXO_SEED=%d, round %d: %s\n%q"):format(SEED, round, tostring(err), text))
      end
    end
  end)
end)
