local uv = require "luv"
local host = require "axosandbox.host"
local netns = require "axosandbox.network.netns"
local programs = require "axosandbox.host.programs"

local function start_of(pid) return (host.identity(pid):match "^%d+:(%d+):") end

describe("redirecting a network", function()
  it("leaves this host's own alone, and says so", function()
    local ok, err = netns.redirect(uv.os_getpid(), start_of(), 1, 1)
    assert.is_nil(ok)
    assert.equal("NETNS", err.code)
    assert.equal("the container's network cannot be redirected: the process has the host's "
      .. "network, which is left as it is", err.message)
    assert.equal(1, err.exit_code)
  end)

  it("fails where the process is another one by now", function()
    local ok, err = netns.redirect(uv.os_getpid(), tonumber(start_of()) + 1, 1, 1)
    assert.is_nil(ok)
    assert.equal("NETNS", err.code)
    assert.matches("is another one by now", err.message)
  end)

  it("takes ports only", function()
    local _, err = netns.redirect(uv.os_getpid(), start_of(), 65536, 1)
    assert.matches("TCP_PORT is no number from 1 to 65535", err.message)
  end)

  it("is not to be had without its helper", function()
    local trusted = programs.trusted
    programs.trusted = function() return nil, "it is missing" end
    local ok, err = netns.redirect(1, 1, 1, 1)
    programs.trusted = trusted
    assert.is_nil(ok)
    assert.equal("UNSUPPORTED", err.code)
    assert.matches("axo%-netns cannot be used: it is missing", err.message)
    assert.is_string(err.hint)
  end)
end)
