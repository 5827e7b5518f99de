--- The embedded image: a minimal root file system made from the host's static busybox, for
--- hosts where no registry can be reached.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"
local log = require "axosandbox.base.log"
local naming = require "axosandbox.base.naming"
local session_lock = require "axosandbox.host.session_lock"
local tar = require "axosandbox.podman.tar"

local embedded = {}

local CANDIDATES = {
  "/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/lib/initcpio/busybox",
}
local MAX_BUSYBOX = 16 * 1024 * 1024
local IMPORT_TIMEOUT = 60
local LOCK_WAIT = 60
local PT_INTERP = 3
-- No id begins with "@".
local LOCK_NAME = "@base"

local DIRECTORIES = {
  { "bin" }, { "sbin" }, { "usr" }, { "usr/bin" }, { "usr/sbin" }, { "usr/local" },
  { "usr/local/bin" }, { "etc" }, { "dev" }, { "proc" }, { "sys" }, { "run" }, { "home" },
  { "mnt" }, { "opt" }, { "srv" }, { "var" }, { "var/log" },
  { "root", 448 }, { "tmp", 1023 }, { "var/tmp", 1023 },
}
local FILES = {
  ["etc/passwd"] = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  ["etc/group"] = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
  ["etc/os-release"] = 'ID=axosandbox\nPRETTY_NAME="axosandbox base (busybox)"\n',
}

--- Whether an ELF image needs no dynamic loader: it has program headers, and none of them
--- names an interpreter.
---@param image string the bytes of the file
---@return boolean
function embedded.is_static(image)
  if #image < 64 or image:sub(1, 4) ~= "\127ELF" then return false end
  local wide, little = image:byte(5) == 2, image:byte(6) == 1
  local endian = little and "<" or ">"
  local offset = (endian .. (wide and "I8" or "I4")):unpack(image, wide and 33 or 29)
  local size, count = (endian .. "I2I2"):unpack(image, wide and 55 or 43)
  for i = 0, count - 1 do
    local at = offset + i * size
    if at < 0 or at + 4 > #image then return false end
    if (endian .. "I4"):unpack(image, at + 1) == PT_INTERP then return false end
  end
  return count > 0
end

local function find_busybox()
  for _, path in ipairs(CANDIDATES) do
    local stat = uv.fs_stat(path)
    if stat and stat.type == "file" and stat.size <= MAX_BUSYBOX then
      local image = host.read_file(path)
      if image and embedded.is_static(image) then return path, image end
    end
  end
  return nil, errors.new {
    code = "NO_BUSYBOX", op = "embedded image",
    message = "no statically linked busybox on this host to make the embedded image from",
    hint = "install busybox-static (Debian, Ubuntu, Alpine) or busybox (Fedora, Arch, openSUSE)",
  }
end

local function run_busybox(path, option)
  return await.call(function(done)
    return core.spawn({ path, option }, { cwd = "/", timeout = 10 }, function(result)
      if result.code == 0 then return done(nil, result.stdout) end
      done(errors.new {
        code = "NO_BUSYBOX", op = "embedded image",
        message = ("%s %s failed"):format(path, option), stderr = result.stderr,
        exit_code = result.code, signal = result.signal,
      })
    end)
  end)
end

local function applets_of(path)
  local list = run_busybox(path, "--list-full")
  if list then return list end
  local names, err = run_busybox(path, "--list")
  return names and names:gsub("[^\n]+", "bin/%0"), err
end

--- The entries of the root file system.
---@param busybox string the bytes of a static busybox
---@param applets string lines such as "usr/bin/env"
---@return table[] for tar.pack
function embedded.entries(busybox, applets)
  local entries, taken = {}, { ["bin/busybox"] = true }
  for _, dir in ipairs(DIRECTORIES) do
    entries[#entries + 1] = { path = dir[1], type = "directory", mode = dir[2] or 493 }
    taken[dir[1]] = true
  end
  entries[#entries + 1] = { path = "bin/busybox", type = "file", mode = 493, data = busybox }
  for _, name in ipairs { "etc/passwd", "etc/group", "etc/os-release" } do
    entries[#entries + 1] = { path = name, type = "file", mode = 420, data = FILES[name] }
  end
  for name in applets:gmatch "[^\n]+" do
    -- An applet never links onto busybox itself, and only where a directory was made.
    if not taken[name] and taken[name:match "^(.*)/[^/]+$" or false] then
      taken[name] = true
      entries[#entries + 1] = {
        path = name, type = "symlink", mode = 511, target = "/bin/busybox",
      }
    end
  end
  return entries
end

local function archive()
  local path, image = find_busybox()
  if not path then return nil, image end
  local applets, err = applets_of(path)
  if not applets then return nil, err end
  return tar.pack(embedded.entries(image, applets))
end

-- One import at a time: two at once do no harm, but leave an image without a name behind.
local function take_turn()
  for waited = 0, LOCK_WAIT * 10 do
    local lock, problem = session_lock.take(LOCK_NAME, true, 1)
    if lock then return lock, waited > 0 end
    if problem.code ~= "EBUSY" then return nil, problem end
    await.sleep(0.1)
  end
  return nil, errors.new {
    code = "TIMEOUT", op = "embedded image", message = "another program makes it and does not end",
  }
end

local function exists(client)
  local argv = assert(core.argv.image_exists {
    podman = client.program, image = naming.EMBEDDED_IMAGE,
  })
  return client:ask(argv, { op = "embedded image" }) ~= nil
end

local function import(client)
  local bytes, err = archive()
  if not bytes then return nil, err end
  log.emit("info", "making the embedded image " .. naming.EMBEDDED_IMAGE, {})
  local argv
  argv, err = core.argv.import { podman = client.program, image = naming.EMBEDDED_IMAGE }
  if not argv then return nil, err end
  local result
  result, err = client:ask(argv,
    { op = "embedded image", timeout = IMPORT_TIMEOUT, stdin = bytes })
  return result and naming.EMBEDDED_IMAGE, err
end

--- Makes sure that the embedded image is in podman's store; in a coroutine.
---@param client axo.Client
---@return string? image, axo.Error? code "NO_BUSYBOX" when the host has nothing to make it from
function embedded.ensure(client)
  local lock, waited = take_turn()
  if not lock then return nil, waited end
  local image, err
  if waited and exists(client) then
    image = naming.EMBEDDED_IMAGE
  else
    image, err = import(client)
  end
  session_lock.release(lock, LOCK_NAME)
  return image, err
end

return embedded
