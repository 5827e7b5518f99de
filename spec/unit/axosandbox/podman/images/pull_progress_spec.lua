-- How far a pull is, read from what podman draws.
local pull_progress = require "axosandbox.podman.images.pull_progress"

local BAR = "Copying blob %s [==>---] %s / %s | 1.0 MiB/s\r\n"

describe("the progress of a pull", function()
  it("is the sum over the blobs, in bytes", function()
    local watch = pull_progress.watch()
    assert.is_nil(watch:feed "Trying to pull x...\r\nCopying blob 51cb374eb132 .   \r\n")
    assert.same({ done = 1024, total = 4096 }, watch:feed(BAR:format("51cb", "1.0KiB", "4.0KiB")))
    assert.same({ done = 1024 + 512, total = 4096 + 2 ^ 20 // 1 },
      watch:feed("\27[1A\27[J" .. BAR:format("77aa", "512.0b", "1.0MiB")))
    assert.same({ done = 4096 + 512, total = 4096 + 2 ^ 20 // 1 },
      watch:feed "\27[1A\27[JCopying blob 51cb done  \r\n")
  end)

  it("is read however the bytes are cut", function()
    local whole = pull_progress.watch()
    local text = BAR:format("51cb", "1.5MiB", "3MiB") .. BAR:format("77aa", "1GiB", "2GiB")
    local expected = whole:feed(text)
    local cut, last = pull_progress.watch(), nil
    for i = 1, #text do last = cut:feed(text:sub(i, i)) or last end
    assert.same(expected, last)
    assert.equal(2 ^ 20 * 3 // 2 + 2 ^ 30, last.done)
  end)

  it("keeps numbers alone, and not many", function()
    local watch = pull_progress.watch()
    for i = 1, 5000 do watch:feed(BAR:format(("%x"):format(i), "1b", "2b")) end
    assert.same({ done = 1024, total = 2048 }, watch:feed(BAR:format("1", "1b", "2b")))
    for _, text in ipairs { "9..9 / 1b", "1e999b / 1b", "-1b / 1b", "1zz / 1q", (" "):rep(9999) } do
      watch:feed("Copying blob ff " .. text .. "\r")
    end
    local far = pull_progress.watch():feed(BAR:format("ab", "99999999TiB", "999999999TiB"))
    assert.equal(far.done, far.total)
  end)

  it("leaves the words of a complaint", function()
    assert.equal("Copying blob 1\n\nError: no\n",
      pull_progress.words "Copying blob 1\r\n\27[1A\27[J\r\nError: no\r\n")
  end)
end)
