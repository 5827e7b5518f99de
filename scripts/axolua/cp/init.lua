--- axolua cp: files and directories between this host and a session.
local uv = require "luv"
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local from_session = require "axolua.cp.from_session"
local here = require "axolua.cli.here"
local host_tree = require "axolua.cp.host_tree"
local signals = require "axolua.cli.signals"
local tally = require "axolua.cp.tally"
local to_session = require "axolua.cp.to_session"
local writable = require "axolua.cli.writable"

local DEFAULT_MAX = 2 ^ 30 | 0
local OUTSIDE = "only the session's directory is copied from and to; axolua exec %s "

local function parser()
  local p = cli.parser("cp", "Copies a file, or a directory with all that is in it, between this "
    .. "host and a session's directory; one of the two is ID:PATH. A directory that is there is "
    .. "copied into, under the same name; DIR/. stands for what is in it. Symbolic links, sockets "
    .. "and the like are left out, which is said, and none is followed.", " SRC DST")
  p:argument("src", "What to copy: a path, or ID:PATH."):convert(cli.name "SRC")
  p:argument("dst", "Where to: a path, or ID:PATH."):convert(cli.name "DST")
  p:option("--max", "How much in all may be copied, 1g by default."):argname "SIZE"
    :convert(cli.size "--max")
  p:flag("-a --archive", "Always so, but for owners: modes are kept.")
  p:flag("-q --quiet", "Nothing is printed anyway.")
  return p
end

-- ID:PATH; a path with a colon is meant where it begins with a slash or a dot.
local function place_of(word)
  local id, path = word:match "^([^/.][^/:]*):(.*)$"
  if id and not axo.check.id(id) then return { id = id, path = path == "" and "." or path } end
  return { path = word }
end

local function tidy(path)
  local parts = {}
  for part in here.absolute(path):gmatch "[^/]+" do
    if part ~= "." then parts[#parts + 1] = part end
  end
  return "/" .. table.concat(parts, "/")
end

local function split(path)
  local dir, name = path:match "^(.*)/([^/]+)$"
  return dir == "" and "/" or dir, name
end

local function refuse(message, hint) return nil, { op = "cp", message = message, hint = hint } end

local function written_by(sb) return writable.of(sb:root(), sb:mounts()) end

-- "DIR/." and "." mean what is in it.
local function is_content(path) return path == "." or path:find "/%.$" ~= nil end

local function last_name(path)
  -- linear: a path, whose slashes at its end are few.
  local name = path:gsub("/+$", ""):match "[^/]*$"
  return name ~= "" and name ~= "." and name ~= ".." and name or nil
end

-- ---- to this host ----------------------------------------------------------------------

-- A directory of ours, and the name that the copy has in it.
local function destination(word, is_dir, source, dirs)
  local path = tidy(word)
  local stat = uv.fs_stat(path)
  if stat and stat.type == "directory" or path:find "/%.%.$" then
    local dir, err = host_tree.open(path, dirs)
    return dir, err or not is_content(source) and last_name(source) or nil
  end
  if stat and is_dir then
    return refuse(path .. " is no directory, and a directory cannot replace it")
  end
  if not is_dir and word:sub(-1) == "/" then
    return refuse(path .. ": there is no such directory")
  end
  local parent, name = split(path)
  local dir, err = host_tree.open(parent, dirs)
  return dir, err or name
end

local function fetch(sb, from, to, so_far)
  local entry, err = sb:stat(from, { follow = false })
  if not entry then return nil, err end
  if entry.type == "link" then
    return refuse(from .. " is a symbolic link", "name what it leads to")
  end
  local source = from == sb:root() and "." or from
  local dir <close>, name = destination(to, entry.type == "directory", source, written_by(sb))
  if not dir then return nil, name end
  return from_session.copy(sb, from, entry, dir, name, so_far)
end

-- ---- to the session --------------------------------------------------------------------

local function source_of(word, dirs)
  local path = tidy(word)
  if path == "/" or is_content(word) or path:find "/%.%.$" then
    local dir, err = host_tree.open(path, dirs)
    return dir, err
  end
  local parent, name = split(path)
  local dir, err = host_tree.open(parent, dirs)
  return dir, err or name
end

local function send(from, sb, to, so_far)
  local dir <close>, name = source_of(from, written_by(sb))
  if not dir then return nil, name end
  local stat = name and dir:stat(name)
  if name and not stat then return refuse(dir:child(name) .. ": no such file or directory") end
  if stat and stat.type == "link" then
    return refuse(dir:child(name) .. " is a symbolic link", "name what it leads to")
  end
  local there, err = sb:stat(to)
  if err and err.code == "OUTSIDE" then return nil, err end
  local path = to
  if there and there.type == "directory" then
    path = name and to .. "/" .. name or to
  elseif to:sub(-1) == "/" and stat and stat.type == "file" then
    return refuse(("%s: there is no such directory in the session"):format(to))
  end
  return to_session.copy(dir, name, sb, path, so_far)
end

-- ---- the command -----------------------------------------------------------------------

local function copy(from, to, max)
  local sb <close>, err = axo.open(from.id or to.id)
  if not sb then return cli.fail(err) end
  local so_far, ok = tally.new(max), from.id ~= nil
  local guard = signals.guard()
  guard:on_signal(function() so_far:stop() end)
  if ok then
    ok, err = fetch(sb, from.path, to.path, so_far)
  else
    ok, err = send(from.path, sb, to.path, so_far)
  end
  so_far:tell()
  local code = guard:code()
  guard:close()
  if ok then return 0 end
  if err.code == "OUTSIDE" then
    err.hint = OUTSIDE:format(from.id or to.id)
      .. (from.id and "cat FILE prints another file" or "sh -c 'cat > FILE' < FILE writes another")
  end
  local failed = cli.fail(err)
  return code or failed
end

local function main(arguments)
  local p = parser()
  local args = cli.parse(p, arguments)
  if args.src == "-" or args.dst == "-" then
    cli.usage(p, "-: no archives are read or written; axolua exec ID tar makes and unpacks them")
  end
  local from, to = place_of(args.src), place_of(args.dst)
  if not from.id and not to.id then
    cli.usage(p, "one of the two is ID:PATH, in a session; axolua ps lists them")
  end
  if from.id and to.id then
    cli.usage(p, "not from session to session: copy by way of this host")
  end
  console.open {}
  return copy(from, to, args.max and axo.policy.bytes(args.max) or DEFAULT_MAX)
end

return { summary = "copy files between this host and a session", parser = parser, main = main }
