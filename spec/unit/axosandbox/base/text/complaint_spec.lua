local complaint = require "axosandbox.base.text.complaint"
local core = require "axosandbox.core"

local WARNING = 'time="2026-11-24T03:05:49Z" level=warning msg="Error validating CNI"\n'
local RETRY = 'time="2026-11-24T02:12:17Z" level=warning msg="Failed, retrying in 1s ... (1/3). '
  .. 'Error: initializing source docker://x: connection refused"\n'

describe("podman's stderr", function()
  local CAUSES = {
    { "", "" },
    { "\n\n", "" },
    { "Error: one\n", "one" },
    { "Error: one", "one" },
    { "Error: one\r\n", "one" },
    { "Error: one\nError: two\n", "two" },
    { "Trying to pull x...\n" .. RETRY .. RETRY .. "Error: refused\n", "refused" },
    { "Error: first\n" .. RETRY, "first" },
    { "WARN[0000] Failed, retrying in 1s ... Error: no \nError: yes", "yes" },
    { "Error: pasta failed with exit code 1:\nNo routable interface for IPv6: IPv6 is disabled\n"
      .. "Failed to bind port 5000 (Address already in use)\n",
      "pasta failed with exit code 1: No routable interface for IPv6: IPv6 is disabled; "
      .. "Failed to bind port 5000 (Address already in use)" },
    { "Error: 2 errors occurred while pulling:\n * one\n * two\n",
      "2 errors occurred while pulling: one; two" },
    { "Error: unknown flag: --nosuch\nSee 'podman run --help'\n", "unknown flag: --nosuch" },
    { "cannot chdir to /x: permission denied\n", "cannot chdir to /x: permission denied" },
    { 'time="t" level=warning msg="w"\ntime="t" level=error msg="a \\"b\\" c"\n', 'a "b" c' },
    { "ERRO[0000] no subuid ranges\nWARN[0000] single mapping\n", "no subuid ranges" },
    { "Getting image source signatures\nCopying blob x\nplain words\n", "plain words" },
    { "WARN[0000] only this\n", "only this" },
    { "Copying blob x\n", "Copying blob x" },
    { "Error: tab\there \27[31mred\127 \255\xc2\x9b", "tab?here ?[31mred? ??" },
    { "Error: \xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9" },
    { "an Error: inside a line", "an Error: inside a line" },
    { "Error: a\0b", "a?b" },
  }

  it("has a cause, on one line", function()
    for _, case in ipairs(CAUSES) do assert.equal(case[2], complaint.cause(case[1])) end
  end)

  it("of any length has a short one", function()
    assert.is_true(#complaint.cause("Error: " .. ("x"):rep(100000)) <= 1000)
    assert.equal("last", complaint.cause(("\n"):rep(1 << 20) .. "Error: last"))
    assert.equal(1000, #complaint.cause(("Error: x\n"):rep(1 << 16) .. ("y"):rep(1 << 20)))
  end)

  it("is read in parts", function()
    local parts = complaint.read(WARNING .. RETRY .. "frob: bad\nERRO[0000] lost\n  more\n"
      .. '{"msg":"no \\"x\\"","level":"error"}\nError: first\nError: second\nand more\n')
    assert.same({
      cause = "second\nand more", error = 'lost\n  more\nno "x"', plain = "frob: bad",
      warning = "Error validating CNI", info = parts.info,
    }, parts)
    assert.matches("^Failed, retrying", parts.info)
  end)

  it("is judged without the log before it", function()
    local stderr = WARNING .. WARNING .. "Error: crun: executable file `frob` not found in $PATH\n"
    local function judge(text)
      return core.podman.judge { code = 127, argv0 = "frob", stderr = text, stdout_total = 0 }
    end
    assert.is_nil(judge(stderr))
    assert.equal("NOT_FOUND", judge(complaint.without_log(stderr)).code)
    assert.equal("mine\n" .. WARNING, complaint.without_log("mine\n" .. WARNING))
    assert.equal("", complaint.without_log(WARNING:rep(100000)))
  end)
end)
