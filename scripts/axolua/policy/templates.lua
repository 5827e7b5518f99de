--- What `axolua policy init` writes: files that change nothing until a line is uncommented.
local templates = {}

templates.sandbox = [[
-- How a session's container is made: network, limits, user. This file wraps what would have
-- been decided without it; uncomment what you want. Check it with
--   axolua policy check ~/.config/axosandbox/policy/sandbox.lua

return function(request, default)
  local decision = default(request)
  if decision.deny then return decision end

  -- No network at all.
  -- decision.network = "none"

  -- Smaller limits.
  -- decision.limits.memory = "1g"
  -- decision.limits.cpus = 1
  -- decision.limits.pids = 256

  -- No session where a limit does not really apply.
  -- decision.require_resource_limits = true

  -- A project's devcontainer.json chooses no users, and reads no variables of this machine.
  -- decision.user, decision.remote_user = request.fields.user, nil
  -- decision.local_env = {}

  -- Sessions only for projects beneath this directory.
  -- if not request.dir_real:find "^/srv/projects/" then
  --   return { deny = "sessions live in /srv/projects" }
  -- end

  return decision
end
]]

templates.image_trust = [[
-- Which image a session runs. This file wraps what would have been decided without it;
-- uncomment what you want. Check it with
--   axolua policy check ~/.config/axosandbox/policy/image_trust.lua

-- Images that are trusted: by registry, repository (one, or all beneath it) and digest.
local TRUSTED = {
  -- { registry = "registry.example.com" },
  -- { registry = "docker.io", repository = "library/debian" },
  -- { registry = "ghcr.io", repository = "my-company/*" },
}

return function(request, default)
  local list = request.fields.allow_images or {}
  for _, entry in ipairs(TRUSTED) do list[#list + 1] = entry end
  request.fields.allow_images = list

  -- The list is all there is, whatever the calling program says.
  -- request.fields.allow_untrusted_image = false

  return default(request)
end
]]

templates.post_create = [[
-- Whether the commands that a repository brings along run in a fresh container. This file wraps
-- what would have been decided without it; uncomment what you want. Check it with
--   axolua policy check ~/.config/axosandbox/policy/post_create.lua

return function(request, default)
  local decision = default(request)

  -- Ask at the terminal before they run.
  -- decision.run, decision.ask = false, #request.commands > 0
  -- decision.commands, decision.warning = request.commands, nil

  -- A failure of one of them is a failure of the start.
  -- decision.on_failure = "fail"

  return decision
end
]]

templates.provision = [[
-- What is installed into a fresh container. This file wraps what would have been decided without
-- it; uncomment what you want. Check it with
--   axolua policy check ~/.config/axosandbox/policy/provision.lua

return function(request, default)
  local decision = default(request)

  -- Nothing.
  -- decision.run = false

  -- One package more. The key names the image that is kept: change it with the commands.
  -- if decision.run then
  --   decision.commands[#decision.commands + 1] = "apk add --no-cache python3"
  --   decision.key = "with-python-1"
  -- end

  return decision
end
]]

templates.exec = [[
-- Each command before it runs. This file wraps what would have been decided without it; uncomment
-- what you want. Check it with
--   axolua policy check ~/.config/axosandbox/policy/exec.lua

return function(request, default)
  -- Pushing is done by people.
  -- if request.argv[1] == "git" and request.argv[2] == "push" then
  --   return { allow = false, reason = "pushing is done by people here" }
  -- end

  local decision = default(request)

  -- Nothing that somebody waits for takes longer than ten minutes.
  -- if request.kind == "exec" then decision.timeout = math.min(decision.timeout or 600, 600) end

  return decision
end
]]

templates.names = [[
-- What "@node" and the like stand for in `network = { allow = { "@node" } }`. This file wraps what
-- would have been decided without it; uncomment what you want. Check it with
--   axolua policy check ~/.config/axosandbox/policy/names.lua

local LISTS = {
  -- node = { "npm.mirror.example" },
  -- debian = { "deb.mirror.example:80" },
}

return function(request, default)
  local names = LISTS[request.list]
  return names and { names = names } or default(request)
end
]]

templates.egress = [[
-- Each name that a session with a list of names reaches for. This file wraps what would have been
-- decided without it; uncomment what you want. Check it with
--   axolua policy check ~/.config/axosandbox/policy/egress.lua

return function(request, default)
  -- One name leads to a server on this machine.
  -- if request.name == "api.internal.example" then
  --   return { allow = true, dial = "127.0.0.1:8443" }
  -- end

  -- Ask at the terminal before one is reached for the first time.
  -- if request.name == "files.example.com" then return { ask = true } end

  -- Nobody adds names to a session that runs.
  -- if request.op == "allow" then return { allow = false, reason = "not here" } end

  return default(request)
end
]]

templates.retry = [[
-- What to change when podman could not start a container. This file wraps what would have been
-- decided without it; uncomment what you want. Check it with
--   axolua policy check ~/.config/axosandbox/policy/retry.lua

return function(request, default)
  local decision = default(request)

  -- Never start a session without its limits or without its ports.
  -- local changes = decision.changes
  -- if changes and (changes.drop_limits or changes.drop_ports) then
  --   return { action = "give_up", hint = "policy wants the limits and the ports as asked for" }
  -- end

  return decision
end
]]

return templates
