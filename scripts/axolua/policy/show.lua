--- axolua policy show: what would be decided, and by which file.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local decision_text = require "axolua.policy.decision_text"
local in_force = require "axolua.policy.in_force"
local samples = require "axolua.policy.samples"
local text = require "axolua.view.text"

local json = axo.json

local policy_show = {}

local EXAMPLES = { post_create = { "npm ci" }, exec = { "true" } }

local function sandbox_request(found)
  local options, names = found.options, {}
  for name in pairs(options.env) do names[#names + 1] = name end
  table.sort(names)
  return samples.sandbox {
    dir = found.dir, dir_real = found.real, image = options.image, ports = options.ports or {},
    env = options.env, env_names = names,
  }
end

local function image_request(found)
  local image = found.options.image
  local request, err = samples.image(image)
  request.agreed = found.agreed
  return request, "for " .. (image or "no image"), err
end

-- The request that stands for all, and what it is about.
local function request_for(name, found)
  if name == "sandbox" then
    local request = sandbox_request(found)
    return request, "for " .. request.dir
  elseif name == "image_trust" then
    return image_request(found)
  elseif name == "post_create" then
    return samples.post_create(EXAMPLES.post_create), "for the command npm ci"
  elseif name == "exec" then
    return samples.exec(EXAMPLES.exec), "for the command true"
  end
end

-- What runs is what gets provisioned.
local function provision_request(shown)
  local image = shown.image_trust.decision or {}
  local sandbox = shown.sandbox.decision or {}
  local network = sandbox.network
  if not image.image or not network then return nil end
  if type(network) == "table" then network = "names" end
  return samples.provision(image.image, network),
    ("for %s with the network %s"):format(image.image, network)
end

local function describe(set, shipped, name, found, shown)
  local request, about, err = request_for(name, found)
  if name == "provision" then request, about = provision_request(shown) end
  local entry = { about = about, chain = set:chain(name) }
  if err then
    entry.error = err
  elseif request then
    entry.decision, entry.error = set:decide(name, request)
    entry.shipped = shipped:decide(name, request)
    if name == "sandbox" and entry.decision then in_force.apply(found, entry.decision) end
  end
  return entry
end

local function kind_of(layer)
  return layer.binding and " (binding)" or layer.shipped and " (shipped)" or ""
end

local function show(name, entry)
  for i, layer in ipairs(entry.chain) do
    cli.print(("%-12s %s%s\n"):format(i == 1 and name or "  then",
      text.visible(layer.path or layer.where), kind_of(layer)))
  end
  if entry.error then
    cli.print("  cannot decide: " .. text.printable(entry.error.message) .. "\n")
  elseif entry.decision then
    cli.print("  " .. text.visible(entry.about) .. ":\n")
    cli.print(decision_text.lines(entry.decision, entry.shipped, { indent = 2 }))
  end
end

local function value_text(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for name, item in pairs(value) do
    parts[#parts + 1] = (type(name) == "string" and name .. "=" or "") .. value_text(item)
  end
  table.sort(parts)
  return table.concat(parts, ", ")
end

-- What is asked for where nobody says, and which file says so.
local function show_defaults(found)
  if #found.list + #found.notices == 0 then return end
  cli.print "defaults\n"
  for _, it in ipairs(found.list) do
    cli.print(("  %s = %s (%s)\n"):format(it.name, text.visible(value_text(it.value)),
      text.visible(it.file)))
  end
  for _, notice in ipairs(found.notices) do cli.print("  " .. text.visible(notice) .. "\n") end
end

local function as_json(entry)
  local files = json.array {}
  for i, layer in ipairs(entry.chain) do
    files[i] = {
      file = layer.path or layer.where, shipped = layer.shipped, binding = layer.binding,
    }
  end
  return {
    about = entry.about, files = files, decision = entry.decision,
    error = entry.error and { code = entry.error.code, message = entry.error.message } or nil,
  }
end

local function print_all(names, shown, args, found)
  local report, failed = {}, false
  if args.json then
    report.defaults = not args.decision and json.array(found.list) or nil
  elseif not args.decision then
    show_defaults(found)
  end
  for _, name in ipairs(names) do
    local entry = shown[name]
    failed = failed or entry.error ~= nil
    if args.json then report[name] = as_json(entry) else show(name, entry) end
  end
  if args.json then cli.print_json(report) end
  return failed and 1 or 0
end

--- Adds the command's options.
---@param command table
function policy_show.options(command)
  command:argument("decision", "Only this one: " .. table.concat(axo.policy.NAMES, ", ") .. ".")
    :args "?":choices(axo.policy.NAMES)
  command:option("--dir", "The directory that a session would have; the current one by default.")
    :argname "DIR":convert(cli.name "--dir")
  command:option("--image", "The image that it would ask for."):argname "REF"
    :convert(cli.name "--image")
  command:flag("--json", "As JSON, for scripts.")
end

--- Shows the decisions of this machine, and where they differ from the shipped ones.
---@param args table
---@return integer code
function policy_show.main(args)
  local found, err = in_force.of(args)
  if not found then return cli.fail(err) end
  local set
  set, err = axo.policy.new(found.options.policy)
  if not set then return cli.fail(err) end
  local shipped = assert(axo.policy.new(found.options.policy, { dirs = {} }))
  local shown = {}
  for _, name in ipairs(axo.policy.NAMES) do
    shown[name] = describe(set, shipped, name, found, shown)
  end
  return print_all(args.decision and { args.decision } or axo.policy.NAMES, shown, args, found)
end

return policy_show
