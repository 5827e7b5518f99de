-- @runs native-root portable-user
-- Handles on a part of a session: variants of a project in git worktrees, one beside the other.
local uv = require "luv"
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local temp = e2e.temp

describe("a handle on a subtree of a session", function()
  e2e.housekeeping(_ENV)

  local sb, tree, root, sub
  setup(function()
    sb = e2e.start()
    root = sb:root()
    sub = root .. "/a"
    e2e.proc.must { "mkdir", "-p", sub .. "/in/deep", root .. "/b" }
    temp.write(root .. "/f", "the root's")
    temp.write(root .. "/b/f", "b's needle")
    temp.write(sub .. "/f", "a's needle")
    temp.write(sub .. "/in/g", "deep needle")
    assert(uv.fs_symlink("in", sub .. "/good"))
    assert(uv.fs_symlink("../b", sub .. "/up"))
    assert(uv.fs_symlink(root .. "/b", sub .. "/absolute"))
    assert(uv.fs_symlink("../b/f", sub .. "/file"))
    tree = assert(axo.attach(sb:container(), sub))
  end)
  teardown(function()
    tree:stop()
    sb:stop()
  end)

  local function fails(code, ...)
    local value, err = ...
    assert.is_nil(value)
    assert.equal(code, err.code, tostring(err))
    return err
  end

  -- A search says of such a place that it is none to search in.
  local function is_no_place(...)
    local found, err = ...
    assert.is_nil(found)
    assert.is_truthy(({ OUTSIDE = true, NOT_A_DIRECTORY = true, NOT_A_FILE = true })[err.code],
      tostring(err))
  end

  -- The ways to one place; each operation is a podman client where there is no guest.
  local function some(ways)
    return sb:path() == "native" and ways or { ways[1] }
  end

  local function refused(handle)
    for _, op in ipairs {
      { "read_file", "f" }, { "write_file", "f", "x" },
      { "write_file", "p/f", "x", { parents = true } },
      { "edit_file", "f", "a", "b" }, { "list_dir" }, { "stat", "f" }, { "glob", "*" },
      { "grep", "needle" }, { "mkdir", "d" }, { "remove", "f" }, { "rename", "f", "g" },
      { "exec", { "pwd" } }, { "spawn_background", "pwd" }, { "spawn_pty", "pwd" },
    } do
      local err = fails("NO_ROOT", handle[op[1]](handle, table.unpack(op, 2)))
      assert.matches(handle:root(), tostring(err), 1, true)
      assert.is_string(err.hint)
    end
  end

  local function out(handle, argv, opts)
    return assert(handle:exec(argv, opts)).stdout
  end

  it("goes the way that its session goes", function()
    assert.equal(sb:path(), tree:path())
    assert.equal(sub, tree:root())
  end)

  it("has its own files in every operation", function()
    assert.equal("a's needle", assert(tree:read_file "f"))
    assert.equal("a's needle", assert(tree:read_file(sub .. "/f")))
    assert.equal("deep needle", assert(tree:read_file "good/g"))
    assert(tree:write_file("new", "1"))
    assert.equal("1", temp.read(sub .. "/new"))
    assert.equal(1, assert(tree:edit_file("new", "1", "2")))
    assert(tree:rename("new", "in/newer"))
    assert.equal("2", temp.read(sub .. "/in/newer"))
    assert.equal(1, assert(tree:stat "in/newer").size)
    assert(tree:remove "in/newer")
    assert(tree:write_file("x/y/z", "3", { parents = true }))
    assert(tree:mkdir "x/d")
    assert(tree:mkdir("x/e/f", { parents = true }))
    assert.equal("directory", uv.fs_stat(sub .. "/x/e/f").type)
    assert(tree:remove("x", { recursive = true }))
    assert.is_nil(uv.fs_stat(sub .. "/x"))
    assert.is_nil(uv.fs_stat(root .. "/x"))
    local names = {}
    for _, entry in ipairs(assert(tree:list_dir())) do names[#names + 1] = entry.name end
    assert.same({ "absolute", "f", "file", "good", "in", "up" }, names)
    assert.same({ "in/deep", "in/g" }, assert(tree:glob "in/*"))
    local found = {}
    for _, match in ipairs(assert(tree:grep "needle")) do found[#found + 1] = match.path end
    assert.same({ "f", "in/g" }, found)
  end)

  it("leads to nothing beside it: not by dots, not absolutely, not by links", function()
    for _, path in ipairs { "../f", root .. "/b/f", "/etc/passwd", "in/../../f", root } do
      fails("OUTSIDE", tree:read_file(path))
      fails("OUTSIDE", tree:write_file(path, "x"))
      fails("OUTSIDE", tree:remove(path))
      fails("OUTSIDE", tree:rename("f", path))
    end
    for _, path in ipairs(some { "up/f", "absolute/f", "file" }) do
      fails("OUTSIDE", tree:read_file(path))
      fails("OUTSIDE", tree:write_file(path, "x"))
      fails("OUTSIDE", tree:write_file(path, "x", { parents = true }))
      fails("OUTSIDE", tree:edit_file(path, "a", "b"))
      fails("OUTSIDE", tree:stat(path))
    end
    for _, path in ipairs(some { "up", "absolute" }) do
      fails("OUTSIDE", tree:list_dir(path))
      is_no_place(tree:grep("needle", { path = path }))
      fails("OUTSIDE", tree:mkdir(path .. "/d"))
      fails("OUTSIDE", tree:mkdir(path .. "/d/e", { parents = true }))
      fails("OUTSIDE", tree:remove(path .. "/f"))
      fails("OUTSIDE", tree:rename("f", path .. "/f"))
      fails("OUTSIDE", tree:rename(path .. "/f", "stolen"))
    end
    is_no_place(tree:glob "up/*")
    assert.equal("b's needle", temp.read(root .. "/b/f"))
    assert.equal("the root's", temp.read(root .. "/f"))
    assert.equal("a's needle", temp.read(sub .. "/f"))
  end)

  it("begins its commands, tasks and terminals inside", function()
    assert.equal(sub .. "\n", out(tree, { "pwd" }))
    assert.equal(sub .. "/in\n", out(tree, { "pwd" }, { cwd = "in" }))
    assert.equal(sub .. "/in\n", out(tree, { "pwd", "-P" }, { cwd = sub .. "/good" }))
    for _, cwd in ipairs { "..", "/tmp", root, root .. "/b", "good/../../b" } do
      fails("OUTSIDE", tree:exec({ "pwd" }, { cwd = cwd }))
    end
    for _, cwd in ipairs(some { "up", "absolute" }) do
      fails("OUTSIDE", tree:exec({ "pwd" }, { cwd = cwd }))
      fails("OUTSIDE", tree:exec_stdin({ "cat" }, "x", { cwd = cwd }))
      fails("OUTSIDE", tree:spawn_background("pwd", { cwd = cwd }))
      fails("OUTSIDE", tree:spawn_pty("pwd", { cwd = cwd }))
    end
    fails("NO_DIRECTORY", tree:exec({ "pwd" }, { cwd = "none" }))
    local task = assert(tree:spawn_background("pwd", { cwd = "in" }))
    assert(task:wait())
    assert.equal(sub .. "/in\n", task:log())
    local term = assert(tree:spawn_pty "pwd")
    assert(term:wait())
    assert.equal(sub .. "\r\n", term:snapshot())
    -- Where they go from there is theirs: git's files of a worktree lie outside.
    assert.equal("b's needle", out(tree, { "cat", "../b/f" }))
  end)

  it("takes what is asked of a command before it has begun", function()
    local err, result
    local handle = tree:exec({ "cat" }, { stdin = "pipe" }, function(...) err, result = ... end)
    handle:write "early "
    handle:write "late"
    handle:close_stdin()
    e2e.eventually(function() return err or result end, "cat has ended")
    assert.equal("early late", assert(result, err).stdout)
    result = nil
    handle = tree:exec({ "sleep", "1000" }, {}, function(...) err, result = ... end)
    handle:cancel()
    e2e.eventually(function() return err or result end, "sleep was cancelled")
    assert.is_true(assert(result, err).cancelled)
    result = nil
    handle = tree:exec({ "sh", "-c", "kill -STOP $$; sleep 1000" }, { cwd = "up" },
      function(...) err, result = ... end)
    handle:signal "TERM"
    e2e.eventually(function() return err or result end, "it was refused")
    assert.equal("OUTSIDE", err.code)
    assert.is_nil((handle:write "x"))
  end)

  it("is none any more once a link has its place, and is one again when that has gone", function()
    assert(uv.fs_rename(sub, root .. "/a.was"))
    fails("NO_ROOT", tree:read_file "f")
    fails("NO_ROOT", tree:exec { "pwd" })
    assert(uv.fs_symlink("b", sub))
    refused(tree)
    assert(uv.fs_unlink(sub))
    assert(uv.fs_symlink("a.was", sub))
    fails("NO_ROOT", tree:list_dir())
    assert(uv.fs_unlink(sub))
    temp.write(sub, "a file")
    fails("NO_ROOT", tree:read_file "f")
    assert(uv.fs_unlink(sub))
    e2e.proc.must { "mkdir", sub }
    temp.write(sub .. "/f", "made again")
    assert.equal("made again", assert(tree:read_file "f"))
    assert.equal("made again", out(tree, { "cat", "f" }))
    assert(tree:remove "f")
    assert(uv.fs_rmdir(sub))
    assert(uv.fs_rename(root .. "/a.was", sub))
    assert.equal("a's needle", assert(tree:read_file "f"))
    assert.equal("b's needle", temp.read(root .. "/b/f"))
  end)

  it("is what a link led to when it was made", function()
    assert(uv.fs_symlink("a/in", root .. "/link"))
    local by_link <close> = assert(axo.attach(sb:container(), root .. "/link"))
    assert.equal(root .. "/link", by_link:root())
    assert.equal("deep needle", assert(by_link:read_file(root .. "/link/g")))
    assert.equal(sub .. "/in\n", out(by_link, { "pwd" }))
    assert(uv.fs_unlink(root .. "/link"))
    assert(uv.fs_symlink("b", root .. "/link"))
    assert.equal("deep needle", assert(by_link:read_file "g"))
  end)

  it("may lie elsewhere in the container, or not be there yet", function()
    local etc <close> = assert(axo.attach(sb:container(), "/etc"))
    assert.matches("^root:", assert(etc:read_file "passwd"))
    fails("OUTSIDE", etc:read_file(root .. "/f"))
    local all <close> = assert(axo.attach(sb:container(), "/"))
    assert.equal("the root's", assert(all:read_file(root .. "/f")))
    assert.equal("/tmp\n", out(all, { "pwd" }, { cwd = "/tmp" }))
    local later <close> = assert(axo.attach(sb:container(), root .. "/later"))
    fails("NO_ROOT", later:read_file "f")
    assert(sb:write_file("later/f", "there", { parents = true }))
    assert.equal("there", assert(later:read_file "f"))
  end)

  -- What is mounted stays mounted.
  it("and its session know when the session's directory is another one, or none", function()
    local opened <close> = assert(axo.open(sb:id()))
    assert(uv.fs_rename(root, root .. ".was"))
    refused(sb)
    assert(uv.fs_mkdir(root, 493))
    temp.write(root .. "/f", "of the new one")
    for _, handle in ipairs { sb, opened } do refused(handle) end
    local err = fails("NO_ROOT", tree:read_file "f")
    assert.matches(root .. " was removed or moved, and another one is in its place", tostring(err),
      1, true)
    assert(uv.fs_unlink(root .. "/f"))
    assert(uv.fs_rmdir(root))
    assert(uv.fs_symlink(root .. ".was", root))
    assert.equal("the root's", assert(sb:read_file "f"))
    assert(uv.fs_unlink(root))
    assert(uv.fs_rename(root .. ".was", root))
    assert.equal("the root's", assert(opened:read_file "f"))
    assert.equal("a's needle", assert(tree:read_file "f"))
  end)

  for _, style in ipairs(e2e.styles) do
    it("is used " .. style.name, function()
      assert.equal(sub .. "\n", assert(style.call(tree.exec, tree, { "pwd" }, {})).stdout)
      local value, err = style.call(tree.exec, tree, { "pwd" }, { cwd = "up" })
      assert.is_nil(value)
      assert.equal("OUTSIDE", err.code)
      assert.equal("a's needle", assert(style.call(tree.read_file, tree, "f", {})))
    end)
  end
end)
