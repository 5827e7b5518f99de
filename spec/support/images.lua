--- Test images made from what the host has: no registry is asked.
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local shared = require "spec.support.shared"
local state = require "spec.support.state"
local temp = require "spec.support.temp"

local images = {}

-- Those that several spec files use, and none alters.
local SHARED = { base = true, user = true, debian = true, tools = true }

local PASSWD = "root:x:0:0:root:/root:/bin/sh\nworker:x:1000:1000:worker:/home:/bin/sh\n"
local GROUP = "root:x:0:\nworker:x:1000:\n"

local BUSYBOX_ROOT = [[
set -eu
root=$1
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/proc" "$root/sys" "$root/dev" \
  "$root/root" "$root/home" "$root/usr/bin" "$root/sbin" "$root/data"
chmod 1777 "$root/tmp"
chmod 777 "$root/home"
cp "$(command -v busybox)" "$root/bin/busybox"
cd "$root/bin"
busybox --list | sed '/^busybox$/d; s/.*/ln -s busybox "&"/' | busybox ash
]]

-- The host's own dash, bash and coreutils with the libraries that ldd names: what a
-- Debian image has, without one.
local DEBIAN_ROOT = [[
set -eu
root=$1
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/proc" "$root/sys" "$root/dev" \
  "$root/root" "$root/home" "$root/usr/bin"
chmod 1777 "$root/tmp"
chmod 777 "$root/home"
find_program() {
  for dir in /usr/bin /bin /usr/sbin ${git:-}; do
    if [ -x "$dir/$1" ]; then echo "$dir/$1"; return; fi
  done
  return 1
}
copy() {
  program=$(find_program "$1")
  cp -L "$program" "$root/bin/${2:-$1}"
  ldd "$program" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    [ -e "$root$library" ] || cp -L "$library" "$root$library"
  done
}
copy dash sh
copy dash
copy bash
for tool in cat ls stat mkdir rm mv cp ln chmod chown touch head tail wc od seq sleep env id \
  printf echo true false test dd tee sort cut tr mktemp readlink realpath basename dirname \
  find grep sed setsid stty yes timeout sync kill ps awk mkfifo tty; do
  if find_program "$tool" >/dev/null; then copy "$tool"; fi
done
mkdir -p "$root/usr/lib/locale"
cp -R /usr/lib/locale/C.[uU]* "$root/usr/lib/locale/"
]]

-- Programs of this machine that speak over networks, those that it has, with the libraries that ldd
-- names.
local CLIENTS_ROOT = [[
for program in curl wget git openssl ssh perl python3 getent redis-cli aria2c rsync socat telnet \
  lynx nc; do
  if find_program "$program" >/dev/null; then copy "$program"; fi
done
copy_file() {
  mkdir -p "$root$(dirname "$1")"
  cp -RL "$1" "$root$1"
  find "$1" -name '*.so' | while read -r file; do
    ldd "$file" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
      mkdir -p "$root$(dirname "$library")"
      [ -e "$root$library" ] || cp -L "$library" "$root$library"
    done
  done
}
git=$(git --exec-path 2>/dev/null) || git=
if [ -x "$git/git-remote-http" ]; then
  mkdir -p "$root$git" "$root/usr/bin"
  copy git-remote-http
  mv "$root/bin/git-remote-http" "$root$git/"
  ln -s git-remote-http "$root$git/git-remote-https"
fi
for path in $(perl -e 'print "@INC"' 2>/dev/null); do
  case $path in */perl-base) copy_file "$path" ;; esac
done
for path in $(/usr/bin/python3 -c 'import os; print(os.path.dirname(os.__file__))' 2>/dev/null); do
  copy_file "$path"
  rm -rf "$root$path/test" "$root$path/config-"* "$root$path/dist-packages"
done
for name in nsswitch.conf services protocols; do
  if [ -e "/etc/$name" ]; then cp "/etc/$name" "$root/etc/"; fi
done
]]

local function root_tree(key, script, more)
  state.roots = state.roots or {}
  if state.roots[key] then return state.roots[key] end
  local base = temp.lasting_dir()
  local root = base .. "/root"
  proc.must { "/bin/sh", "-c", script, "sh", root }
  temp.write(root .. "/etc/passwd", PASSWD .. (more and more.passwd or ""))
  temp.write(root .. "/etc/group", GROUP .. (more and more.group or ""))
  local archive = base .. "/root.tar"
  proc.must { "tar", "-C", root, "--owner=0", "--group=0", "-cf", archive, "." }
  state.roots[key] = archive
  return archive
end

local function import_archive(name, archive, changes)
  state.images = state.images or {}
  if state.images[name] then return state.images[name] end
  local tag = ("localhost/%s-%s:1"):format(temp.run_name(), name)
  if shared.dir() and SHARED[name] then shared.will_make(tag) else janitor.made("image", tag) end
  local argv = { "podman", "import", "-q" }
  for _, change in ipairs(changes or {}) do
    table.move({ "--change", change }, 1, 2, #argv + 1, argv)
  end
  table.move({ archive, tag }, 1, 2, #argv + 1, argv)
  proc.must(argv)
  state.images[name] = tag
  return tag
end

local function import(name, key, script, changes, more)
  local function make() return import_archive(name, root_tree(key, script, more), changes) end
  return SHARED[name] and shared.once("image-" .. name, make) or make()
end

--- Busybox, no ENTRYPOINT, no CMD.
function images.base() return import("base", "busybox", BUSYBOX_ROOT) end

--- An ENTRYPOINT that fails when it is given arguments that it does not know.
function images.entrypoint()
  return import("entrypoint", "busybox", BUSYBOX_ROOT,
    { 'ENTRYPOINT ["/bin/sh", "-c", "exit 42"]', 'CMD ["serve"]' })
end

--- A CMD that ends at once.
function images.cmd()
  return import("cmd", "busybox", BUSYBOX_ROOT, { 'CMD ["/bin/false"]' })
end

--- Runs as an unprivileged user.
function images.user()
  return import("user", "busybox", BUSYBOX_ROOT, { "USER worker" })
end

--- Has a user of another number than its group.
function images.users()
  return import("users", "users", BUSYBOX_ROOT,
    nil, { passwd = "builder:x:4321:4322:builder:/home:/bin/sh\n", group = "builder:x:4322:\n" })
end

--- The same, with other numbers.
function images.renumbered()
  return import("renumbered", "renumbered", BUSYBOX_ROOT,
    nil, { passwd = "builder:x:5001:5002:builder:/home:/bin/sh\n", group = "builder:x:5002:\n" })
end

--- Declares an anonymous volume.
function images.volume()
  return import("volume", "busybox", BUSYBOX_ROOT, { "VOLUME /data" })
end

--- Carries labels.
---@param name string of the image, for this run
---@param labels table<string, string>
---@param volume string? it declares besides
function images.labelled(name, labels, volume)
  local changes = volume and { "VOLUME " .. volume } or {}
  for key, value in pairs(labels) do
    changes[#changes + 1] = ('LABEL %s="%s"'):format(key, value)
  end
  return import("labelled-" .. name, "busybox", BUSYBOX_ROOT, changes)
end

--- Names a locale of its own, by one variable.
---@param name string
---@param value string
function images.localised(name, value)
  return import("localised-" .. name:lower(), "busybox", BUSYBOX_ROOT,
    { ("ENV %s=%s"):format(name, value) })
end

--- Has an absolute symbolic link at /tmp, to a place of its own.
function images.linked()
  return import("linked", "linked", BUSYBOX_ROOT
    .. 'mkdir -p "$root/var/own"; rmdir "$root/tmp"; ln -s /var/own "$root/tmp"\n')
end

--- dash as sh, bash, and GNU tools.
function images.debian() return import("debian", "debian", DEBIAN_ROOT) end

--- The same, with programs of this machine that speak over networks, those that it has.
function images.clients() return import("clients", "clients", DEBIAN_ROOT .. CLIENTS_ROOT) end

--- A real Debian with compilers, git, debuggers and clients of the network: some 700 MB. Its
--- archive is kept from one run to the next.
---@param more "more"? with node, java and others besides, for what is run by hand
function images.tools(more)
  local name = more and "more-tools" or "tools"
  local function make()
    return import_archive(name, proc.must { "scripts/lib/tools-image", more }:match "[^\n]+")
  end
  return SHARED[name] and shared.once("image-" .. name, make) or make()
end

return images
