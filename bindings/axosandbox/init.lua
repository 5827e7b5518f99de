--- axosandbox: each working session in its own hardened podman container, with its directory
--- mounted at the same path.
---
---     local axo = require "axosandbox"
---     local sb <close> = assert(axo.start { id = "demo", dir = "/home/me/project" })
---     print(assert(sb:exec { "make", "test" }).stdout)
---
--- Every operation can be called in three styles: with a callback as its last argument, inside
--- a coroutine, or at the top level, where it runs the loop until it is done.
local audit = require "axosandbox.audit"
local core = require "axosandbox.core"
local devcontainer = require "axosandbox.devcontainer"
local log = require "axosandbox.base.log"
local install = require "axosandbox.podman.install"
local podman = require "axosandbox.podman"
local reaper = require "axosandbox.session.reaper"
local sessions = require "axosandbox.session.sessions"
local start = require "axosandbox.start"

---@class axosandbox
local axo = {
  --- The library's semantic version.
  ---@type string
  version = core.version,
  start = start.start,
  open = sessions.open,
  stop = sessions.stop,
  attach = sessions.attach,
  list = sessions.list,
  reap_orphans = reaper.reap_orphans,
  set_logger = log.set_logger,
  set_audit = audit.set_audit,
  devcontainer = {
    load = devcontainer.load,
    start = devcontainer.start,
    enter = devcontainer.enter,
  },
  podman = {
    detect = podman.detect,
    ensure_ready = install.ensure_ready,
    classify = podman.classify,
  },
  --- Parses an image reference: `{ registry, repository, tag, digest, text }`.
  ---@type fun(text: string): table?, axo.Error?
  parse_reference = core.reference.parse,
  --- The digest of bytes, as `edit_file` may expect it: "sha256:" and 64 hexadecimal digits.
  ---@type fun(bytes: string): string
  digest = core.digest,
}

return axo
