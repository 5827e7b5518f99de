--- axosandbox: each working session in its own hardened podman container, with its directory
--- mounted at the same path.
---
---     local axo = require "axosandbox"
---     local sb <close> = assert(axo.start { id = "demo", dir = "/home/me/project" })
---     print(assert(sb:exec { "make", "test" }).stdout)
---
--- Every operation can be called in three styles: with a callback as its last argument, inside
--- a coroutine, or at the top level, where it runs the loop until it is done.
---
--- A name is loaded when it is first used: all of them take 32 million instructions, some 10 ms of
--- a small machine, of which a command such as `axolua exec` would do half for nothing. `pairs`
--- loads what it goes through. meta/axosandbox.lua has the names for editors, which do not see
--- through that.

--- A table of names, each with its module and the way from there.
---@param names table<string, string[]>
---@return table
local function deferred(names)
  local function load(self, name)
    local at = names[name]
    if not at then return nil end
    local value = require(at[1])
    for i = 2, #at do value = value[at[i]] end
    rawset(self, name, value)
    return value
  end
  return setmetatable({}, {
    __index = load,
    __pairs = function(self)
      for name in pairs(names) do
        if rawget(self, name) == nil then load(self, name) end
      end
      return next, self
    end,
  })
end

---@class axosandbox
local axo = deferred {
  -- The library's semantic version.
  version = { "axosandbox.core", "version" },

  start = { "axosandbox.start", "start" },
  open = { "axosandbox.session.sessions", "open" },
  stop = { "axosandbox.session.sessions", "stop" },
  attach = { "axosandbox.session.sessions", "attach" },
  list = { "axosandbox.session.sessions", "list" },
  reap_orphans = { "axosandbox.session.reaper", "reap_orphans" },

  defaults = { "axosandbox.policy.defaults", "load" },

  set_logger = { "axosandbox.base.log", "set_logger" },
  set_audit = { "axosandbox.audit", "set_audit" },
  audit_file = { "axosandbox.audit", "default_file" },

  -- Parses an image reference: `{ registry, repository, tag, digest, text }`.
  parse_reference = { "axosandbox.core", "reference", "parse" },
  -- The digest of bytes, as `edit_file` may expect it: "sha256:" and 64 hexadecimal digits.
  digest = { "axosandbox.core", "digest" },
}

-- A project's devcontainer.json.
axo.devcontainer = deferred {
  load = { "axosandbox.devcontainer", "load" },
  start = { "axosandbox.devcontainer", "start" },
  enter = { "axosandbox.devcontainer", "enter" },
  EVENTS = { "axosandbox.devcontainer.commands", "EVENTS" },
}

-- The podman of this machine, and images.
axo.podman = deferred {
  detect = { "axosandbox.podman", "detect" },
  ensure_ready = { "axosandbox.podman.install", "ensure_ready" },
  classify = { "axosandbox.podman", "classify" },
  adaptations = { "axosandbox.podman", "adaptations" },
  DEFAULT_IMAGE = { "axosandbox.podman.image", "DEFAULT" },
  EMBEDDED_IMAGE = { "axosandbox.base.naming", "EMBEDDED_IMAGE" },
  is_embedded = { "axosandbox.podman.image", "is_embedded" },
  same_image = { "axosandbox.podman.image", "same" },
}

-- Images on this machine: making them, and which of them the operator agrees to.
axo.images = deferred {
  list = { "axosandbox.podman.images", "list" },
  use = { "axosandbox.podman.images", "use" },
  of = { "axosandbox.podman.images", "of" },
  forget = { "axosandbox.podman.images", "forget" },
  remove = { "axosandbox.podman.images", "remove" },
  pull = { "axosandbox.podman.images.pull", "pull" },
  make = { "axosandbox.podman.images.make", "make" },
  tool = { "axosandbox.podman.images.make", "tool" },
}

-- What is wrong with something before it is used.
axo.check = deferred {
  id = { "axosandbox.base.naming", "check_id" },
  secret_name = { "axosandbox.podman.secrets", "check_name" },
  directory = { "axosandbox.start.request", "check_directory" },
  allow = { "axosandbox.policy.allow", "parse" },
}

-- The chains of decisions, to look at them and to try them.
axo.policy = deferred {
  new = { "axosandbox.policy", "new" },
  NAMES = { "axosandbox.policy.shapes", "names" },
  bytes = { "axosandbox.policy.shapes", "bytes" },
  binding_dir = { "axosandbox.policy.dirs", "binding" },
  narrow = { "axosandbox.start.narrow", "apply" },
}

-- A network by names.
axo.network = deferred {
  words = { "axosandbox.network", "words" },
}

-- What sessions that `axo.list` told of use; for one that is open there is `sb:stats()`.
axo.usage = deferred {
  read = { "axosandbox.session.usage", "read_all" },
  cpus = { "axosandbox.session.usage", "cpus" },
  listeners = { "axosandbox.podman.ports", "reach" },
  forwards = { "axosandbox.network.forward_notes", "of" },
}

-- This machine and this user.
axo.host = deferred {
  login = { "axosandbox.host.login" },
  runtime_dir = { "axosandbox.host", "runtime_dir" },
  state_dir = { "axosandbox.host", "state_dir" },
  config_dir = { "axosandbox.host", "config_dir" },
  open_flags = { "axosandbox.core", "open_flags" },
  follow_links = { "axosandbox.host.links", "follow" },
  seccomp = { "axosandbox.core", "seccomp" },
}

-- Errors, and what to do about them.
axo.errors = deferred {
  new = { "axosandbox.base.errors", "new" },
  hint = { "axosandbox.base.hints", "of" },
  memory = { "axosandbox.way.oom", "note" },
}

-- Waiting on luv's loop, in the three styles.
axo.async = deferred {
  call = { "axosandbox.base.await", "call" },
  spawn = { "axosandbox.base.await", "spawn" },
  sleep = { "axosandbox.base.await", "sleep" },
  after = { "axosandbox.base.await", "after" },
  defer = { "axosandbox.base.await", "defer" },
  protect = { "axosandbox.base.await", "protect" },
  close = { "axosandbox.base.await", "close" },
  now = { "axosandbox.base.await", "now" },
  first = { "axosandbox.base.await", "first" },
  each = { "axosandbox.base.turns", "each" },
  gate = { "axosandbox.base.gate", "new" },
  hangup = { "axosandbox.core", "hangup" },
}

-- Text that comes from elsewhere.
axo.text = deferred {
  escape = { "axosandbox.base.text.unseen", "escape" },
  escape_lines = { "axosandbox.base.text.unseen", "escape_lines" },
  write_name = { "axosandbox.base.text.written", "write" },
  read_name = { "axosandbox.base.text.written", "read" },
  command = { "axosandbox.base.text.shell", "command" },
  last_line = { "axosandbox.base.text.last_line" },
  with_port = { "axosandbox.base.text.address", "with_port" },
  whole_characters = { "axosandbox.session.work.task", "whole_characters" },
  screen = { "axosandbox.core", "screen" },
  ENCODINGS = { "axosandbox.base.text.encodings", "NAMES" },
  encoding_of = { "axosandbox.base.text.encodings", "of" },
  MAX_LINES = { "axosandbox.session.text_lines", "MAX_LINES" },
}

-- JSON for programs: keys in order, empty arrays as arrays, always valid UTF-8.
axo.json = deferred {
  array = { "axosandbox.base.json", "array" },
  encode = { "axosandbox.base.json", "encode" },
  object = { "axosandbox.base.text.written", "object" },
}

--- Loads every name now: for a program that lives long, whose files may be replaced meanwhile.
---
---     axo.preload()
function axo.preload()
  for _, group in pairs(axo) do
    if type(group) == "table" then
      for _ in pairs(group) do end -- luacheck: ignore 542
    end
  end
end

return axo
