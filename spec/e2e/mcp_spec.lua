-- @runs native-user
local e2e = require "spec.support.e2e"
local images = require "spec.support.images"
local mcp = require "spec.support.mcp"
local net = require "spec.support.net"

describe("axolua mcp over a container", function()
  e2e.housekeeping { setup = setup, before_each = before_each, after_each = after_each,
    teardown = teardown }

  local client, id, dir
  before_each(function()
    id, dir = e2e.new_id(), e2e.temp.dir "project"
    client = mcp.start { "--dir", dir, "--id", id, "--image", images.base(),
      "--allow-untrusted-image", "--network", "none", "--quiet" }
    client:initialize()
  end)
  after_each(function() client:kill() end)

  local function is_there()
    return e2e.podman.exists("axo-ses-" .. id)
  end

  it("ends the session at the end of its input, after what is under way", function()
    client:call("bash", { command = "true" }) -- what is under way has seconds, and a start may take more
    local asked = client:request("tools/call", { name = "bash",
      arguments = { command = "sleep 0.5; echo done" } })
    client.process:close_stdin()
    assert.matches("^done\n", (mcp.text(client:answer(asked).result)))
    local result = client.process:wait()
    assert.same({ 0, "" }, { result.code, result.stderr })
    assert.is_false(is_there())
  end)

  it("gives commands and tasks their stdin, and takes one that begins like an option", function()
    assert.matches("^HELLO\n", (client:call("bash", { command = "tr a-z A-Z", stdin = "hello\n" })))
    assert.matches("went on", (client:call("bash", { command = "-x; echo went on" })))
    local task = client:call("bash_background", { command = "cat; echo over", interactive = true })
      :match "task (%S+)%."
    local words = client:call("write_background", { id = task, text = "one\n" })
    assert.matches("Wrote 4 bytes", words)
    assert.matches("one\n", (client:call("read_background", { id = task, wait = 30 })))
    client:call("write_background", { id = task, close = true })
    assert.matches("over\n", (client:call("read_background",
      { id = task, wait = 30, cursor = 4 })))
    local _, is_error = client:call("write_background", { id = task, text = "late" })
    assert.is_true(is_error)
    task = client:call("bash_background", { command = "sleep 100" }):match "task (%S+)%."
    words, is_error = client:call("write_background", { id = task, text = "x" })
    assert.is_true(is_error)
    assert.matches("interactive", words)
  end)

  for signal, code in pairs { sigterm = 143, sigint = 130 } do
    it("ends the session by " .. signal .. ", whatever runs", function()
      client:call("bash", { command = "true" })
      client:request("tools/call", { name = "bash",
        arguments = { command = "touch on; sleep 600" } })
      e2e.eventually(function() return e2e.temp.read(dir .. "/on") end)
      client.process:kill(signal)
      local result = client.process:wait()
      assert.same({ code, "" }, { result.code, result.stderr })
      assert.is_false(is_there())
    end)
  end

  it("leaves nothing when its input ends while the container starts", function()
    client.process:close_stdin()
    assert.equal(0, client.process:wait().code)
    assert.is_false(is_there())
  end)

  it("answers a second request of one id by an error, and the first one in the end", function()
    client:request("tools/call", { name = "bash",
      arguments = { command = "until [ -e go ]; do sleep 0.05; done; echo first" } }, "same")
    local again = client:ask("tools/call", { name = "session_info" }, "same")
    assert.equal(-32600, again.error.code)
    client:call("bash", { command = "touch go" })
    assert.matches("^first\n", (mcp.text(client:answer("same").result)))
  end)

  it("lets the user reach a port, where the sandbox has no network", function()
    local words = client:call("expose_port", { port = 4321 })
    local port = tonumber(words:match "127%.0%.0%.1:(%d+), until")
    assert.matches("nothing listens on it yet: wait_for_port", words, 1, true)
    client:call("bash_background",
      { command = "echo hello > index.html; httpd -f -p 127.0.0.1:4321" })
    client:call("wait_for_port", { port = 4321 })
    assert.matches("hello", (net.get("127.0.0.1", port)))
    local again = client:call("expose_port", { port = 4321 })
    assert.matches("127%.0%.0%.1:" .. port .. ", until", again)
    assert.is_nil(again:find "yet")
    local refused, is_error = client:call("expose_port", { port = 4322, host_port = port })
    assert.is_true(is_error)
    assert.matches("another program holds it.*Leave out host_port", refused)
    refused, is_error = client:call("expose_port", { port = 4321, host_port = 1023 })
    assert.is_true(is_error)
    assert.matches("is not given to an agent", refused, 1, true)
    assert.matches("127%.0%.0%.1:%d%d%d%d+, until", (client:call("expose_port", { port = 81 })))
  end)

  it("tells what a command left running", function()
    local text = client:call("bash", { command = "sleep 63 & echo begun" })
    assert.matches("^begun\n.*still run: 1;.*bash_background", text)
    assert.is_nil(client:call("bash", { command = "pkill -f 'sleep 6[3]'; true" }):find "still run")
  end)

  it("kills what a cancelled call started, and says nothing of it", function()
    local asked = client:request("tools/call", { name = "bash",
      arguments = { command = "sleep 61 & touch on; sleep 62" } })
    e2e.eventually(function() return e2e.temp.read(dir .. "/on") end)
    client:notify("notifications/cancelled", { requestId = asked })
    e2e.eventually(function()
      return not client:call("bash", { command = "ps" }):find "sleep 6[12]"
    end, "the end of what was cancelled")
    for _, reply in ipairs(client.replies) do assert.not_equal(asked, reply.id) end
    e2e.eventually(function()
      return client:ask("ping", nil, asked).result
    end, "the id to be free again")
  end)
end)
