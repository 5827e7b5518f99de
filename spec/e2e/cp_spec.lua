-- @runs native-root native-user
local e2e = require "spec.support.e2e"
local support = require "spec.support.cli"
local uv = require "luv"
local proc, temp = e2e.proc, e2e.temp

local function axolua(...) return support.run { ... } end

describe("axolua cp", function()
  e2e.housekeeping(_ENV)

  local sb, id, dir, out
  before_each(function()
    sb = e2e.start()
    id, dir, out = sb:id(), sb:root(), temp.dir "out"
  end)
  after_each(function() sb:stop() end)

  local function shell(script, ...)
    return proc.must { "/bin/sh", "-c", script, "sh", ... }
  end
  local function inside(script)
    local result = assert(sb:exec { "sh", "-c", script })
    assert.equal(0, result.code, result.stderr)
  end
  local function cp(from, to, ...)
    local result = axolua("cp", from, to, ...)
    assert.equal(0, result.code, result.stderr)
    return result
  end

  it("copies files both ways, with their modes, whatever is in them", function()
    local bytes = temp.random_bytes(9 * 1024 * 1024)
    temp.write(out .. "/big", bytes)
    temp.write(out .. "/run.sh", "#!/bin/sh\n", "755")
    cp(out .. "/big", id .. ":there")
    assert(temp.read(dir .. "/there") == bytes)
    cp(out .. "/run.sh", id .. ":")
    assert.equal(493, uv.fs_stat(dir .. "/run.sh").mode & 511)
    cp(id .. ":there", out .. "/back")
    assert(temp.read(out .. "/back") == bytes)
    cp(id .. ":run.sh", out .. "/back")
    assert.equal("#!/bin/sh\n", temp.read(out .. "/back"))
    assert.equal(493, uv.fs_stat(out .. "/back").mode & 511)
  end)

  it("copies directories as docker does: into one that is there, else as one", function()
    shell('mkdir -p "$1/a/b/empty"; echo 1 > "$1/a/one"; echo 2 > "$1/a/b/two"', out)
    cp(out .. "/a", id .. ":new")
    assert.equal("2\n", temp.read(dir .. "/new/b/two"))
    cp(out .. "/a", id .. ":new")
    assert.equal("1\n", temp.read(dir .. "/new/a/one"))
    cp(out .. "/a/.", id .. ":flat")
    assert.equal("directory", uv.fs_stat(dir .. "/flat/b/empty").type)
    cp(id .. ":new/a", out .. "/back")
    assert.equal("2\n", temp.read(out .. "/back/b/two"))
    cp(id .. ":new/a", out .. "/back")
    assert.equal("1\n", temp.read(out .. "/back/a/one"))
    cp(id .. ":flat/.", out .. "/back")
    assert.equal("directory", uv.fs_stat(out .. "/back/b/empty").type)
  end)

  it("follows no link of the container's, and says what it left out", function()
    temp.write(out .. "/secret", "secret")
    inside(("mkdir t; ln -s %s/secret t/link; ln -s /etc t/etc; mkfifo t/fifo; echo x > t/file")
      :format(out))
    local result = cp(id .. ":t", out .. "/t")
    assert.matches("left out.*t/etc %(link%), t/fifo %(fifo%), t/link %(link%)", result.stderr)
    assert.equal("file\n", shell('ls "$1/t"', out))
    result = axolua("cp", id .. ":t/link", out .. "/x")
    assert.equal(125, result.code)
    assert.is_nil(uv.fs_lstat(out .. "/x"))
    -- A link in the session's directory, on this host's side of the copy.
    for _, path in ipairs { dir .. "/t/link", dir .. "/t/etc/passwd" } do
      result = axolua("cp", path, id .. ":y")
      assert.equal(125, result.code)
      assert.matches("symbolic link", result.stderr)
      assert.is_nil(uv.fs_lstat(dir .. "/y"))
    end
  end)

  it("writes beneath the destination alone, also where the container made links", function()
    temp.write(out .. "/secret", "as it was")
    shell('mkdir "$1/elsewhere"', out)
    inside(("mkdir -p src/sub dst/src; echo evil > src/file; echo evil > src/sub/x; "
      .. "ln -s %s/secret dst/src/file; ln -s %s/elsewhere dst/src/sub; ln -s %s/elsewhere lead")
      :format(out, out, out))
    local result = axolua("cp", id .. ":src", dir .. "/dst")
    assert.equal(125, result.code)
    assert.equal("as it was", temp.read(out .. "/secret"))
    assert.equal("", shell('ls "$1/elsewhere"', out))
    assert.equal("evil\n", temp.read(dir .. "/dst/src/file"))
    result = axolua("cp", id .. ":src/file", dir .. "/lead")
    assert.equal(125, result.code)
    assert.matches("leads out of it", result.stderr)
    assert.equal("", shell('ls "$1/elsewhere"', out))
  end)

  it("takes names as they are", function()
    inside [[mkdir n; cd n; printf 1 > 'a b'; printf 2 > '-rf'; printf 3 > "$(printf 'x\n\033y')"]]
    cp(id .. ":n", out .. "/n")
    assert.equal("3", temp.read(out .. "/n/x\n\27y"))
    assert.equal("2", temp.read(out .. "/n/-rf"))
    cp(out .. "/n/.", id .. ":m")
    assert.equal("1", temp.read(dir .. "/m/a b"))
  end)

  it("is bounded", function()
    inside "truncate -s 100G huge; mkdir -p $(for i in $(seq 101); do printf d/; done)"
    local result = axolua("cp", id .. ":huge", out .. "/huge")
    assert.equal(125, result.code)
    assert.matches("more than 1073741824 bytes.*%-%-max", result.stderr)
    assert.is_nil(uv.fs_lstat(out .. "/huge"))
    result = axolua("cp", id .. ":d", out .. "/d")
    assert.equal(125, result.code)
    assert.matches("more than 100 directories deep", result.stderr)
  end)

  it("leaves nothing half there when a signal ends it", function()
    inside "truncate -s 20G large"
    local process = proc.start { support.axolua(), "cp", "--max", "100g", id .. ":large",
      out .. "/large" }
    proc.eventually(function() return #shell('ls -A "$1"', out) > 0 end, "the copy under way")
    process:kill "sigterm"
    local result = process:wait()
    assert.equal(143, result.code)
    assert.matches("interrupted", result.stderr)
    assert.equal("", shell('ls -A "$1"', out))
  end)

  it("says what it cannot do", function()
    local result = axolua("cp", id .. ":/etc/passwd", out)
    assert.equal(125, result.code)
    assert.matches("outside.*axolua exec " .. id:gsub("%-", "%%-") .. " cat FILE", result.stderr)
    temp.write(out .. "/f", "")
    for _, place in ipairs { "/tmp", "/tmp/", "/tmp/f" } do
      result = axolua("cp", out .. "/f", id .. ":" .. place)
      assert.equal(125, result.code)
      assert.matches("outside.*'cat > FILE' < FILE", result.stderr)
    end
    assert.equal(125, axolua("cp", id .. ":nothing", out).code)
    assert.equal(125, axolua("cp", out .. "/nothing", id .. ":x").code)
    assert.matches("no such directory", axolua("cp", out .. "/f", id .. ":no/").stderr)
    inside "mkdir e"
    assert.matches("no directory", axolua("cp", id .. ":e", out .. "/f").stderr)
  end)
end)
