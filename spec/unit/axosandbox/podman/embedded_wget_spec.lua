local embedded_wget = require "axosandbox.podman.embedded_wget"
local proc = require "spec.support.proc"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"
local uv = require "luv"

local BUSYBOX = "/bin/busybox"

describe("wget of the embedded image, where busybox's crashes with a timeout", function()
  local mark
  setup(function() mark = janitor.mark() end)
  teardown(function() janitor.sweep(mark) end)

  local function run(script, ...)
    return proc.run { BUSYBOX, "sh", "-c", script, "wget", ... }
  end

  -- What it makes of its arguments, by a busybox that only says what it was called with.
  local function told(...)
    local fake = temp.dir() .. "/busybox"
    temp.write(fake, "#!/bin/sh\nfor word; do printf '%s|' \"$word\"; done\n")
    proc.must { "chmod", "+x", fake }
    return run(embedded_wget.SCRIPT:gsub("/bin/busybox", fake), ...).stdout
  end

  it("gives everything but the timeout to busybox", function()
    assert.equal("wget|-q|-O|a b|http://x/|", told("-q", "-O", "a b", "http://x/"))
    assert.equal("wget|-T0||", (told("--", "-T0", "")):gsub("%-%-|", ""))
    assert.equal("wget|-O|-T|u|", told("-O", "-T", "u"))
    for _, words in ipairs { { "-T", "5" }, { "-T5" }, { "--timeout=5" }, { "--timeout", "5" } } do
      words[#words + 1] = "u"
      assert.equal("timeout|5|", told(table.unpack(words)):sub(1, 10))
      assert.equal("wget|u|", told(table.unpack(words)):sub(-7))
    end
    assert.equal("wget|-q|u|", told("-qT", "5", "u"):sub(-10))
    assert.equal("wget|-cq|u|", told("-cqT5", "u"):sub(-11))
  end)

  it("ends a download that takes longer, and says so", function()
    local server = uv.new_tcp()
    assert(server:bind("127.0.0.1", 0))
    local clients = {}
    assert(server:listen(8, function()
      local client = uv.new_tcp()
      server:accept(client)
      clients[#clients + 1] = client
    end))
    local url = ("http://127.0.0.1:%d/"):format(server:getsockname().port)
    local r = run(embedded_wget.SCRIPT, "-q", "-T", "1", "-O", "-", url)
    for _, client in ipairs(clients) do client:close() end
    server:close()
    assert.equal(1, r.code)
    assert.equal("wget: download timed out\n", r.stderr)
  end)

  it("fails as busybox's does where nothing answers", function()
    local r = run(embedded_wget.SCRIPT, "-T", "9", "-qO-", "http://127.0.0.1:1/")
    assert.equal(1, r.code)
    assert.matches("can't connect", r.stderr, 1, true)
  end)
end)
