--- The machine and the user that this process runs as: private directories, who is alive,
--- and the environment that podman is given.
local uv = require "luv"
local errors = require "axosandbox.base.errors"
local memory = require "axosandbox.host.memory"
local paths = require "axosandbox.base.text.path"
local private_file = require "axosandbox.host.private_file"

local host = {}

local GROUP_OR_OTHER_WRITE = 18 -- 022

--- The whole of a small file, or nil.
---@param path string
---@return string?
function host.read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

local function problem_with(path, stat)
  if stat.type ~= "directory" then return "it is a " .. stat.type .. ", not a directory" end
  if stat.uid ~= uv.getuid() then
    return ("it belongs to uid %d, and this process runs as uid %d"):format(stat.uid, uv.getuid())
  end
  if stat.mode & GROUP_OR_OTHER_WRITE ~= 0 then return "others can write in " .. path end
end

local function refuse(path, why)
  return nil, errors.new {
    code = "EPERM", op = "host", message = ("the directory %s is not safe: %s"):format(path, why),
    hint = "remove it or correct its owner and mode (0700), then try again",
  }
end

--- Makes a directory with mode 0700, or checks that the one that is there belongs to this
--- user and that nobody else can write in it. A symbolic link is refused.
---@param path string absolute; its parent exists
---@return string? path, axo.Error?
function host.private_dir(path)
  local made, message, code = uv.fs_mkdir(path, 448)
  if not made and code ~= "EEXIST" then
    return nil, errors.new {
      code = code, op = "host",
      message = ("cannot make the directory %s: %s"):format(path, message),
    }
  end
  local stat = uv.fs_lstat(path)
  if not stat then return refuse(path, "it cannot be examined") end
  local why = problem_with(path, stat)
  if why then return refuse(path, why) end
  if stat.mode & 63 ~= 0 then uv.fs_chmod(path, 448) end
  return path
end

local function make_parents(path)
  local parent = path:match "^(.+)/[^/]+$"
  if parent and not uv.fs_stat(parent) then
    make_parents(parent)
    uv.fs_mkdir(parent, 448)
  end
end

local function is_ours(path)
  local stat = uv.fs_stat(path)
  return stat ~= nil and problem_with(path, stat) == nil
end

--- Whether that is a directory of this user in which nobody else can write.
---@param path string
---@return boolean
function host.is_own_dir(path) return is_ours(path) end

--- Whether this is Linux: containers then run on this very kernel, unless podman is remote.
---@return boolean
function host.is_linux()
  return uv.os_uname().sysname == "Linux"
end

local function home()
  return os.getenv "HOME" or uv.os_homedir()
end

-- ---- the runtime directory -------------------------------------------------------------

local function is_root_of_host()
  return uv.getuid() == 0 and host.is_linux() and uv.fs_access("/run", "W")
end

-- Where a session manager made a place for this user's runtime files.
local function login_bases()
  local bases = {}
  for _, dir in ipairs { os.getenv "XDG_RUNTIME_DIR" or "", "/run/user/" .. uv.getuid() } do
    if dir:sub(1, 1) == "/" and is_ours(dir) then bases[#bases + 1] = dir .. "/axosandbox" end
  end
  return bases
end

local function temporary_base()
  local temporary = host.is_linux() and "/tmp" or uv.os_tmpdir()
  return ("%s/axosandbox-%d"):format(temporary, uv.getuid())
end

-- The note of the directory that stands in for the one in /tmp. Homes are shared by machines.
local function substitute_note(state)
  return state and ("%s/runtime-%s"):format(state, uv.os_gethostname():gsub("[^%w.-]", "_"))
end

local MAX_NOTE = 4096

local function noted(note, base)
  local text = private_file.read(note, MAX_NOTE)
  return text and text:sub(1, #base + 1) == base .. "-" and not text:find("/", #base + 1, true)
    and text or nil
end

local function is_private(path)
  local stat = uv.fs_lstat(path)
  return stat ~= nil and problem_with(path, stat) == nil and stat.mode & 63 == 0
end

-- Whoever gets the name of the note first decides for all, while what it names can be used.
local function note_down(note, base, path)
  local mine = ("%s.%d"):format(note, uv.os_getpid())
  if not private_file.replace(mine, path) then return end
  local other = not uv.fs_link(mine, note) and noted(note, base)
  if other == nil or other and not is_private(other) then uv.fs_rename(mine, note) end
  uv.fs_unlink(mine)
end

-- Somebody else has our name in /tmp, where anybody may take any name. Another one serves, that
-- nobody could know before.
local function substitute(base, refusal)
  local note = substitute_note(host.state_dir())
  if not note then return nil, refusal end
  local known = noted(note, base)
  if known and host.private_dir(known) then return known end
  local made = uv.fs_mkdtemp(base .. "-XXXXXX")
  if not made then return nil, refusal end
  note_down(note, base, made)
  known = noted(note, base)
  if known == made then return made end
  uv.fs_rmdir(made)
  if known and host.private_dir(known) then return known end
  return nil, refusal
end

--- The directory of this user's locks and session files: `$XDG_RUNTIME_DIR/axosandbox`, or
--- /run/axosandbox for root, or one in /tmp for a user without a login. Made when missing.
---
---     print(assert(axo.host.runtime_dir()))
---@return string? path, axo.Error?
function host.runtime_dir()
  if is_root_of_host() then return host.private_dir "/run/axosandbox" end
  local base = login_bases()[1]
  if base then return host.private_dir(base) end
  base = temporary_base()
  local path, err = host.private_dir(base)
  if path then return path end
  return substitute(base, err)
end

--- Where it may be, whether it is there or not, this process's own first: a session may have been
--- started with a login and be reached without one, or the other way round.
---@return string[]
function host.runtime_places()
  if is_root_of_host() then return { "/run/axosandbox" } end
  local list, base = login_bases(), temporary_base()
  list[#list + 1] = base
  local note = substitute_note(host.state_path())
  list[#list + 1] = note and noted(note, base)
  return list
end

--- Those that are there. Makes none.
---@return string[]
function host.runtime_dirs()
  local found, seen = {}, {}
  for _, path in ipairs(host.runtime_places()) do
    if not seen[path] and is_private(path) then found[#found + 1] = path end
    seen[path] = true
  end
  return found
end

local function runtime_child(name, base)
  local err
  if not base then base, err = host.runtime_dir() end
  if not base then return nil, err end
  return host.private_dir(base .. "/" .. name)
end

--- The private directory of a session's files. Made when missing.
---@param name string
---@param base string? a runtime directory; this process's own by default
---@return string? path, axo.Error?
function host.session_dir(name, base)
  return runtime_child(name, base)
end

--- The lock file of a session. Its directory begins with a dot, which no id does.
---@param name string
---@param base string?
---@return string? path, axo.Error?
function host.lock_path(name, base)
  local dir, err = runtime_child(".locks", base)
  if not dir then return nil, err end
  return ("%s/%s.lock"):format(dir, name)
end

local function each_entry(path, fn)
  local entries = path and uv.fs_scandir(path)
  while entries do
    local name = uv.fs_scandir_next(entries)
    if not name then break end
    fn(name)
  end
end

--- The names of the sessions that have a lock file or a directory there, whether they live or
--- not.
---@param base string a runtime directory
---@return string[] sorted
function host.session_names(base)
  local seen, names = {}, {}
  local function add(name)
    if name and not seen[name] then
      seen[name], names[#names + 1] = true, name
    end
  end
  each_entry(base, function(name) add(name:match "^%w.*$") end)
  each_entry(base .. "/.locks", function(name) add(name:match "^(%w.*)%.lock$") end)
  table.sort(names)
  return names
end

local function home_path(variable, fallback)
  local set = os.getenv(variable)
  if set and set:sub(1, 1) == "/" then return set .. "/axosandbox" end
  local base = home()
  return base and base:sub(1, 1) == "/" and base .. fallback .. "/axosandbox" or nil
end

local function made_home(variable, fallback)
  local path = home_path(variable, fallback)
  if not path then
    return nil, errors.new {
      code = "ENOENT", op = "host", message = "this user has no home directory",
    }
  end
  make_parents(path)
  return host.private_dir(path)
end

--- Where what was learnt about this host is kept: `$XDG_STATE_HOME/axosandbox`. Made when
--- missing.
---
---     print(assert(axo.host.state_dir()))
---@return string? path, axo.Error?
function host.state_dir()
  return made_home("XDG_STATE_HOME", "/.local/state")
end

--- The same, not made.
---@return string? path
function host.state_path()
  return home_path("XDG_STATE_HOME", "/.local/state")
end

--- Files that may be lost at any time: `$XDG_CACHE_HOME/axosandbox`. Made when missing.
---@return string? path, axo.Error?
function host.cache_dir()
  return made_home("XDG_CACHE_HOME", "/.cache")
end

--- The same, not made.
---@return string? path
function host.cache_path()
  return home_path("XDG_CACHE_HOME", "/.cache")
end

--- Where the user's own configuration lies: `$XDG_CONFIG_HOME/axosandbox`. Not made.
---
---     print(axo.host.config_dir())
---@return string? path
function host.config_dir()
  return home_path("XDG_CONFIG_HOME", "/.config")
end

-- Fields after the command name, which may itself hold spaces and parentheses.
local function stat_of(pid)
  local text = host.read_file(("/proc/%s/stat"):format(pid))
  local rest = text and text:match "^.*%)%s+(.*)$"
  if not rest then return nil end
  local fields = {}
  for field in rest:gmatch "%S+" do fields[#fields + 1] = field end
  return { state = fields[1], start = fields[20] }
end

-- A process stays in its boot, and in its namespace.
local boot_id, pid_namespace

local function look_where_we_are()
  if boot_id then return end
  local text = host.read_file "/proc/sys/kernel/random/boot_id"
  local link = uv.fs_readlink "/proc/self/ns/pid"
  boot_id, pid_namespace = text and text:match "%S+" or "-", link and link:match "%d+" or "-"
end

--- Names this process so that no other process, on this or another boot, has the same name:
--- "pid:starttime:boot_id:pidns"; "-" stands for what this system does not tell.
---@param pid integer? another process; nil: this one
---@return string
function host.identity(pid)
  look_where_we_are()
  pid = pid and math.tointeger(pid)
  local stat = stat_of(pid or "self")
  local started = stat and stat.start or "-"
  return ("%d:%s:%s:%s"):format(pid or uv.os_getpid(), started, boot_id, pid_namespace)
end

local SLACK = 5 -- seconds by which the clock may have been set meanwhile
local TICKS = 100 -- a second; what Linux shows of times in /proc, whatever the kernel's own clock

--- Whether the process that had that number when something was written still lives.
---@param pid integer
---@param written number seconds since the epoch
---@return boolean
function host.lives_since(pid, written)
  local stat = stat_of(pid)
  if not stat then return false end
  local boot = os.time() - uv.uptime()
  local began = boot + (tonumber(stat.start) or 0) / TICKS
  return written >= boot - SLACK and began <= written + SLACK
end

local function is_alive_without_proc(pid)
  local sent, _, code = uv.kill(pid, 0)
  if not sent and code == "ESRCH" then return false end
  return nil
end

--- Whether the process of that identity still runs.
---@param identity string from host.identity
---@return boolean? alive nil: cannot tell from here, treat it as alive
function host.is_alive(identity)
  local pid, start, boot, namespace = tostring(identity):match "^(%d+):([%d-]+):([%x-]+):([%d-]+)$"
  if not pid then return nil end
  look_where_we_are()
  if boot ~= boot_id then return false end
  if namespace ~= pid_namespace then return nil end
  if start == "-" then return is_alive_without_proc(tonumber(pid)) end
  local stat = stat_of(pid)
  if not stat then
    if uv.fs_stat("/proc/" .. pid) then return nil end
    return false
  end
  return stat.start == start and stat.state ~= "Z" and stat.state ~= "X"
end

local function is_directory_of(path, uid)
  local stat = path:sub(1, 1) == "/" and uv.fs_stat(path)
  return stat and stat.type == "directory" and (not uid or stat.uid == uid)
end

--- The runtime directory that this user's login has: $XDG_RUNTIME_DIR, unless that is another
--- user's, as su leaves it, or gone; else where systemd makes them.
---@return string? dir nil: there is no login
function host.login_dir()
  local set = os.getenv "XDG_RUNTIME_DIR"
  if set and is_directory_of(set, uv.getuid()) then return set end
  local login = "/run/user/" .. uv.getuid()
  return is_ours(login) and login or nil
end

-- These speak about the host process, and podman would act on them in its name.
local WITHHELD = {
  NOTIFY_SOCKET = true, LISTEN_FDS = true, LISTEN_PID = true, LISTEN_FDNAMES = true,
}

-- Where programs are that no session can write; what else is in PATH comes after them, such as a
-- project's virtual environment or node_modules/.bin.
local SYSTEM = { "/usr", "/bin", "/sbin", "/opt", "/nix", "/run/current-system", "/snap" }

local avoided = {}

--- From now on nothing in that directory is taken for a program of this host: it is a session's.
---@param dir string without symbolic links
function host.avoid(dir)
  if not paths.is_in_any(dir, avoided) then avoided[#avoided + 1] = dir end
end

--- A PATH that leads to programs of this host: no directory that depends on where the process
--- happens to be, none of a session's, and the system's before any other.
---@param path string
---@return string
function host.program_path(path)
  local system, others = {}, {}
  for dir in path:gmatch "[^:]+" do
    local real = dir:sub(1, 1) == "/" and (uv.fs_realpath(dir) or dir)
    if real and not (avoided[1] and paths.is_in_any(real, avoided)) then
      local list = paths.is_in_any(real, SYSTEM) and system or others
      list[#list + 1] = dir
    end
  end
  return table.concat(table.move(others, 1, #others, #system + 1, system), ":")
end

--- The environment for podman: this process's, with a user's XDG_RUNTIME_DIR as `login_dir` has
--- it, a PATH as `program_path` makes it, and no TMPDIR that is not there.
---@param changes table<string, string|false>? go before what this process has; false: none
---@return string[] "NAME=value", sorted
function host.podman_env(changes)
  local vars = uv.os_environ()
  for name in pairs(WITHHELD) do vars[name] = nil end
  changes = changes or {}
  if vars.PATH and not changes.PATH then vars.PATH = host.program_path(vars.PATH) end
  if vars.TMPDIR and not is_directory_of(vars.TMPDIR) then vars.TMPDIR = nil end
  if host.is_linux() and uv.getuid() ~= 0 then
    vars.XDG_RUNTIME_DIR = host.login_dir()
  end
  for name, value in pairs(changes) do vars[name] = value or nil end
  local env = {}
  for name, value in pairs(vars) do env[#env + 1] = name .. "=" .. value end
  table.sort(env)
  return env
end

--- The value of a variable in such a list.
---@param env string[]
---@param name string
---@return string?
function host.value_of(env, name)
  for _, entry in ipairs(env) do
    if entry:sub(1, #name + 1) == name .. "=" then return entry:sub(#name + 2) end
  end
end

--- True when a program of that name is where podman looks for its runtimes.
---@param name string
---@return boolean
function host.has_program(name)
  local dirs = (os.getenv "PATH" or "") .. ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
    .. ":/sbin:/bin:/run/current-system/sw/bin"
  for dir in host.program_path(dirs):gmatch "[^:]+" do
    if uv.fs_access(dir .. "/" .. name, "X") then return true end
  end
  return false
end

--- What an earlier start found out; nil when nothing is known.
---@param key string
---@param program string the podman that it was learnt with
---@return any
function host.recall(key, program)
  return memory.recall(host.state_path(), key, program)
end

--- Keeps what a start found out. Losing it is harmless, so failures are silent.
---@param key string
---@param value any JSON-able; nil forgets
---@param ttl_s number
---@param program string
function host.remember(key, value, ttl_s, program)
  memory.remember(host.state_dir(), key, value, ttl_s, program)
end

return host
