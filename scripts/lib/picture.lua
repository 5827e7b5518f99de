--- axolua scripts/lib/picture.lua DOCUMENT DIR [HEADING...]: runs the commands that a document shows
--- beneath these headings (all of them by default), in a directory, and prints the terminal as it
--- then looks, as SVG. So the picture in README.md is made, in a directory that holds hello.lua alone,
--- on a machine without other sessions:
---
---     axolua scripts/lib/picture.lua README.md DIR 'Run something in a box' 'Keep a session' \
---       'A development server' > scripts/guide/session.svg
local axo = require "axosandbox"

local WIDTH, LINE, LEFT, TOP, CHARACTER = 100, 18, 16, 44, 8.43
local FONT = "ui-monospace, Menlo, Consolas, monospace"
local ROW = '<text x="%d" y="%d"><tspan fill="%s">%s</tspan><tspan fill="%s">%s</tspan></text>'
local COLOURS = { prompt = "#7ee787", command = "#e6edf3", output = "#9da7b3" }

local document, dir = arg[1], arg[2]
local wanted = {}
for i = 3, #arg do wanted[arg[i]] = true end

local function steps()
  local list, heading, is_console = {}, nil, false
  for line in io.lines(document) do
    heading = line:match "^#+ (.*)$" or heading
    if line:find "^```" then is_console = line == "```console" end
    local command = is_console and line:match "^%$ (.*)$"
    if command and (not next(wanted) or wanted[heading]) then list[#list + 1] = command end
  end
  return list
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function output_of(command)
  local pipe <close> = assert(io.popen(("cd %s && { %s; } 2>&1"):format(quote(dir), command)))
  return pipe:read "a"
end

-- A line that is too long goes on in the next one, as on a terminal.
local function add(rows, kind, text)
  repeat
    rows[#rows + 1] = { kind = kind, text = text:sub(1, WIDTH) }
    text = text:sub(WIDTH + 1)
  until text == ""
end

local function run(list)
  local rows = {}
  for _, command in ipairs(list) do
    add(rows, "command", "$ " .. command)
    local text = axo.text.escape_lines(output_of(command))
    text = text:gsub(dir:gsub("%p", "%%%0"), "/some/project")
    for line in text:gmatch "[^\n]+" do add(rows, "output", line) end
  end
  return rows
end

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function svg(rows)
  local width, height = math.ceil(WIDTH * CHARACTER) + 2 * LEFT, TOP + #rows * LINE + 8
  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">')
      :format(width, height, width, height),
    '<title>axolua on a terminal</title>',
    ('<rect width="%d" height="%d" rx="8" fill="#0d1117"/>'):format(width, height),
    '<circle cx="20" cy="18" r="6" fill="#ff5f57"/><circle cx="40" cy="18" r="6" fill="#febc2e"/>'
      .. '<circle cx="60" cy="18" r="6" fill="#28c840"/>',
    ('<g font-family="%s" font-size="14" xml:space="preserve">'):format(FONT),
  }
  for i, row in ipairs(rows) do
    local text, y = row.text, TOP + i * LINE - 4
    local prompt = row.kind == "command" and text:match "^%$ " or ""
    out[#out + 1] = ROW:format(LEFT, y, COLOURS.prompt, prompt, COLOURS[row.kind],
      escape(text:sub(#prompt + 1)))
  end
  out[#out + 1] = "</g></svg>\n"
  return table.concat(out, "\n")
end

io.write(svg(run(steps())))
