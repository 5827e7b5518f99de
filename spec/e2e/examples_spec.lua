-- @runs native-root
-- Each example of the API reference is run. Where one ends in "--> words", it prints them.
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local reference = require "spec.support.reference"
local uv = require "luv"

-- It would touch what is none of ours: it only has to be Lua, which a unit spec sees to.
local NOT_RUN = {
  ["axo.reap_orphans"] = true, ["axo.images.make"] = true, ["axo.images.pull"] = true,
  ["axo.images.remove"] = true,
}
-- After these the session is no more.
local ENDS_IT = { ["sb:stop"] = true, ["sb:kill_all"] = true }

local DEVCONTAINER = '{ "image": "%s", "postCreateCommand": "true", "postAttachCommand": "true" }'
local MAIN = "-- TODO: say hello\nprint 'hello'\n"

local function expected_of(code)
  local words = {}
  for line in code:gmatch "%-%->%s(.-)%f[\n\0]" do words[#words + 1] = line:gsub("^%s", "") end
  return words
end

describe("the examples of the API reference", function()
  local dir, sb, state_dir
  teardown(function()
    axo.set_audit(nil)
    if sb then sb:stop() end
  end)
  e2e.housekeeping {
    setup = setup, before_each = before_each, after_each = after_each, teardown = teardown,
  }

  -- What an example finds there, made when it is first asked for.
  local MAKERS = {
    task = function(own) return assert(own.sb:spawn_background("cat", { stdin = true })) end,
    term = function(own)
      local term = assert(own.sb:spawn_pty { "sh" })
      while term:snapshot() == "" do axo.async.sleep(0.01) end
      return term
    end,
    following = function(own) return own.task:follow(function() end) end,
    h = function(own) return own.sb:exec({ "cat" }, { stdin = "pipe" }, function() end) end,
    policy = function() return assert(axo.policy.new { network = "none" }) end,
    forward = function(own) return assert(own.sb:forward { port = 3000, host_port = 0 }) end,
    subscription = function(own) return assert(own.sb:on_listen(function() end)) end,
    gate = function() return axo.async.gate() end,
    screen = function() return assert(axo.text.screen(24, 80, 100)) end,
    watch = function() return { close = function() end } end,
  }

  local function fresh()
    if sb then sb:stop() end
    dir = e2e.temp.dir "project"
    assert(uv.fs_mkdir(dir .. "/src", 493))
    e2e.temp.write(dir .. "/.devcontainer.json", DEVCONTAINER:format(e2e.images.base()))
    sb = e2e.start { dir = dir }
    state_dir = e2e.temp.dir()
  end

  local function with_image(opts) return axo.start(e2e.options(opts)) end

  local function load_with_image(at, opts)
    opts = opts or {}
    opts.policy = e2e.options({ policy = opts.policy }).policy
    return axo.devcontainer.load(at, opts)
  end

  local function environment(printed)
    local own = setmetatable({
      start = with_image,
      devcontainer = setmetatable({ load = load_with_image }, { __index = axo.devcontainer }),
    }, { __index = axo })
    local env = {
      axo = own, sb = sb,
      print = function(...)
        local words = table.pack(...)
        for i = 1, words.n do words[i] = tostring(words[i]) end
        printed[#printed + 1] = table.concat(words, "\t")
      end,
      io = { write = function() end, stderr = io.stderr },
    }
    return setmetatable(env, {
      __index = function(self, name)
        if not MAKERS[name] then return _G[name] end
        self[name] = MAKERS[name](self)
        return self[name]
      end,
    })
  end

  local function for_this_run(text)
    local names = {
      ["/some/project"] = dir, ["/some/state"] = state_dir, demo = sb:id(),
      example = e2e.new_id(),
    }
    for _, known in ipairs { "/some/project", "/some/state" } do
      text = text:gsub(known, names[known])
    end
    text = text:gsub("%f[%w]demo%f[%W]", names.demo)
    return (text:gsub('"example"', '"' .. names.example .. '"'))
  end

  local function run(example)
    if not sb or sb.is_stopped or ENDS_IT[example.name] then fresh() end
    e2e.temp.write(dir .. "/src/main.lua", MAIN)
    local code, printed, problem = for_this_run(example.code), {}, nil
    local chunk = assert(load(code, "=" .. example.name, "t", environment(printed)))
    local is_over = false
    axo.async.spawn(function()
      chunk()
      return true
    end, function(err) is_over, problem = true, err end)
    e2e.eventually(function() return is_over end, example.name)
    if ENDS_IT[example.name] then sb:stop() end
    return printed, problem, expected_of(code)
  end

  for _, example in ipairs(reference.examples()) do
    if not NOT_RUN[example.name] then
      it(("of %s runs"):format(example.name), function()
        local printed, problem, expected = run(example)
        assert.is_nil(problem, tostring(problem))
        if #expected > 0 then assert.same(expected, table.move(printed, 1, #expected, 1, {})) end
        e2e.listen()
        axo.set_audit(nil)
      end)
    end
  end
end)
