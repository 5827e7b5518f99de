local make_progress = require "axosandbox.podman.images.make_progress"

describe("how far the making of an image is", function()
  it("is counted in what apt unpacks and sets up", function()
    local read, last = make_progress.reader(), nil
    for _, line in ipairs {
      "axo: making a minimal bookworm", "I: Retrieving libc6 2.36-9", "axo: installing git",
      "0 upgraded, 0 newly installed, 0 to remove", "0 upgraded, 3 newly installed, 0 to remove",
      "Get:1 http://deb.example/debian bookworm/main amd64 git amd64 1:2.39 [7,256 kB]",
      "Unpacking git (1:2.39) ...", "Fetched 7 MB in 1s", "Setting up git (1:2.39) ...",
    } do
      last = read(line) or last
      if line:find "^I:" then
        assert.same({ stage = "making a minimal bookworm", step = "Retrieving libc6" }, last)
      elseif line:find "^Get" then
        assert.same({ stage = "installing git", step = "Downloading git", done = 0, total = 6 },
          last)
      end
    end
    assert.same({ stage = "installing git", step = "Setting up git", done = 2, total = 6 }, last)
  end)

  it("is never more than all, nor longer than a line, whatever is said", function()
    local read = make_progress.reader()
    read "99999999 upgraded, 1 newly installed"
    read "0 upgraded, 1 newly installed"
    local last
    for _ = 1, 5 do last = read("Unpacking " .. ("x"):rep(10000)) end
    assert.equal(2, last.done)
    assert.is_true(#last.step < 100)
    assert.is_nil(read "anything else")
  end)
end)
