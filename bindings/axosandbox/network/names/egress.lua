--- What policy's egress.lua says about names and ports: asked once for each, and then known. Who
--- asks meanwhile waits for the same answer.
local audit = require "axosandbox.audit"
local await = require "axosandbox.base.await"
local confirm = require "axosandbox.policy.confirm"
local tables = require "axosandbox.base.tables"
local turns = require "axosandbox.base.turns"

local egress = {}

-- Answers that are remembered. A wildcard lets the container ask for as many as it likes.
local MOST_KEPT = 8192
-- Names that a person is asked about: there is one, who is asked about no more than this.
local MOST_ASKED = 256

-- Seconds of policy's time: what may be used at once, and what comes back of it in a second. A
-- container that makes up names must not take the time of who serves it.
local MOST_SPENT, REGAINED = 0.5, 0.25

---@class axo.Verdict
---@field allow boolean
---@field reason string? why not
---@field by string the policy file, and the line
---@field dial string? what to connect to instead of the name
---@field need_command boolean? to be asked for the command that connects
---@field is_busy boolean? policy was not asked; it says nothing of another time

---@class axo.Egress
---@field allowed axo.Allowed
local Egress = {}
Egress.__index = Egress

---@class axo.EgressParts
---@field policy axo.Policy
---@field id string of the session
---@field dir string
---@field allowed axo.Allowed
---@field fixed boolean?
---@field confirm (fun(question: axo.Question, answer: fun(agreed: boolean)): (fun())?)?

---@param parts axo.EgressParts
---@return axo.Egress
function egress.new(parts)
  return setmetatable({
    policy = parts.policy, id = parts.id, dir = parts.dir, allowed = parts.allowed,
    fixed = parts.fixed or false, confirm = parts.confirm, kept = {}, count = 0, asked = {},
    agreed = {}, agreed_count = 0, questions = turns.new(1), spent = 0, counted = await.now(),
  }, Egress)
end

--- Another list of names: what was decided is asked again.
---@param allowed axo.Allowed
function Egress:set_allowed(allowed)
  self.allowed, self.kept, self.count = allowed, {}, 0
end

-- ---- asking a person ---------------------------------------------------------------------------

local function put(self, request, done)
  return confirm.put(self.confirm, {
    op = "network", name = request.name, port = request.port, commands = {}, id = self.id,
    dir = self.dir,
  }, done)
end

-- In a coroutine; once for a name, and one question at a time: there is one person.
local function is_agreed(self, request)
  local name = request.name
  if not self.confirm then return { agreed = false, why = "nobody can be asked" } end
  if not self.agreed[name] then
    await.call(function(done) return self.questions:request(done) end)
    self.questions:use(function()
      -- Another connection to it may have been asked about meanwhile.
      if self.agreed[name] or self.agreed_count >= MOST_ASKED then return end
      local answer = await.first(function(done)
        put(self, request, done)
        return true
      end)
      audit.emit("confirm", self.id, { op = "network", name = name, agreed = answer.agreed })
      self.agreed[name], self.agreed_count = answer, self.agreed_count + 1
    end)
  end
  return self.agreed[name]
    or { agreed = false, why = ("%d names were asked about already"):format(MOST_ASKED) }
end

-- ---- asking policy -----------------------------------------------------------------------------

local function refusal(by, reason)
  return { allow = false, by = by, reason = reason or "no reason given" }
end

-- Whether policy may be asked now; what it takes is counted.
local function has_time(self)
  local now = await.now()
  self.spent = math.max(0, self.spent - (now - self.counted) * REGAINED)
  self.counted = now
  return self.spent < MOST_SPENT
end

local function decide(self, request)
  local before = os.clock()
  local decision, err = self.policy:decide_own("egress", request)
  self.spent = self.spent + os.clock() - before
  return decision, err
end

local function run(self, request)
  if not has_time(self) then
    local verdict = refusal("axosandbox", "too many names are asked for at once")
    verdict.is_busy = true
    return verdict
  end
  local decision, err = decide(self, request)
  local by = self.policy:last "egress"
  if not decision then return refusal(by, "policy failed: " .. err.message) end
  if decision.need_command then return { need_command = true, by = by, allow = false } end
  -- That a name may be resolved says nothing yet: who connects is asked about.
  if decision.ask and request.op ~= "resolve" then
    local answer = is_agreed(self, request)
    if not answer.agreed then return refusal(by, "policy asks first, and " .. answer.why) end
    return { allow = true, by = by, dial = decision.dial }
  end
  if decision.allow == false then return refusal(by, decision.reason) end
  return { allow = true, by = by, dial = decision.dial }
end

local function keep(self, key, verdict)
  if self.count >= MOST_KEPT then self.kept, self.count = {}, 0 end
  self.kept[key], self.count = verdict, self.count + 1
end

local function listed(self, request)
  if not request.is_address then return self.allowed:name(request.name, request.port) end
  return request.listed
end

local function complete(self, request)
  request.session, request.dir, request.fixed = self.id, self.dir, self.fixed
  request.listed = listed(self, request)
  return request
end

local function answer(self, key, allowed, verdict)
  local waiting = self.asked[key]
  self.asked[key] = nil
  if self.allowed == allowed and not verdict.is_busy then keep(self, key, verdict) end
  for _, fn in ipairs(waiting) do await.protect(fn, verdict) end
end

local function ask(self, key, request, done)
  local kept = self.kept[key]
  if kept then return done(kept) end
  if self.asked[key] then return table.insert(self.asked[key], done) end
  self.asked[key] = { done }
  local allowed = self.allowed
  await.spawn(function() return run(self, complete(self, request)) end, function(err, verdict)
    answer(self, key, allowed,
      verdict or refusal(self.policy:source "egress", "policy failed: " .. tostring(err)))
  end)
end

-- What nobody can be found for is asked about as such, each time the same.
local function with_command(key, request, work)
  work = work or {}
  request.command = { argv = work.argv, kind = work.kind, id = work.name }
  return key .. "\0" .. (work.key or "")
end

--- Asks about a name.
---@param request { op: "resolve"|"connect"|"allow", name: string, port: integer?, is_address: boolean?, listed: string? }
---@param who (fun(done: fun(work: axo.NetworkWork?)))? finds what connects, where policy wants to know
---@param done fun(verdict: axo.Verdict) now where the answer is known
function Egress:ask(request, who, done)
  local key = ("%s\0%s\0%s"):format(request.op, request.name, request.port or "")
  ask(self, key, tables.merged(request), function(verdict)
    if not verdict.need_command then return done(verdict) end
    if not who then return done(refusal(verdict.by, "no command asks for it")) end
    who(function(work)
      local again = tables.merged(request)
      local own_key = with_command(key, again, work)
      ask(self, own_key, again, function(final)
        if final.need_command then
          final = refusal(final.by, "policy asks for the command again")
        end
        done(final)
      end)
    end)
  end)
end

return egress
