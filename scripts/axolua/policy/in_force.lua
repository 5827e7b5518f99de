--- What a session in a directory would be asked for, as `axolua run` has it there: what is typed, the
--- image that was agreed to, and the defaults of the user and of the project.
local uv = require "luv"
local axo = require "axosandbox"
local here = require "axolua.cli.here"
local sandbox = require "axolua.sandbox"

local in_force = {}

---@class cli.InForce
---@field dir string
---@field real string without symbolic links
---@field options axo.StartOptions
---@field agreed string? about the image, as policy is told of it
---@field list axo.Default[] what is asked for though nobody typed it
---@field notices string[] what does not count, and why

-- What policy is told of an image: by its digest, which podman knows.
local function agreement(real, name)
  local reference = name and axo.parse_reference(name)
  if not reference then return nil end
  local agreed, images = axo.images.of(real), axo.images.list()
  -- Without podman nobody knows.
  if not images then return agreed and agreed.image == reference.text and "project" or nil end
  for _, image in ipairs(images) do
    if image.name == reference.text then
      for _, dir in ipairs(image.projects) do
        if dir == real then return "project" end
      end
      return image.made and "made" or agreed and agreed.image == image.name and "changed" or nil
    end
  end
  return agreed and agreed.image == reference.text and "gone" or nil
end

local function add_image(found, real)
  local agreed = axo.images.of(real)
  if not agreed then return end
  for i = #found.list, 1, -1 do
    if found.list[i].name == "image" then table.remove(found.list, i) end
  end
  table.insert(found.list, {
    name = "image", value = agreed.image, file = "agreed to: axolua image use", by = "agreement",
  })
end

--- Finds it.
---@param args { dir: string?, image: string? }
---@return cli.InForce? found, axo.Error? err the defaults cannot be used
function in_force.of(args)
  local dir = here.absolute(args.dir or ".")
  local defaults, err = axo.defaults(dir)
  if not defaults then return nil, err end
  local options
  options, err = sandbox.start_options { dir = args.dir, image = args.image, quiet = true }
  if not options then return nil, err end
  local real = uv.fs_realpath(dir) or dir
  local found = {
    dir = dir, real = real, options = options, list = defaults.list, notices = defaults.notices,
    agreed = agreement(real, options.image),
  }
  if not args.image then add_image(found, real) end
  return found
end

local LIMITS = { memory = true, cpus = true, pids = true }
local DECIDED = { network = true, memory = true, cpus = true, pids = true, shm_size = true }

local function comparable(value)
  return type(value) == "string" and axo.policy.bytes(value) or value
end

--- Takes away from a decision what the project does, and from the list what does not count.
---@param found cli.InForce
---@param decision axo.policy.SandboxDecision is changed
function in_force.apply(found, decision)
  if decision.deny then return end
  axo.policy.narrow(decision, found.options.narrow)
  local list = {}
  for _, it in ipairs(found.list) do
    local holds = decision[it.name]
    if LIMITS[it.name] then holds = decision.limits[it.name] end
    local is_plain = type(holds) ~= "table" and type(it.value) ~= "table"
    if DECIDED[it.name] and is_plain and comparable(holds) ~= comparable(it.value) then
      table.insert(found.notices, ("%s: %s = %s does not count: policy decides %s"):format(it.file,
        it.name, tostring(it.value), tostring(holds or "none")))
    else
      list[#list + 1] = it
    end
  end
  found.list = list
end

return in_force
