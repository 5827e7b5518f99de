---@meta
-- Annotations of the C module, as core.lua has them: argument vectors.
-- luacheck: ignore 212 241 431 631

---@class axo.core.Mount
---@field source string absolute
---@field target string absolute, in the container
---@field read_only boolean?

---@class axo.core.Port
---@field address string IPv4 or IPv6
---@field host integer
---@field container integer

---@class axo.core.Ulimit
---@field name string e.g. "nofile"
---@field soft integer
---@field hard integer

---@class axo.core.RunSpec
---@field podman string the program
---@field name string
---@field image string
---@field command string[] replaces the image's ENTRYPOINT and CMD
---@field seccomp string where the profile of system calls is written: an absolute path in a private directory
---@field setuid boolean? set-id bits may be set on files
---@field nested_namespaces boolean? user namespaces, mounts in them, CAP_SETFCAP
---@field workdir string?
---@field user string?
---@field network "bridge"|"none"|nil "none" by default
---@field runtime string?
---@field pull "never"|"missing"|"always"|nil "never" by default
---@field pidfile string?
---@field cidfile string?
---@field mounts axo.core.Mount[]?
---@field env table<string, string>?
---@field labels table<string, string>?
---@field ports axo.core.Port[]?
---@field ulimits axo.core.Ulimit[]?
---@field memory integer? bytes
---@field shm_size integer? bytes of /dev/shm
---@field cpus number?
---@field pids integer?
---@field init boolean?
---@field http_proxy boolean? false by default
---@field users_id integer? which of the container's users whoever runs podman is, of `users_count`; podman must be rootless
---@field users_count integer? nil: podman's own choice, root
---@field groups_id integer? likewise, of `groups_count`
---@field groups_count integer?

---@class axo.core.ExecSpec
---@field podman string
---@field container string
---@field command string[]
---@field workdir string?
---@field user string?
---@field env table<string, string>?
---@field env_names string[]? variables whose values podman takes from its own environment
---@field interactive boolean? keep stdin open
---@field tty boolean?

---Builders of podman's argument vectors: pure but for the profile that `run` writes, and
---deterministic (maps are sorted by key). The hardening flags are always there. A value that can never be right is an error "EINVAL", an
---argument that is too long "E2BIG".
---@class axo.core.Argv
local argv = {}

---Starts a container in the background.
---@param spec axo.core.RunSpec
---@return string[]?, axo.Error?
function argv.run(spec) end

---Runs a command in a container.
---@param spec axo.core.ExecSpec
---@return string[]?, axo.Error?
function argv.exec(spec) end

---Removes a container at once, running or not.
---@param spec { podman: string, container: string }
---@return string[]?, axo.Error?
function argv.rm(spec) end

---The same of several at once.
---@param spec { podman: string, containers: string[] }
---@return string[]? argv, axo.Error?
function argv.rm_all(spec) end

---Stops a container after `timeout` seconds of grace, none by default.
---@param spec { podman: string, container: string, timeout: integer? }
---@return string[]?, axo.Error?
function argv.stop(spec) end

---Lists the containers that carry a label (NAME or NAME=VALUE), as JSON.
---@param spec { podman: string, label: string }
---@return string[]?, axo.Error?
function argv.ps(spec) end

---Describes a container or an image, as JSON.
---@param spec { podman: string, kind: "container"|"image", name: string }
---@return string[]?, axo.Error?
function argv.inspect(spec) end

---Pulls an image.
---@param spec { podman: string, image: string }
---@return string[]?, axo.Error?
function argv.pull(spec) end

---Exits with 0 when the image is there, with 1 when it is not.
---@param spec { podman: string, image: string }
---@return string[]?, axo.Error?
function argv.image_exists(spec) end

---Makes an image of a tar archive on stdin.
---@param spec { podman: string, image: string }
---@return string[]?, axo.Error?
function argv.import(spec) end

---Makes an image of a container.
---@param spec { podman: string, container: string, image: string }
---@return string[]?, axo.Error?
function argv.commit(spec) end

---The profile of system calls that every container gets.
---@class axo.core.Seccomp
local seccomp = {}

---What it is made from: the profile that podman would use on this host, or "" where there is none
---and a built-in one serves. An error when the settings cannot be read or trusted.
---
---     local base, path = axo.host.seccomp.base()
---     print(base and path)
---@return string? path, axo.Error?
function seccomp.base() end

---The profile itself.
---
---     local profile = assert(axo.host.seccomp.profile(assert(axo.host.seccomp.base()), {}))
---     print(#profile > 1000)  --> true
---@param setuid boolean
---@param nested_namespaces boolean
---@return string? json, axo.Error?
function seccomp.profile(setuid, nested_namespaces) end
