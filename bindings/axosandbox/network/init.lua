--- A session's network by names: opened with the session, served by one of the hosts that have it
--- open, and ended with it. The container itself has no network; what it reaches, this host connects
--- to in its place.
local allow = require "axosandbox.policy.allow"
local audit = require "axosandbox.audit"
local await = require "axosandbox.base.await"
local denied = require "axosandbox.network.names.denied"
local egress = require "axosandbox.network.names.egress"
local errors = require "axosandbox.base.errors"
local files = require "axosandbox.network.names.files"
local hints = require "axosandbox.base.hints"
local logged = require "axosandbox.network.names.logged"
local options = require "axosandbox.base.options"
local lists = require "axosandbox.network.names.lists"
local owners = require "axosandbox.network.names.owners"
local serve = require "axosandbox.network.serve"
local turn = require "axosandbox.network.turn"

local network = {}

local MAX_WARNINGS = 100
-- Refusals whose work is not known, and which the log has.
local MOST_UNKNOWN = 1024
-- Seconds; another host asks the same guest.
local OTHERS = 1

---@class axo.Network
---@field private way axo.NativeWay
---@field private kept axo.NamesKept
---@field private egress axo.Egress
---@field private server axo.NetworkServer? while this host serves it, and no other does
local Network = {}
Network.__index = Network

-- ---- what it tells -------------------------------------------------------------------------

local function trouble(self, problem)
  problem = "network: " .. tostring(problem)
  if self.told[problem] or self.told_count >= MAX_WARNINGS then return end
  self.told[problem], self.told_count = true, self.told_count + 1
  self.way:warn(problem)
end

local function emit(self, fields, work)
  if not audit.is_on then return end
  fields.command, fields.work = work and work.argv, work and work.name
  audit.emit("network", self.way.record.id, fields)
end

-- Once for each name and port of what is not known.
local function is_new_of_nobody(self, name, port)
  local what = ("%s\0%s"):format(name, port or "")
  if self.unknown[what] or self.unknown_count >= MOST_UNKNOWN then return false end
  self.unknown[what], self.unknown_count = true, self.unknown_count + 1
  return true
end

local function refused(self, name, work, verdict, port)
  local entry = { name = name, port = port, by = verdict.by, reason = verdict.reason }
  local is_new
  if work then
    is_new = self.denied_to:add(work.key, entry)
  else
    is_new = is_new_of_nobody(self, name, port)
  end
  if is_new and work and (work.client or work.name) then
    -- Whose command it is has it in its result; of tasks and terminals every host tells.
    self.turn:tell({ op = "refused", key = work.client_key or work.key, denial = entry },
      work.client)
  end
  if is_new then
    emit(self, {
      name = name, port = port, verdict = "refused", by = verdict.by, reason = verdict.reason,
    }, work)
  end
end

local function ended(self, it)
  if not self.logged:has_place() then return end
  emit(self, {
    omitted = self.logged:left_out(),
    name = it.name, port = it.port, verdict = it.problem and not it.sent and "failed" or "allowed",
    by = it.by, address = it.address, sent = it.sent, received = it.received,
    duration = math.floor((await.now() - it.began) * 1e6) / 1e6, problem = it.problem,
  }, it.work)
end

-- ---- serving -------------------------------------------------------------------------------

-- Somebody else may have added to it.
local function reload(self)
  local record = self.way.record
  local kept = files.recall(record.runtime_dir, record.instance)
  if not kept then return end
  self.kept = kept
  self.egress.fixed = kept.fixed or false
  self.egress:set_allowed(allow.new(kept.allow))
end

-- ---- other hosts of the session ------------------------------------------------------------

-- Whether a socket is of a command that one of those that wait has started.
local function ask_others(self, inode, done)
  self.question = (self.question or 0) + 1
  local number = self.question
  local left = self.turn and self.turn:tell { op = "who", number = number, inode = inode } or 0
  if left == 0 then return done(nil) end
  local forget
  local function finish(work)
    if not self.questions[number] then return end
    self.questions[number] = nil
    forget()
    done(work)
  end
  forget = await.after(OTHERS, function() finish(nil) end)
  self.questions[number] = function(work)
    left = left - 1
    if work or left <= 0 then finish(work) end
  end
end

local function say_who(self, message)
  local function answer(work)
    local is_own = work and not work.name
    self.turn:say {
      op = "owner", number = message.number, work = is_own and owners.told(work) or nil,
    }
  end
  local inode = math.tointeger(message.inode)
  if not inode or not self.owners:of_inode(inode, answer) then answer(nil) end
end

local DENIAL = { name = { type = "string", required = true }, port = "integer",
  by = { type = "string", required = true }, reason = { type = "string", required = true } }

local MESSAGES = {
  reload = function(self) reload(self) end,
  who = say_who,
  owner = function(self, message, from)
    local waiting = from and self.questions[message.number]
    if waiting then waiting(owners.read(message.work, from)) end
  end,
  refused = function(self, message)
    if type(message.key) == "string" and not options.validate(DENIAL, message.denial, "") then
      message.denial.port = math.tointeger(message.denial.port)
      self.denied_to:add(message.key, message.denial)
    end
  end,
}

local function on_message(self, message, from)
  local handle = MESSAGES[message.op]
  if handle and not self.is_closed and self.turn then handle(self, message, from) end
end

-- ---- its turn ------------------------------------------------------------------------------

local function begin_serving(self)
  reload(self)
  local server, err = serve.begin {
    way = self.way, egress = self.egress, owners = self.owners,
    refused = function(...) refused(self, ...) end, ended = function(it) ended(self, it) end,
    trouble = function(problem) trouble(self, problem) end,
  }
  if not server then return nil, err end
  if self.is_closed then
    server:close()
    return true
  end
  self.server = server
  emit(self, { verdict = "served", how = server.how })
  return true
end

-- Later on there is nobody to give an error to.
local function on_turn(self)
  local ok, err = begin_serving(self)
  if not ok and self.is_open then
    trouble(self, "the session's network could not be taken over: " .. tostring(err))
  end
  return ok, err
end

local function take_turn(self)
  local record = self.way.record
  return turn.take {
    dir = record.runtime_dir, instance = record.instance,
    on_turn = function() return on_turn(self) end,
    on_message = function(message, from) on_message(self, message, from) end,
    on_lost = function(problem) trouble(self, problem) end,
  }
end

local function new(way, kept, opts)
  local record = way.record
  local self = setmetatable({
    way = way, kept = kept, denied_to = denied.new(), owners = owners.new(way), told = {},
    told_count = 0, unknown = {}, unknown_count = 0, is_closed = false, is_open = false,
    egress = egress.new {
      policy = record.policy, id = record.id, dir = record.dir, allowed = allow.new(kept.allow),
      fixed = kept.fixed, confirm = opts.confirm,
    },
    questions = {}, logged = logged.new(),
  }, Network)
  self.owners.ask_others = function(inode, done) ask_others(self, inode, done) end
  return self
end

--- Opens the network of a session that has one by names, in a coroutine.
---@param way axo.NativeWay gets it as `network`
---@param opts { confirm: function? }?
---@return axo.Network? network nil without an error: the session has none by names
---@return axo.Error? err
function network.open(way, opts)
  local record = way.record
  local kept = files.recall(record.runtime_dir, record.instance)
  if not kept then return nil end
  if way.kind ~= "native" then
    return nil, errors.new {
      code = "UNSUPPORTED", op = "network",
      message = "the session's network by names needs the native path, and this is the portable "
        .. "one",
      hint = hints.TABLE.names_path.lua,
    }
  end
  local self = new(way, kept, opts or {})
  local err
  self.turn, err = take_turn(self)
  if not self.turn then
    self:close()
    return nil, errors.wrap(err, "network")
  end
  self.is_open = true
  way.network = self
  way.down:on(function() self:close() end)
  return self
end

--- Whether a socket of the container's network is one by which this host serves it.
---@param inode integer
---@return boolean
function Network:owns(inode) return self.server ~= nil and self.server.inodes[inode] == true end

--- Lets go of it: another host goes on, if there is one. Idempotent.
function Network:close()
  if self.is_closed then return end
  self.is_closed = true
  if self.server then
    self.server:close()
    emit(self, { verdict = "closed", omitted = self.logged:left_out() })
  end
  if self.turn then self.turn:close() end
  self.server = nil
end

-- ---- what was refused ----------------------------------------------------------------------

--- A command begins.
---@param id integer its number, as the link gives it
---@param argv string[]
function Network:began(id, argv) self.owners:began(id, argv) end

--- A command has ended.
---@param id integer
---@return axo.Denial[]? denied what was refused to it; nil: nothing was
function Network:ended(id)
  self.owners:ended(id)
  local list = self.denied_to:take(owners.key(id))
  return list[1] and list or nil
end

--- What was refused to a task or a terminal.
---@param name string
---@return axo.Denial[]
function Network:denied(name) return self.denied_to:of(name) end

--- The connections that there are, the oldest first. Only the host that serves knows them.
---@return { name: string, port: integer, state: string, address: string?, seconds: number, sent: integer, received: integer, command: string[]?, work: string? }[]
function Network:connections()
  return self.server and self.server.connections:list() or {}
end

--- What may be reached, in the one form that each entry has.
---@return string[]
function Network:allowed() return table.move(self.kept.allow, 1, #self.kept.allow, 1, {}) end

-- ---- more names ----------------------------------------------------------------------------

local function ask_about(self, entry)
  for _, port in ipairs(entry.ports) do
    local verdict = await.first(function(done)
      self.egress:ask({
        op = "allow", port = port, is_address = entry.block and true or nil,
        name = entry.name and (entry.is_wild and "*." or "") .. entry.name or entry.text,
      }, nil, function(verdict) done(nil, verdict) end)
      return true
    end)
    if not verdict.allow then
      errors.raise {
        code = "POLICY", op = "allow",
        message = ("%s may not be added to what this session reaches: %s"):format(
          entry.text, verdict.reason),
        hint = "see " .. verdict.by,
      }
    end
  end
end

local function add(self, texts)
  local record = self.way.record
  local list = self:allowed()
  table.move(texts, 1, #texts, #list + 1, list)
  local problem = allow.check(list)
  if problem then
    errors.raise { code = "INVALID", op = "allow", message = problem,
      hint = "all beneath a name is one entry: *.example.org" }
  end
  list = allow.normalise(list)
  local ok
  ok, problem = files.keep(record.runtime_dir, record.instance,
    { allow = list, fixed = self.kept.fixed })
  if not ok then
    errors.raise { code = "IO", op = "allow",
      message = "the session's list of names cannot be written: " .. tostring(problem),
      hint = hints.TABLE.session_files.lua }
  end
  reload(self)
  self.turn:say { op = "reload" }
  emit(self, { verdict = "added", names = texts })
end

--- Adds to what the session reaches, if policy's egress.lua agrees; in a coroutine. Raises "POLICY".
---@param text string an entry that is one
function Network:allow(text)
  local texts = lists.expand(self.way.record.policy, { text })
  for _, one in ipairs(texts) do ask_about(self, assert(allow.parse(one))) end
  add(self, texts)
end

--- A refusal in words; see `denied.words`.
network.words = denied.words

return network
