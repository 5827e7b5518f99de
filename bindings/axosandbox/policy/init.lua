--- Decides by asking policy files, each of which may be replaced or wrapped by an operator.
---
--- For each decision there is a chain: the administrator's binding file, what the call gave,
--- $AXOSANDBOX_POLICY_PATH, the user's configuration, /etc, what was shipped. The first is asked; it
--- is handed the next one as a function. Whatever goes wrong on the way means no.
local uv = require "luv"
local audit = require "axosandbox.audit"
local complaint = require "axosandbox.base.text.complaint"
local box = require "axosandbox.policy.box"
local errors = require "axosandbox.base.errors"
local file = require "axosandbox.policy.file"
local paths = require "axosandbox.base.text.path"
local options = require "axosandbox.base.options"
local plain = require "axosandbox.policy.plain"
local policy_dirs = require "axosandbox.policy.dirs"
local policy_load = require "axosandbox.policy.load"
local shapes = require "axosandbox.policy.shapes"

local FILE = select(2, ...) -- as require hands it over

local policy = {}

local failure = policy_load.failure

--- Bytes of podman's complaint that policy gets to see: the end of it, where the cause is.
policy.MAX_COMPLAINT = 16 * 1024

---@class axo.Policy
---@field private layers table<string, axo.policy.Layer[]>
---@field private plain_fields table
---@field session string? the id, for the audit log
local Policy = {}
Policy.__index = Policy
Policy.__name = "axo.policy"

-- ---- where the files are --------------------------------------------------------------

local function parent(path, levels)
  for _ = 1, levels do path = path:match "^(.*)/[^/]*$" or "" end
  return path
end

-- Textual on purpose: in the build tree these directories are links, and what lies beside
-- the link is meant, not what lies beside its target.
local function shipped_dir()
  local here = parent(FILE:sub(1, 1) == "/" and FILE or (uv.cwd() or "") .. "/" .. FILE, 2)
  local installed = parent(here, 3) .. "/axosandbox/policy"
  if uv.fs_stat(installed) then return installed end
  return parent(here, 2) .. "/policy"
end

-- ---- loading --------------------------------------------------------------------------

local function host_layer(fn)
  local info = debug.getinfo(fn, "S")
  return { fn = fn, where = ("%s:%d"):format(info.short_src, math.max(info.linedefined, 1)) }
end

local function add_override(layers, override)
  if type(override) == "function" then
    layers[#layers + 1] = host_layer(override)
    return
  end
  local layer, err = policy_load.file(layers.box, override)
  if err then return err end
  if not layer then return failure(override .. ":1: there is no such file") end
  layers[#layers + 1] = layer
end

--- The chain of one decision.
---@return axo.policy.Layer[]?
---@return axo.Error?
local function load_chain(in_box, name, override, dirs, shipped, binding)
  local layers = { box = in_box }
  if binding then
    local layer, err = policy_load.file(in_box, ("%s/%s.lua"):format(binding, name))
    if err then return nil, err end
    if layer then layer.binding = true end
    layers[1] = layer
  end
  if override ~= nil then
    local err = add_override(layers, override)
    if err then return nil, err end
  end
  for _, dir in ipairs(dirs) do
    local layer, err = policy_load.file(in_box, ("%s/%s.lua"):format(dir, name))
    if err then return nil, err end
    layers[#layers + 1] = layer
  end
  local path = ("%s/%s.lua"):format(shipped, name)
  local layer, err = policy_load.file(in_box, path, true)
  if err then return nil, err end
  if not layer then
    return nil, failure(path .. ":1: the shipped policy is missing", "install axosandbox again")
  end
  layers[#layers + 1] = layer
  return layers
end

-- ---- the set --------------------------------------------------------------------------

local function check_path(value)
  if type(value) == "string" and value:sub(1, 1) ~= "/" then
    return "the path of a policy file must be absolute"
  end
end

local overrides_shape = {}
for key, rule in pairs(shapes.fields) do overrides_shape[key] = rule end
for _, name in ipairs(shapes.names) do
  -- `exec` is both: a table of limits, or what decides.
  local field = shapes.fields[name]
  overrides_shape[name] = {
    type = "function|string" .. (field and "|table" or ""),
    shape = field and field.shape, check = check_path,
  }
end

local function split_overrides(overrides)
  local fields, deciders = {}, {}
  for key, value in pairs(overrides) do
    if type(value) ~= "table" and overrides_shape[key].check == check_path then
      deciders[key] = value
    else
      fields[key] = plain.copy(value)
    end
  end
  return fields, deciders
end

local PLACES = {
  dirs = { type = "table", items = "string" }, shipped = "string", binding = "string",
}

local function check_dirs(dirs, binding)
  for _, dir in ipairs(dirs) do
    local wrong = policy_dirs.check(dir)
    if wrong then return wrong end
  end
  return binding and policy_dirs.check(binding, true)
end

--- Reads the chains of all decisions.
---
--- Raises on an override that is not one (unknown key, wrong type). Fails with code "POLICY"
--- when a file of a chain cannot be used: a file that is there and bad is never skipped, nor is
--- one whose name is no decision's.
---
---     local policy = assert(axo.policy.new { network = "none" })
---     for _, name in ipairs(axo.policy.NAMES) do print(name, policy:source(name)) end
---@param overrides table? the `policy` table of axo.start
---@param opts { dirs: string[]?, shipped: string?, binding: string? }? instead of this machine's directories; with `dirs` and without `binding` nothing binds
---@return axo.Policy?
---@return axo.Error?
function policy.new(overrides, opts)
  overrides = options.check(overrides_shape, overrides, "policy", 2)
  opts = options.check(PLACES, opts, "policy.new", 2)
  local dirs, binding = opts.dirs, opts.binding
  if not dirs then
    local problem
    dirs, problem = policy_dirs.of_operator()
    if not dirs then return nil, problem end
    binding = binding or policy_dirs.binding()
  end
  local wrong = check_dirs(dirs, binding)
  if wrong then return nil, wrong end
  local fields, deciders = split_overrides(overrides)
  local set = setmetatable({ layers = {}, plain_fields = fields, tried = {}, outside = {} }, Policy)
  local shipped, in_box = opts.shipped or shipped_dir(), box.new()
  for _, name in ipairs(shapes.names) do
    local layers, err = load_chain(in_box, name, deciders[name], dirs, shipped, binding)
    if not layers then return nil, err end
    set.layers[name] = layers
  end
  return set
end

--- The plain fields of the call's `policy` table.
---
---     print(policy:fields().network)  --> none
---@return table # a copy
function Policy:fields()
  return plain.copy(self.plain_fields)
end

--- Which file (or function, as file:line) decides.
---
---     print(policy:source "sandbox")
---@param name string
---@return string
function Policy:source(name)
  local layers = self.layers[name]
  if not layers then error(("policy: unknown decision %q"):format(tostring(name)), 2) end
  return layers[1].path or layers[1].where
end

--- What to do about a refusal, as an error's hint.
---
---     print(policy:hint "sandbox")  -- see, and the file
---@param name string
---@return string
function Policy:hint(name)
  local hint = "see " .. self:source(name)
  if not self.layers[name][1].binding then return hint end
  return hint .. ": it binds everybody on this machine, so no option allows more"
end

--- Which layer each decision asks first, by the decision's name, as `source` tells it.
---
---     for name, path in pairs(policy:sources()) do print(name, path) end
---@return table<string, string>
function Policy:sources()
  local by = {}
  for _, name in ipairs(shapes.names) do by[name] = self:source(name) end
  return by
end

--- The whole chain of a decision, the one that is asked first.
---
---     for _, layer in ipairs(policy:chain "sandbox") do print(layer) end
---@param name string
---@return { where: string, path: string?, shipped: boolean, binding: boolean }[]
function Policy:chain(name)
  local chain = {}
  for i, layer in ipairs(self.layers[name]) do
    chain[i] = {
      where = layer.where, path = layer.path, shipped = layer.shipped or false,
      binding = layer.binding or false,
    }
  end
  return chain
end

--- The same for a public function: a mistake in `overrides` is its caller's.
---@param overrides table?
---@param level integer of that caller, as in `error`
---@return axo.Policy? set, axo.Error?
function policy.checked(overrides, level)
  local called, set, err = pcall(policy.new, overrides)
  if not called then error(set, level + 1) end
  return set, err
end

-- ---- deciding -------------------------------------------------------------------------

local function check_files(files, dirs)
  for _, one in ipairs(files) do
    for _, dir in ipairs(dirs) do
      if paths.is_in(one.path, dir) or paths.is_in(one.real, dir) then
        return failure(
          ("%s:1: refused, because it lies in the session's directory"):format(one.path),
          "move policy to a directory that no session mounts")
      end
    end
  end
end

--- Nothing that the session can write may decide about it. The first decision, which knows the
--- directory, answers for all chains.
local function check_outside(self, request)
  local dir = request.dir
  if type(dir) ~= "string" then return end
  local dirs = { dir, file.real_path(dir) }
  dirs[#dirs + 1] = request.dir_real
  for _, mount in ipairs(request.extra_mounts or {}) do
    if mount.writable then dirs[#dirs + 1] = mount.source_real end
  end
  for _, layers in pairs(self.layers) do
    for _, layer in ipairs(layers) do
      local err = layer.files and not layer.shipped and check_files(layer.files, dirs)
      if err then return err end
    end
  end
  if request.dir_real == nil then self.outside[dir] = true end
end

-- The error of an answer that is none; of a file, at the line that returned it.
local function blame(layers, layer, problem)
  local path, line
  if not layer.fn then path, line = layers.box:returned() end
  return failure(("%s: %s"):format(path and ("%s:%d"):format(path, line) or layer.where, problem))
end

local NO_DEFAULT = "there is no further default"

local ask

-- A function of the host's may yield when it is asked first; beneath a binding file it may not, and
-- that one does not pay for it.
local function call_host(run, layer, request, default)
  local is_beneath_file = run.is_begun
  if is_beneath_file then run.layers.box:pause() end
  local ok, answer = xpcall(layer.fn, function(value)
    if errors.is_error(value) then return value end
    local message = type(value) == "string" and value or "raised a " .. type(value)
    return failure(("%s: %s"):format(layer.where, message), nil, debug.traceback("", 2))
  end, request, default)
  if is_beneath_file then run.layers.box:go_on() end
  -- Lua asks no handler when memory has run out.
  if not ok and not errors.is_error(answer) then
    answer = failure(("%s: %s"):format(layer.where, tostring(answer)))
  end
  return ok, answer
end

-- What layer `i`, a function of the host's, may call to have the next one asked.
local function default_of(run, i, request)
  return function(changed)
    local passed, problem = request, nil
    if changed ~= nil then passed, problem = plain.copy(changed) end
    if problem or type(passed) ~= "table" then
      error("default: the request must be a table of plain data, and this is or holds "
        .. (problem or "a " .. type(passed)), 0)
    end
    local decision, err = run.next(i, passed)
    if not decision then error(err, 0) end
    return decision
  end
end

local function ask_host(run, i, layer, request)
  local ok, answer = call_host(run, layer, (plain.copy(request)), default_of(run, i, request))
  if not ok then return nil, answer end
  local decision, problem = plain.copy(answer)
  return decision, problem and { problem = problem }
end

local function ask_file(run, i, layer, request)
  local unusable = layer.text and policy_load.load(run.layers.box, layer)
  if unusable then return nil, unusable end
  local begins = not run.is_begun
  run.is_begun = true
  local decision, failed = run.layers.box:ask(layer.reference, i, request, run.next, begins)
  if begins then run.is_begun = false end
  if failed and not failed.problem then
    failed = policy_load.error_of_run(failed, layer.where)
  end
  return decision, failed
end

--- Asks layer `i`.
---@param run table of one decision: its name, layers, the requests by layer, and what asks the next
---@param request table which no layer is given but as a copy
---@return table? decision
---@return axo.Error? err
function ask(run, i, request)
  local layer = run.layers[i]
  run.requests[i] = request
  local decision, failed = (layer.fn and ask_host or ask_file)(run, i, layer, request)
  local problem
  if not failed then
    problem = shapes.check(run.name, request.op, decision)
  elseif errors.is_error(failed) then
    return nil, failed
  else
    problem = ("%s decision: %s, which is not plain data"):format(run.name, failed.problem)
  end
  if problem then return nil, blame(run.layers, layer, problem) end
  return decision
end

-- The end of a long complaint, and the changes decided since attempt 1, unless it brings its own.
local function complete_retry(self, request)
  local text = request.stderr
  if type(text) == "string" and #text > policy.MAX_COMPLAINT then
    request.stderr = text:sub(-policy.MAX_COMPLAINT)
  end
  if request.op == "classify" and type(text) == "string" then
    request.parts = complaint.read(request.stderr)
  end
  if request.op == "retry" then
    if (request.attempt or 1) <= 1 then self.tried = {} end
    request.tried = request.tried or self.tried
  end
end

-- A reading of podman's words is no decision.
local function audit_decision(self, name, request, decision, err)
  if not audit.is_on or decision and request.op == "classify" then return end
  audit.emit("policy", request.id or self.session, {
    decision = name, by = self:source(name), outcome = decision,
    error = err and audit.error_fields(err) or nil,
  })
end

local WITH_THEIR_WORK = { exec = true, egress = true }

--- Where the last decision of this name was returned: the file, or the function's, and the line.
---
---     print(policy:last "egress")
---@param name string
---@return string # PATH:LINE
function Policy:last(name)
  local layers = self.layers[name]
  if not layers[1].fn then
    local path, line = layers.box:returned()
    if path then return ("%s:%d"):format(path, line) end
  end
  return layers[1].where
end

--- Decides about a request that is the set's own from now on: it is completed (`fields`, the plain
--- fields; of a retry what was `tried`), and nobody may change it.
---@param name "sandbox"|"image_trust"|"post_create"|"provision"|"exec"|"names"|"egress"|"retry"
---@param request table plain data
---@return table? decision checked against its shape
---@return axo.Error? err code "POLICY"; the message begins with the file and line
function Policy:decide_own(name, request)
  request.fields = request.fields or self.plain_fields
  if name == "retry" then complete_retry(self, request) end
  local refused = not self.outside[request.dir] and check_outside(self, request)
  if refused then return nil, refused end
  local layers = self.layers[name]
  local run = { name = name, layers = layers, requests = {} }
  -- A file may keep its `default` for a later decision: it asks the next one then.
  function run.next(i, changed)
    if not layers[i + 1] then return nil, NO_DEFAULT end
    -- A name that nobody reads would seem to allow or to forbid.
    local problem = changed and changed.fields
      and options.validate(shapes.fields, changed.fields, "request.fields")
    if problem then return nil, problem end
    return ask(run, i + 1, changed or run.requests[i])
  end
  local decision, err = ask(run, 1, request)
  -- What becomes of a command, or of a connection, is recorded with it.
  if err or not WITH_THEIR_WORK[name] then audit_decision(self, name, request, decision, err) end
  if not decision then return nil, err end
  if name == "retry" and decision.action == "retry" then
    self.tried[#self.tried + 1] = plain.copy(decision.changes)
  end
  return decision
end

--- Decides. Policy gets copies of the request, completed: it cannot change what the caller holds.
---
---     local decision = assert(policy:decide("exec", { argv = { "ls" } }))
---     print(decision.allow)  --> true
---@param name "sandbox"|"image_trust"|"post_create"|"provision"|"exec"|"names"|"egress"|"retry"
---@param request table plain data
---@return table? decision checked against its shape
---@return axo.Error? err code "POLICY"; the message begins with the file and line
function Policy:decide(name, request)
  if not self.layers[name] then
    error(("policy: unknown decision %q"):format(tostring(name)), 2)
  end
  if type(request) ~= "table" then error("policy: the request must be a table", 2) end
  local copy, problem = plain.copy(request)
  if not copy then error("policy: the request must be plain data: it holds " .. problem, 2) end
  return self:decide_own(name, copy)
end

return policy
