--- The C side is in layers: a file calls what lies below it, and what is called back was handed down
--- as a function. So no two files of one program take names from each other, by whatever way round.

-- Circles that are wanted: the files of each, in order and with blanks between, to the README that
-- says why.
local REASONS = {}

-- What is linked into one program.
local PROGRAMS = {
  { "core/*.c", "core/base/*.c", "core/argv/*.c", "core/podman/*.c", "core/process/*.c",
    "core/link/*.c", "core/floor/*.c", "core/screen/*.c", "core/net/*.c" },
  { "core/guest/*.c" },
  { "core/netns/*.c" },
  { "core/search/*.c", "core/guest/walk.c" },
  { "bindings/c/*.c" },
}

local function files_of(patterns)
  local listed <close> = assert(io.popen("ls " .. table.concat(patterns, " ")))
  local files = {}
  for path in listed:lines() do files[#files + 1] = path end
  return files
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- Where what begins at `at` is over: a comment, a string, a character; else nil.
local function skipped(text, at)
  local pair = text:sub(at, at + 1)
  if pair == "/*" then return text:find("*/", at + 2, true) + 1 end
  if pair == "//" then return text:find("\n", at, true) - 1 end
  local quote = text:sub(at, at)
  if quote == "/" then return nil end
  local last = at + 1
  while text:sub(last, last) ~= quote do
    last = last + (text:sub(last, last) == "\\" and 2 or 1)
  end
  return last
end

-- C without comments, directives and what is quoted.
local function code_of(text)
  local parts, from, at = {}, 1, 1
  while true do
    at = text:find("[\"'/]", at)
    if not at then break end
    local last = skipped(text, at)
    if last then
      parts[#parts + 1] = text:sub(from, at - 1) .. " "
      from = last + 1
    end
    at = (last or at) + 1
  end
  parts[#parts + 1] = text:sub(from)
  local code = ("\n" .. table.concat(parts)):gsub("\\\n", " ")
  return (code:gsub("\n[ \t]*#[^\n]*", ""))
end

-- The name that a declaration of a file defines, and whether the file keeps it to itself.
local function defined_by(declaration)
  local plain = declaration:gsub("__attribute__%s*%b()", ""):gsub("_Noreturn", "")
    :gsub("^%s+", "")
  if plain:find "^typedef%s" or plain:find "^extern%s" or plain:find "^_Static_assert" then
    return
  end
  local name = plain:find "%)%s*{$" and plain:match "([%a_][%w_]*)%s*%("
  if not name and not plain:find "%(" then
    name = plain:match "^[%w_]+[%s%*][%w_%s%*]-([%a_][%w_]*)%s*[%[=;]"
  end
  return name, plain:find "^static%s" ~= nil
end

-- What a file gives to others, and what it keeps: functions and variables.
local function names_of(code)
  local given, kept = {}, {}
  for declaration in code:gsub("%b{}", "{}"):gmatch "[^;{}]+[;{]" do
    local name, is_kept = defined_by(declaration)
    if name then (is_kept and kept or given)[name] = true end
  end
  return given, kept
end

-- Each file's arrows: to which files, by which names.
local function arrows_of(files)
  local home, codes, own = {}, {}, {}
  for _, file in ipairs(files) do
    codes[file] = code_of(read(file))
    local given, kept = names_of(codes[file])
    own[file] = kept
    for name in pairs(given) do home[name] = file end
  end
  home.main = nil -- nobody calls it
  local arrows = {}
  for _, file in ipairs(files) do
    arrows[file] = {}
    for before, name in codes[file]:gmatch "([^%w_%s]?)%s*([%a_][%w_]*)" do
      local to = home[name]
      if to and to ~= file and before ~= "." and before ~= ">" and not own[file][name] then
        arrows[file][to] = arrows[file][to] or {}
        arrows[file][to][name] = true
      end
    end
  end
  return arrows
end

local function reached_from(arrows, start)
  local seen, todo = {}, { start }
  while #todo > 0 do
    for to in pairs(arrows[table.remove(todo)]) do
      if not seen[to] then
        seen[to] = true
        todo[#todo + 1] = to
      end
    end
  end
  return seen
end

-- The circles, each as its files in order.
local function circles_of(files, arrows)
  local reached, circles, taken = {}, {}, {}
  for _, file in ipairs(files) do reached[file] = reached_from(arrows, file) end
  for _, file in ipairs(files) do
    if reached[file][file] and not taken[file] then
      local circle = {}
      for _, other in ipairs(files) do
        if reached[file][other] and reached[other][file] then
          circle[#circle + 1] = other
          taken[other] = true
        end
      end
      circles[#circles + 1] = circle
    end
  end
  return circles
end

-- A circle in words: which names tie its files.
local function words_of(circle, arrows)
  local lines = { #circle .. " files" }
  for _, from in ipairs(circle) do
    for _, to in ipairs(circle) do
      local names = {}
      for name in pairs(arrows[from][to] or {}) do names[#names + 1] = name end
      table.sort(names)
      if #names > 0 then
        lines[#lines + 1] = ("%s -> %s: %s"):format(from, to, table.concat(names, " "))
      end
    end
  end
  return table.concat(lines, "\n  ")
end

describe("the C side", function()
  for _, patterns in ipairs(PROGRAMS) do
    it("has no circle without a reason in " .. patterns[1], function()
      local files = files_of(patterns)
      assert.is_true(#files > 1)
      local arrows = arrows_of(files)
      for _, circle in ipairs(circles_of(files, arrows)) do
        local readme = REASONS[table.concat(circle, " ")]
        assert(readme, words_of(circle, arrows))
        assert.truthy(read(readme):find("circle", 1, true), readme .. " gives no reason")
      end
    end)
  end
end)

describe("the measure of circles", function()
  local made

  before_each(function() made = { os.tmpname(), os.tmpname() } end)
  after_each(function()
    for _, path in ipairs(made) do os.remove(path) end
  end)

  local function count(first, second)
    for i, text in ipairs { first, second } do
      local file <close> = assert(io.open(made[i], "w"))
      file:write(text)
    end
    return #circles_of(made, arrows_of(made))
  end

  it("sees what is called, what is handed on, and what is shared", function()
    local first = "struct g state = {1};\nint up(void) {\n  down();\n  return 1;\n}\n"
    for _, body in ipairs { "up();", "ring(&b, up);", "state.x++;" } do
      assert.equal(1, count(first, "void down(void) { " .. body .. " }\n"), body)
    end
  end)

  it("sees no more than that", function()
    local first = "#define UP(a) \\\n  up(a)\nint up(void) { return down(); }\n"
    for _, second in ipairs {
      "/* up() */ // up()\nint down(void) { return puts(\"up() \\\" up\") + '\"'; }\n",
      "static int up(void) { return 1; }\nint down(void) { return up(); }\n",
      "int down(void) { return it->up + it.up; }\n",
    } do
      assert.equal(0, count(first, second), second)
    end
  end)
end)
