--- Leads what a container without a network sends out to two sockets of its host, by a helper that
--- enters the container's network from outside (core/netns).
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local programs = require "axosandbox.host.programs"

local netns = {}

-- It takes milliseconds, and gives up by itself before this.
local TIMEOUT = 10

-- core/netns/netns.h: this host cannot do it.
local EXIT_NOT_OFFERED = 3

local HINT = "AXOSANDBOX_NAMES=listeners does without it"

local function unsupported(message)
  return errors.new { code = "UNSUPPORTED", op = "network", message = message, hint = HINT }
end

local function failed(message, result)
  return errors.new {
    code = "NETNS", op = "network", message = message, exit_code = result.code,
    signal = result.signal, hint = HINT,
  }
end

-- One line, in its own words.
local function complaint(result)
  return result.stderr:match "^axo%-netns: ([^\n]+)"
    or result.timed_out and "axo-netns does not end"
    or ("axo-netns ended with %s"):format(result.code or result.signal)
end

local function verdict(result)
  if result.code == 0 then return nil end
  local message = "the container's network cannot be redirected: " .. complaint(result)
  if result.code == EXIT_NOT_OFFERED then return unsupported(message) end
  return failed(message, result)
end

--- From now on every TCP connection to elsewhere than 127.0.0.0/8 and 198.18.0.1 comes to a port of
--- the container's 127.0.0.1, where SO_ORIGINAL_DST tells what was dialled, and every datagram to
--- port 53 of any address to another. Programs in there cannot undo it. What was so before is
--- replaced at once; connections that there are stay. In a coroutine.
---@param pid integer the container's first process, as this host numbers it
---@param start string|integer when that began: the second part of `host.identity`
---@param tcp_port integer of 127.0.0.1 in the container
---@param dns_port integer
---@return true? redirected, axo.Error? code "UNSUPPORTED": this host cannot do it (no nftables, no user namespace, no helper), whatever is tried again; "NETNS": it failed, or the process has ended
function netns.redirect(pid, start, tcp_port, dns_port)
  local program, why = programs.trusted(programs.path "axo-netns")
  if not program then
    return nil, unsupported(("%s cannot be used: %s"):format(programs.path "axo-netns", why))
  end
  local argv = { program, ("%d"):format(pid), tostring(start), ("%d"):format(tcp_port),
    ("%d"):format(dns_port) }
  local result, err = await.call(function(done)
    return core.spawn(argv, { env = {}, cwd = "/", timeout = TIMEOUT }, function(result)
      done(nil, result)
    end)
  end)
  if not result then return nil, err end
  err = verdict(result)
  if err then return nil, err end
  return true
end

return netns
