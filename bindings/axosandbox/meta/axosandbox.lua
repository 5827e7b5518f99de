---@meta axosandbox
-- What `require "axosandbox"` gives, for editors; never loaded. There each name is loaded when it is
-- first used, and no editor sees through that. A spec compares the two.

---@class axosandbox
local axo = {
  ---The library's semantic version.
  version = require("axosandbox.core").version,
  start = require("axosandbox.start").start,
  open = require("axosandbox.session.sessions").open,
  stop = require("axosandbox.session.sessions").stop,
  attach = require("axosandbox.session.sessions").attach,
  list = require("axosandbox.session.sessions").list,
  reap_orphans = require("axosandbox.session.reaper").reap_orphans,
  defaults = require("axosandbox.policy.defaults").load,
  set_logger = require("axosandbox.base.log").set_logger,
  set_audit = require("axosandbox.audit").set_audit,
  audit_file = require("axosandbox.audit").default_file,
  ---Parses an image reference: `{ registry, repository, tag, digest, text }`.
  parse_reference = require("axosandbox.core").reference.parse,
  ---The digest of bytes, as `edit_file` may expect it: "sha256:" and 64 hexadecimal digits.
  digest = require("axosandbox.core").digest,
  ---Loads every name now: for a program that lives long, whose files may be replaced meanwhile.
  preload = function() end,
}

---A project's devcontainer.json.
axo.devcontainer = {
  load = require("axosandbox.devcontainer").load,
  start = require("axosandbox.devcontainer").start,
  enter = require("axosandbox.devcontainer").enter,
  EVENTS = require("axosandbox.devcontainer.commands").EVENTS,
}

---The podman of this machine, and images.
axo.podman = {
  detect = require("axosandbox.podman").detect,
  ensure_ready = require("axosandbox.podman.install").ensure_ready,
  classify = require("axosandbox.podman").classify,
  adaptations = require("axosandbox.podman").adaptations,
  DEFAULT_IMAGE = require("axosandbox.podman.image").DEFAULT,
  EMBEDDED_IMAGE = require("axosandbox.base.naming").EMBEDDED_IMAGE,
  is_embedded = require("axosandbox.podman.image").is_embedded,
  same_image = require("axosandbox.podman.image").same,
}

---Images on this machine: making them, and which of them the operator agrees to.
axo.images = {
  list = require("axosandbox.podman.images").list,
  use = require("axosandbox.podman.images").use,
  of = require("axosandbox.podman.images").of,
  forget = require("axosandbox.podman.images").forget,
  remove = require("axosandbox.podman.images").remove,
  pull = require("axosandbox.podman.images.pull").pull,
  make = require("axosandbox.podman.images.make").make,
  tool = require("axosandbox.podman.images.make").tool,
}

---What is wrong with something before it is used.
axo.check = {
  id = require("axosandbox.base.naming").check_id,
  secret_name = require("axosandbox.podman.secrets").check_name,
  directory = require("axosandbox.start.request").check_directory,
  allow = require("axosandbox.policy.allow").parse,
}

---The chains of decisions, to look at them and to try them.
axo.policy = {
  new = require("axosandbox.policy").new,
  NAMES = require("axosandbox.policy.shapes").names,
  bytes = require("axosandbox.policy.shapes").bytes,
  binding_dir = require("axosandbox.policy.dirs").binding,
  narrow = require("axosandbox.start.narrow").apply,
}

---A network by names.
axo.network = {
  words = require("axosandbox.network").words,
}

---What sessions that `axo.list` told of use; for one that is open there is `sb:stats()`.
axo.usage = {
  read = require("axosandbox.session.usage").read_all,
  cpus = require("axosandbox.session.usage").cpus,
  listeners = require("axosandbox.podman.ports").reach,
  forwards = require("axosandbox.network.forward_notes").of,
}

---This machine and this user.
axo.host = {
  login = require("axosandbox.host.login"),
  runtime_dir = require("axosandbox.host").runtime_dir,
  state_dir = require("axosandbox.host").state_dir,
  config_dir = require("axosandbox.host").config_dir,
  -- O_NOFOLLOW and the others of this machine, for luv's fs_open.
  open_flags = require("axosandbox.core").open_flags,
  follow_links = require("axosandbox.host.links").follow,
  seccomp = require("axosandbox.core").seccomp,
}

---Errors, and what to do about them.
axo.errors = {
  new = require("axosandbox.base.errors").new,
  hint = require("axosandbox.base.hints").of,
  memory = require("axosandbox.way.oom").note,
}

---Waiting on luv's loop, in the three styles.
axo.async = {
  call = require("axosandbox.base.await").call,
  spawn = require("axosandbox.base.await").spawn,
  sleep = require("axosandbox.base.await").sleep,
  after = require("axosandbox.base.await").after,
  defer = require("axosandbox.base.await").defer,
  protect = require("axosandbox.base.await").protect,
  close = require("axosandbox.base.await").close,
  now = require("axosandbox.base.await").now,
  first = require("axosandbox.base.await").first,
  each = require("axosandbox.base.turns").each,
  gate = require("axosandbox.base.gate").new,
  hangup = require("axosandbox.core").hangup,
}

---Text that comes from elsewhere.
axo.text = {
  escape = require("axosandbox.base.text.unseen").escape,
  escape_lines = require("axosandbox.base.text.unseen").escape_lines,
  write_name = require("axosandbox.base.text.written").write,
  read_name = require("axosandbox.base.text.written").read,
  command = require("axosandbox.base.text.shell").command,
  last_line = require("axosandbox.base.text.last_line"),
  with_port = require("axosandbox.base.text.address").with_port,
  whole_characters = require("axosandbox.session.work.task").whole_characters,
  screen = require("axosandbox.core").screen,
  ENCODINGS = require("axosandbox.base.text.encodings").NAMES,
  encoding_of = require("axosandbox.base.text.encodings").of,
  MAX_LINES = require("axosandbox.session.text_lines").MAX_LINES,
}

---JSON for programs: keys in order, empty arrays as arrays, always valid UTF-8.
axo.json = {
  array = require("axosandbox.base.json").array,
  encode = require("axosandbox.base.json").encode,
  object = require("axosandbox.base.text.written").object,
}

return axo
