-- The parts of a network by names: addresses of names, what a name may lead to, what policy is
-- asked, what is kept of refusals.
local address = require "axosandbox.base.text.address"
local addresses = require "axosandbox.network.names.addresses"
local allow = require "axosandbox.policy.allow"
local await = require "axosandbox.base.await"
local blocks = require "axosandbox.network.names.blocks"
local denied = require "axosandbox.network.names.denied"
local egress = require "axosandbox.network.names.egress"
local files = require "axosandbox.network.names.files"
local logged = require "axosandbox.network.names.logged"
local policies = require "spec.support.policies"
local resolve = require "axosandbox.network.names.resolve"
local temp = require "spec.support.temp"
local uv = require "luv"

local function bytes(text)
  local found = address.parse(text)
  return found or error(text)
end

describe("the addresses of names", function()
  local path
  before_each(function() path = temp.dir() .. "/names" end)

  it("are one a name, and the same for who opens the session again", function()
    local first = assert(addresses.open(path))
    assert.equal("198.18.0.2", first:of "a.example")
    assert.equal("198.18.0.3", first:of "b.example")
    assert.equal("198.18.0.2", first:of "a.example")
    assert.equal("b.example", first:name "198.18.0.3")
    for _, text in ipairs { "198.18.0.1", "198.18.0.4", "1.2.3.4", "x", "" } do
      assert.is_nil(first:name(text))
    end
    first:close()
    local second = assert(addresses.open(path))
    assert.equal("b.example", second:name "198.18.0.3")
    assert.equal("198.18.0.4", second:of "c.example")
    second:close()
  end)

  it("lose what was not wholly written, and go on behind what was", function()
    temp.write(path, "a.example\nb.exam", "600")
    local list = assert(addresses.open(path))
    assert.equal("a.example", list:name "198.18.0.2")
    assert.is_nil(list:name "198.18.0.3")
    assert.equal("198.18.0.3", list:of "c.example")
    list:close()
    assert.equal("a.example\nc.example\n", temp.read(path))
  end)

  it("are not more than there may be, nor of what is no name", function()
    local list = assert(addresses.open(path))
    for i = 1, addresses.MAX do assert(list:of(i .. ".example")) end
    assert.equal("198.18.16.1", list:of(addresses.MAX .. ".example"))
    local none, problem = list:of "one.more.example"
    assert.is_nil(none)
    assert.matches("has used them up", problem)
    list:close()
    list = assert(addresses.open(temp.dir() .. "/names", true))
    assert.is_nil(list:of "a\nb")
    assert.equal("127.64.0.2", list:of "a.example")
    list:close()
  end)
end)

describe("an address that a name leads to", function()
  local everything = allow.new { "0.0.0.0/0", "[::/0]" }

  it("is a public one, or has to be listed", function()
    for text, word in pairs {
      ["0.0.0.0"] = "unspecified", ["10.1.2.3"] = "private", ["100.64.0.1"] = "shared",
      ["127.0.0.1"] = "this machine", ["127.255.0.1"] = "this machine",
      ["169.254.169.254"] = "metadata", ["168.63.129.16"] = "of a cloud",
      ["169.254.1.1"] = "link-local", ["172.31.0.1"] = "private",
      ["192.168.0.1"] = "private", ["198.18.0.2"] = "tests", ["224.0.0.1"] = "multicast",
      ["255.255.255.255"] = "reserved", ["::"] = "unspecified", ["::1"] = "this machine",
      ["::ffff:127.0.0.1"] = "IPv4", ["::ffff:8.8.8.8"] = "IPv4",
      ["64:ff9b::7f00:1"] = "translated",
      ["2002:7f00:1::"] = "translated", ["2001:0:7f00:1::"] = "protocols",
      ["::127.0.0.1"] = "not public",
      ["fd00::8"] = "private", ["fd00:ec2::254"] = "metadata", ["fe80::1"] = "link-local",
      ["fec0::1"] = "not public", ["ff02::1"] = "multicast", ["64:ff9b:1::1"] = "translated",
    } do
      assert.matches(word, blocks.kind(bytes(text)) or "public", 1, true)
      local good, problem = resolve.dialled({ bytes(text) }, 443, everything)
      assert.same({}, good, text)
      assert.matches("it leads to ", problem)
    end
    for _, text in ipairs { "8.8.8.8", "172.32.0.1", "2606:4700::1111", "169.253.0.1" } do
      assert.is_nil(blocks.kind(bytes(text)), text)
    end
  end)

  it("is not one of this machine's own", function()
    for _, list in pairs(uv.interface_addresses()) do
      for _, it in ipairs(list) do
        assert.is_string(blocks.kind(bytes((it.ip:gsub("%%.*", "")))))
      end
    end
  end)

  it("is dialled where an entry of its own kind lists it, and the others are left out", function()
    local list = { bytes "10.1.0.5", bytes "8.8.8.8", bytes "127.0.0.1" }
    assert.same({ "8.8.8.8" }, (resolve.dialled(list, 443, allow.new { "a.example" })))
    assert.same({ "10.1.0.5", "8.8.8.8" },
      (resolve.dialled(list, 443, allow.new { "10.0.0.0/8:443" })))
    assert.same({ "8.8.8.8", "127.0.0.1" },
      (resolve.dialled(list, 443, allow.new { "127.0.0.1:443", "10.1.0.5:80" })))
  end)
end)

describe("a resolver", function()
  -- One that answers when it is told to.
  local function slow()
    local asked = {}
    return asked, function(name, done) asked[#asked + 1] = { name = name, done = done } end
  end

  it("asks once for those who ask meanwhile, two at a time", function()
    local asked, look_up = slow()
    local resolver, answers = resolve.new(look_up), {}
    for _, name in ipairs { "a", "a", "b", "c" } do
      resolver:addresses(name, function(err, list) answers[#answers + 1] = { name, err, list } end)
    end
    assert.equal(2, #asked)
    asked[1].done(nil, { { addr = "8.8.8.8" }, { addr = "8.8.8.8" }, { addr = "nonsense" } })
    assert.equal(3, #asked)
    assert.same({ { "a", nil, { bytes "8.8.8.8" } }, { "a", nil, { bytes "8.8.8.8" } } }, answers)
    asked[2].done "ENOENT"
    assert.matches("could not be resolved: ENOENT", answers[3][2])
    asked[3].done(nil, {})
    assert.matches("it has no address", answers[4][2])
  end)

  it("has a bound on those who wait", function()
    local _, look_up = slow()
    local resolver, refused = resolve.new(look_up), 0
    for i = 1, 300 do
      resolver:addresses("n" .. i, function(err) if err then refused = refused + 1 end end)
    end
    await.sleep(0.01)
    assert.equal(300 - 256 - 2, refused)
  end)

  it("of this machine knows what its file of hosts says", function()
    local resolver = resolve.new()
    local list = await.first(function(done)
      resolver:addresses("localhost", function(err, found) done(err, found) end)
      return true
    end)
    assert.is_string(blocks.kind(assert(list)[1]))
  end)

  it("reads the file of hosts, so that nothing is put behind a name elsewhere", function()
    local path = temp.dir() .. "/hosts"
    temp.write(path,
      "10.0.0.1 db.example Other.Example # not.example\n#10.0.0.2 off.example\n", "600")
    for name, is_there in pairs { ["db.example"] = true, ["other.example"] = true,
      ["not.example"] = false, ["off.example"] = false, ["b.example"] = false, ["db"] = false } do
      assert.equal(is_there, resolve.is_in_hosts(name, path), name)
    end
    assert.is_false(resolve.is_in_hosts("db.example", path .. ".none"))
    local asked, getaddrinfo = {}, uv.getaddrinfo
    finally(function() uv.getaddrinfo = getaddrinfo end)
    uv.getaddrinfo = function(name, _, _, done)
      asked[#asked + 1] = name
      return done "ENOENT" or true
    end
    resolve.look_up("nobody.has.example", function() end)
    assert.same({ "nobody.has.example." }, asked)
  end)
end)

describe("egress", function()
  policies.housekeeping(_ENV)

  local function new(text, parts)
    local set = type(text) == "string" and policies.with("egress", text)
      or assert(policies.new { egress = text })
    local all = { policy = set, id = "demo", dir = "/srv/demo" }
    all.allowed = allow.new { "a.example" }
    for key, value in pairs(parts or {}) do all[key] = value end
    return egress.new(all)
  end

  local function ask(it, request, work)
    return await.first(function(done)
      it:ask(request, function(found) found(work) end, function(verdict) done(nil, verdict) end)
      return true
    end)
  end

  local function connect(name, port) return { op = "connect", name = name, port = port or 443 } end

  it("asks once for a name and a port, and again when the list is another", function()
    local count = 0
    local it = new(function(request, default)
      count = count + 1
      return default(request)
    end)
    for _ = 1, 3 do assert.is_true(ask(it, connect "a.example").allow) end
    assert.equal(1, count)
    assert.is_false(ask(it, connect("a.example", 22)).allow)
    assert.is_false(ask(it, connect "b.example").allow)
    assert.equal(3, count)
    it:set_allowed(allow.new { "b.example" })
    assert.is_true(ask(it, connect "b.example").allow)
    assert.is_false(ask(it, connect "a.example").allow)
  end)

  it("hands over what there is to know, and takes an error for a no", function()
    local seen
    local it = new(function(request)
      seen = request
      error "oh"
    end, { fixed = true })
    local verdict = ask(it, connect("a.example", 80))
    assert.is_false(verdict.allow)
    assert.matches("policy failed: .*oh", verdict.reason)
    assert.same({ op = "connect", name = "a.example", port = 80, session = "demo",
      dir = "/srv/demo", fixed = true, listed = "a.example", fields = {} }, seen)
  end)

  it("keeps an answer that was about a command for that command", function()
    local it = new [[return function(request)
      if not request.command then return { need_command = true } end
      if request.command.argv and request.command.argv[1] == "git" then return { allow = true } end
      return { allow = false, reason = "only git" }
    end]]
    local git = { key = "exec 1", kind = "exec", argv = { "git", "fetch" } }
    local sh = { key = "exec 2", kind = "exec", argv = { "sh" } }
    assert.is_true(ask(it, connect "a.example", git).allow)
    assert.equal("only git", ask(it, connect "a.example", sh).reason)
    assert.equal("only git", ask(it, connect "a.example", nil).reason)
    assert.is_true(ask(it, connect "a.example", git).allow)
    local for_ever = new "return function() return { need_command = true } end"
    assert.matches("again", ask(for_ever, connect "a.example", git).reason)
  end)

  it("has a bound on policy's time, beyond which it is not asked", function()
    local count = 0
    local it = new(function()
      count = count + 1
      local before = os.clock()
      while os.clock() - before < 0.1 do end
      return { allow = true }
    end)
    local busy
    for i = 1, 100 do
      local verdict = ask(it, connect(i .. ".example"))
      if verdict.is_busy then
        busy = verdict
        break
      end
    end
    assert.is_false(busy.allow)
    assert.matches("too many names", busy.reason)
    assert.is_true(count >= 5 and count < 100)
    -- What is known already is no question.
    assert.is_true(ask(it, connect "1.example").allow)
  end)

  it("asks a person once for a name, and one question at a time", function()
    local questions, answers = {}, {}
    local it = new("return function() return { ask = true } end", {
      confirm = function(question, answer) questions[#questions + 1] = { question, answer } end,
    })
    -- That it may be resolved is no question.
    assert.is_true(ask(it, { op = "resolve", name = "a.example" }).allow)
    assert.equal(0, #questions)
    for _, it_is in ipairs { { "a.example", 443 }, { "a.example", 80 }, { "b.example", 443 } } do
      it:ask(connect(it_is[1], it_is[2]), nil, function(verdict)
        answers[#answers + 1] = it_is[1] .. " " .. tostring(verdict.allow)
      end)
    end
    await.sleep(0.01)
    assert.equal(1, #questions)
    assert.same({ op = "network", name = "a.example", port = 443, commands = {}, id = "demo",
      dir = "/srv/demo" }, questions[1][1])
    questions[1][2](true)
    await.sleep(0.01)
    assert.same({ "a.example true", "a.example true" }, answers)
    questions[2][2](false)
    await.sleep(0.01)
    assert.equal("b.example false", answers[3])
    assert.equal(2, #questions)
    local nobody = new "return function() return { ask = true } end"
    assert.matches("nobody can be asked", ask(nobody, connect "a.example").reason)
  end)

  it("asks a person about so many names, and no more", function()
    local questions = 0
    local it = new("return function() return { ask = true } end", {
      confirm = function(_, answer)
        questions = questions + 1
        answer(true)
      end,
    })
    for i = 1, 256 do assert.is_true(ask(it, connect(i .. ".example")).allow) end
    assert.matches("256 names were asked about", ask(it, connect "one.more.example").reason)
    assert.is_true(ask(it, connect("7.example", 80)).allow)
    assert.equal(256, questions)
  end)
end)

describe("refusals", function()
  it("are kept once for each name and port of a work, and not more than there may be", function()
    local list = denied.new()
    local entry = { name = "a.example", port = 443, by = "egress.lua:1", reason = "no" }
    assert.is_true(list:add("exec 1", entry))
    assert.is_false(list:add("exec 1", entry))
    assert.is_true(list:add("exec 2", entry))
    assert.same({ entry }, list:of "exec 1")
    assert.same({}, list:of "exec 3")
    for i = 1, 100 do
      list:add("exec 1", { name = i .. ".example", by = "egress.lua:1", reason = "no" })
    end
    assert.equal(denied.MOST, #list:take "exec 1")
    assert.same({}, list:of "exec 1")
    for i = 1, denied.MOST_WORKS do list:add("t" .. i, entry) end
    assert.same({}, list:of "exec 2")
    assert.equal(1, #list:of "t1")
  end)

  it("name what allow would have to hold", function()
    local function words(name, port)
      return denied.words { name = name, port = port, by = "egress.lua:1", reason = "no" }
    end
    assert.matches("--allow a.example,", words "a.example", 1, true)
    assert.matches("--allow a.example:22,", words("a.example", 22), 1, true)
    assert.matches("--allow [fd00::1]:22,", words("fd00::1", 22), 1, true)
  end)
end)

describe("connections in the audit log", function()
  it("are so many, and the others are counted", function()
    local it = logged.new()
    for _ = 1, logged.MOST do assert.is_true(it:has_place()) end
    assert.is_nil(it:left_out())
    local told = 0
    for _ = 1, 5000 do told = told + (it:has_place() and 1 or 0) end
    local left_out = it:left_out()
    assert.equal(5000, told + left_out)
    assert.is_true(left_out > 4000)
    assert.is_nil(it:left_out())
    it.counted = it.counted - 10
    for _ = 1, 10 * logged.A_SECOND do assert.is_true(it:has_place()) end
  end)
end)

describe("the files of a session's network", function()
  it("are what the container's resolver reads, whoever's umask it is", function()
    local dir = temp.dir()
    local made = assert(files.make(dir, "ab12"))
    assert.equal("nameserver 198.18.0.1\noptions ndots:0 timeout:2 attempts:2\n",
      temp.read(made.resolv))
    assert.equal(292, assert(uv.fs_stat(made.hosts)).mode & 292)
    assert.matches("^127.0.0.1 localhost\n", temp.read(made.hosts))
    local before = assert(uv.fs_stat(made.resolv)).ino
    assert(files.tell_resolver(dir, "ab12", "listeners"))
    assert.equal("nameserver 127.0.0.1\noptions ndots:0 timeout:2 attempts:2\n",
      temp.read(made.resolv))
    -- The container has that very file mounted.
    assert.equal(before, assert(uv.fs_stat(made.resolv)).ino)
  end)

  it("remember the list, of that container only", function()
    local dir = temp.dir()
    assert(files.keep(dir, "ab12", { allow = { "a.example" }, fixed = true }))
    assert.same({ allow = { "a.example" }, fixed = true }, files.recall(dir, "ab12"))
    assert.is_nil(files.recall(dir, "cd34"))
    assert.is_nil(files.recall(dir, nil))
    assert(files.keep(dir, "ab12", { allow = {} }))
    assert.same({ allow = {} }, files.recall(dir, "ab12"))
    for _, text in ipairs { "", "{", "[]", '{"allow":"x"}', '{"allow":["a b"]}', '{"x":1}' } do
      temp.write(dir .. "/ab12.network", text, "600")
      assert.is_nil(files.recall(dir, "ab12"), text)
    end
  end)
end)
