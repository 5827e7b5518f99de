--- The options that mount directories besides the session's own, as docker and podman have them.
local uv = require "luv"
local command_options = require "axolua.cli.command_options"
local here = require "axolua.cli.here"

local mount_options = {}

-- What of docker's changes nothing here.
local MODES = {
  ro = false, readonly = false, rw = true, cached = "same", delegated = "same", consistent = "same",
}

local function problem(option, word, what)
  return nil, ("%s: %q: %s"):format(option, word, what)
end

-- A directory of this host, as a person names it.
local function absolute(path)
  path = here.absolute(path)
  if (path .. "/"):find "/%.%.?/" then return uv.fs_realpath(path) or path end
  return path
end

local function mount_of(option, word, source, target, writable)
  if not target or target == "" then
    return problem(option, word, "an anonymous volume is gone with the session, and so is what is "
      .. "written in the container: leave it out, or name a directory, SRC:DST")
  end
  if not source:find "^[/.]" then
    return problem(option, word, ("there are no named volumes: name a directory, such as ./%s:%s")
      :format(source, target))
  end
  if target:sub(1, 1) ~= "/" then
    return problem(option, word, "where the session has it must be an absolute path")
  end
  return { source = absolute(source), target = target, writable = writable }
end

local function read_volume(word)
  local source, target, modes = word:match "^([^:]*):([^:]*):?([^:]*)$"
  if not source then source = word end
  local writable = false
  for mode in (modes or ""):gmatch "[^,]+" do
    local known = MODES[mode]
    if known == nil then
      local labels = mode:lower() == "z" and ": SELinux labels stay as they are" or ""
      return problem("--volume", word, ("%q is none of ro and rw%s"):format(mode, labels))
    end
    if known ~= "same" then writable = known end
  end
  return mount_of("--volume", word, source, target, writable)
end

local NAMES = {
  type = "type", source = "source", src = "source", target = "target", dst = "target",
  destination = "target", readonly = "readonly", ro = "readonly", rw = "rw",
}

-- A word alone means yes.
local BOOLEAN = { [""] = true, ["true"] = true, ["1"] = true, ["false"] = false, ["0"] = false }

-- To be written where that is said, and nothing else is.
local function is_writable(given)
  local rw, readonly = BOOLEAN[given.rw], BOOLEAN[given.readonly]
  if given.rw and rw == nil or given.readonly and readonly == nil then
    return nil, "readonly and rw are true or false"
  end
  if rw ~= nil and rw == readonly then return nil, "either readonly or rw" end
  return rw or readonly == false
end

-- type=bind,source=DIR,target=DIR[,rw]
local function read_mount(word)
  local given = {}
  for part in word:gmatch "[^,]+" do
    local key, value = part:match "^([^=]*)=?(.*)$"
    if not NAMES[key] then
      return problem("--mount", word,
        ("%q is none of type, source, target, readonly and rw"):format(key))
    end
    given[NAMES[key]] = value
  end
  if given.type and given.type ~= "bind" then
    return problem("--mount", word, "only type=bind is here: the container's own /tmp and home can "
      .. "be written, and are gone with the session")
  end
  local writable, wrong = is_writable(given)
  if wrong then return problem("--mount", word, wrong) end
  return mount_of("--mount", word, given.source or "", given.target, writable)
end

local function read_directory(option)
  return function(word)
    if word == "" then return nil, option .. ": what it names is empty" end
    return uv.fs_realpath(here.absolute(word)) or absolute(word)
  end
end

--- Adds them.
---@param parser table
function mount_options.add(parser)
  local function option(names, description, placeholder, read)
    return parser:option(names, description):argname(placeholder):count "*"
      :action(command_options.append):convert(read)
  end
  option("-v --volume", "Mount a directory of this host besides, read-only without rw; policy "
    .. "must allow it. May be repeated.", "SRC:DST[:rw]", read_volume)
  option("--mount", "The same, in podman's longer words.", "type=bind,source=SRC,target=DST[,rw]",
    read_mount):target "volume"
  option("--allow-mount", "Let this directory, and what is in it, be mounted read-only; may be "
    .. "repeated.", "DIR", read_directory "--allow-mount")
  option("--allow-writable-mount", "Let it be mounted, to be written as well; may be repeated.",
    "DIR", read_directory "--allow-writable-mount")
end

return mount_options
