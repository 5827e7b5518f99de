--- axolua image: the images on this machine: which there are, which may run, and making one.
local uv = require "luv"
local audit_log = require "axolua.audit.log"
local axo = require "axosandbox"
local cli = require "axolua.cli"
local command_options = require "axolua.cli.command_options"
local console = require "axolua.view.console"
local here = require "axolua.cli.here"
local signals = require "axolua.cli.signals"
local style = require "axolua.view.style"
local text = require "axolua.view.text"

local json = axo.json

-- ---- the options -------------------------------------------------------------------------

local function read_packages(word)
  local list = {}
  for name in word:gmatch "[^%s,]+" do list[#list + 1] = name end
  if list[1] then return list end
  return nil, "--packages: name at least one, such as python3,git"
end

local function append_all(result, target, words)
  local list = result[target] or {}
  result[target] = table.move(words, 1, #words, #list + 1, list)
end

local function image_argument(command, description)
  command:argument("image", description):convert(cli.name "the image")
end

local function dir_option(command)
  command:option("--dir", "The project; the current directory by default.")
    :argname "DIR":convert(cli.name "--dir")
end

local function json_flag(command)
  command:flag("--json", "As JSON, for scripts.")
end

local function add_ls(p)
  local command = cli.subcommand(p, "ls", "Lists the images that sessions may run: those that "
    .. "policy trusts, that were made here, or that a project uses; with their digests.")
  command:flag("-a --all", "Those that policy refuses, too.")
  json_flag(command)
end

local function add_use(p)
  local command = cli.subcommand(p, "use", "Runs the sessions of a project on this image from now "
    .. "on. It is remembered by its digest, outside of the project; an image of the same name "
    .. "that is pulled or built later is another one, and has to be agreed to again.")
  command:argument("image", "The image; it is on this machine (see pull and make)."):args "?"
    :convert(cli.name "the image")
  command:flag("--none", "Forget the project's image: its sessions run the default one.")
  dir_option(command)
  json_flag(command)
end

local function add_pull(p)
  local command = cli.subcommand(p, "pull", "Downloads an image from its registry. That allows "
    .. "nobody to run it: see use.")
  image_argument(command, "The image, such as node:22.")
  command_options.timeout(command, "Give up after S seconds; 1800 by default.")
  command_options.verbosity(command)
  json_flag(command)
end

local function add_make(p)
  local command = cli.subcommand(p, "make", "Makes an image from the packages of the Linux "
    .. "distribution, by mmdebstrap or debootstrap, without any container registry. Every project "
    .. "may run it, because it was made here on purpose. It takes some minutes.")
  command:argument("name", "Its name, such as tools or tools:2: it becomes localhost/NAME.")
    :convert(cli.name "the name")
  command:option("--packages", "The packages to install, with commas between them; may be "
    .. "repeated."):argname "LIST":count "*":convert(read_packages):action(append_all)
  command:option("--suite", "The release, such as bookworm; this machine's by default.")
    :argname "NAME":convert(cli.name "--suite")
  command:option("--mirror", "The address of the distribution's archive; the one that this machine "
    .. "installs from by default."):argname "URL":convert(cli.name "--mirror")
  command_options.timeout(command, "Give up after S seconds; 3600 by default.")
  command_options.verbosity(command)
  json_flag(command)
end

local function add_rm(p)
  local command = cli.subcommand(p, "rm", "Removes an image from this machine, and forgets which "
    .. "projects use it. One that a session runs stays.")
  image_argument(command, "The image.")
end

local function parser()
  local p = cli.parser("image", "The images on this machine: which there are, which of them "
    .. "sessions may run, and making one.")
  p:command_target "action"
  add_ls(p)
  add_use(p)
  add_pull(p)
  add_make(p)
  add_rm(p)
  return p
end

-- ---- what they do ------------------------------------------------------------------------

local HEADER = { "IMAGE", "DIGEST", "SIZE", "AGE", "WHO MAY RUN IT" }
local RIGHT = { [3] = true, [4] = true }
local SHORT = #"sha256:" + 12

local function who(info)
  local projects = text.visible(table.concat(info.projects, ", "))
  if info.trusted then
    local how = info.made and "all: it was made here" or info.is_default and "all: the default"
      or "all: policy trusts it"
    return info.projects[1] and ("%s; used in %s"):format(how, projects) or how
  end
  return info.projects[1] and "sessions in " .. projects or "nobody, without being asked"
end

local function show_list(list)
  if #list == 0 then
    return "no image here may run; `axolua image make NAME --packages python3,git` makes one\n"
  end
  local rows = {}
  for i, info in ipairs(list) do
    rows[i] = { info.name, info.digest:sub(1, SHORT), text.size(info.size),
      text.age(info.created and math.max(0, os.time() - info.created)), who(info) }
  end
  return text.columns(HEADER, rows, { right = RIGHT, paint = style.table_paint({}, HEADER) })
end

local function as_json(list)
  local rows = json.array {}
  for i, info in ipairs(list) do
    rows[i] = {
      name = info.name, digest = info.digest, size = info.size, created = info.created,
      made = info.made, default = info.is_default, trusted = info.trusted,
      refused = info.refused, projects = json.array(info.projects),
      packages = info.packages and json.array(info.packages) or nil,
    }
  end
  return rows
end

local function ls(args)
  local all, err = console.during({}, "asking podman for the images", axo.images.list)
  if not all then return cli.fail(err) end
  local list = {}
  for _, info in ipairs(all) do
    if args.all or info.trusted or info.projects[1] then list[#list + 1] = info end
  end
  if args.json then cli.print_json(as_json(list)) else cli.print(show_list(list)) end
  return 0
end

local function forget(dir, args)
  local had, err = axo.images.forget(dir)
  if had == nil then return cli.fail(err) end
  if args.json then
    cli.print_json { dir = dir, forgotten = had }
  else
    cli.print((had and "sessions in %s run the default image again\n"
      or "no image was agreed to for %s\n"):format(text.visible(dir)))
  end
  return 0
end

local function use(args, usage)
  local dir = here.absolute(args.dir or ".")
  dir = uv.fs_realpath(dir) or dir
  if args.none and args.image then usage "either an image or --none" end
  if args.none then return forget(dir, args) end
  if not args.image then usage "which image? (or --none)" end
  local agreed, err = console.during({}, "asking podman for the image", function()
    return axo.images.use { image = args.image, dir = dir }
  end)
  if not agreed then return cli.fail(err) end
  if args.json then
    cli.print_json { dir = dir, image = agreed.image, digest = agreed.digest }
  else
    cli.print(("sessions in %s run %s (%s)\n"):format(text.visible(dir), agreed.image,
      agreed.digest:sub(1, SHORT)))
  end
  return 0
end

local function option_of(message)
  return (message:gsub("^axosandbox%.images%.%w+%.(%w+)", "--%1", 1))
end

-- What takes long is shown, and ended by a signal.
local function long_work(args, what, begin)
  local log = console.open(args)
  local guard = signals.guard()
  log:begin(what)
  local result, err = axo.async.call(function(done)
    local ok, handle, problem = pcall(begin, done, log)
    -- What it raises is a wrong option, and the options are the user's.
    if not ok then return nil, { message = option_of(cli.without_position(handle)) } end
    if handle then guard:on_signal(function() handle:cancel() end) end
    return handle, problem
  end)
  log:settle()
  guard:on_signal(nil)
  local code = guard:code()
  guard:close()
  if not result then return nil, code or cli.fail(err) end
  return result
end

local function pull(args)
  local what = "pulling " .. args.image
  local pulled, code = long_work(args, what, function(done, log)
    local function show(progress)
      log:advance(("%s %s"):format(what, text.bar(progress.done, progress.total)))
    end
    return axo.images.pull({
      image = args.image, timeout = args.timeout, on_progress = log:has_line() and show or nil,
    }, done)
  end)
  if not pulled then return code end
  if args.json then
    cli.print_json { name = pulled.name, digest = pulled.digest }
  else
    cli.print(("%s (%s) is here; `axolua image use %s` allows it in a project\n"):format(
      pulled.name, pulled.digest:sub(1, SHORT), args.image))
  end
  return 0
end

-- The count goes first: the end of a long line is cut off.
local function so_far(progress)
  local count = progress.total and ("%d of %d, "):format(progress.done, progress.total) or ""
  return count .. (progress.step or progress.stage)
end

local function make(args, usage)
  if #(args.packages or {}) == 0 then usage "which packages? --packages python3,git" end
  local what = "making " .. args.name
  local made, code = long_work(args, what, function(done, log)
    local function show(progress) log:advance(("%s: %s"):format(what, so_far(progress))) end
    return axo.images.make({
      name = args.name, packages = args.packages, suite = args.suite, mirror = args.mirror,
      timeout = args.timeout, on_progress = log:has_line() and show or nil,
    }, done)
  end)
  if not made then return code end
  if args.json then
    cli.print_json { name = made.name, digest = made.digest, suite = made.suite,
      packages = json.array(made.packages) }
  else
    cli.print(("%s (%s) is made; `axolua run --image %s` runs it, and `axolua image use %s` makes "
      .. "it the image of a project\n"):format(
      made.name, made.digest:sub(1, SHORT), args.name, args.name))
  end
  return 0
end

local function rm(args)
  local removed, err = console.during({}, "removing the image", function()
    return axo.images.remove(args.image)
  end)
  if not removed then return cli.fail(err) end
  cli.print(("removed %s\n"):format(removed))
  return 0
end

-- What changes which images may run is in the audit log.
local function recorded(name, action)
  return function(...)
    audit_log.begin("image " .. name)
    return action(...)
  end
end

local ACTIONS = {
  ls = ls, pull = pull, use = recorded("use", use), make = recorded("make", make),
  rm = recorded("rm", rm),
}

return { summary = "list, choose, download and make images", parser = parser,
  main = cli.main_of(parser, ACTIONS) }
