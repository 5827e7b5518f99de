--- sb:grep against `grep -rnI` on the same tree in the same container. By hand:
---
---   build/axolua spec/bench/search.lua [FILES [ROUNDS]]
---
--- Most of its time is grep's and its own on 24 searches of the whole tree: a minute or two with
--- 60000 files, and longer where others are at work; AXO_DEADLINE_S=240 gives its image more time
--- to be made. The tree is as warm as the machine keeps it.
--- Figures are ratios of two things measured alternately, and the milliseconds of the first hundred
--- matches of a common word. Exits with 1 when a goal is missed.
local here = debug.getinfo(1, "S").source:sub(2):match "^(.*)/spec/bench/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path

local uv = require "luv"
local axo = require "axosandbox"
local images = require "spec.support.images"
local janitor = require "spec.support.janitor"
local temp = require "spec.support.temp"

local FILES, ROUNDS = tonumber((arg or {})[1]) or 60000, tonumber((arg or {})[2]) or 3
local GOAL, FIRST_MS = 1.5, 200

-- Files as of a program, 100 in a directory.
local MAKE = [[
import os, sys
top, count = sys.argv[1], int(sys.argv[2])
body = ''.join('import module%d\nlocal function name_%d(a, b) return a + %d end\n' % (i, i, i)
               for i in range(40))
for i in range(count):
    if i % 100 == 0:
        d = os.path.join(top, 'd%04d' % (i // 1000), 'e%04d' % (i // 100))
        os.makedirs(d)
    with open(os.path.join(d, 'f%05d.lua' % i), 'w') as f:
        f.write(body)
        f.write('needle_%d here\n' % i)
]]

local function now() return uv.hrtime() / 1e6 end

local function median(list)
  table.sort(list)
  return list[#list // 2 + 1]
end

local function timed(fn)
  local before = now()
  fn()
  return now() - before
end

local CASES = {
  { name = "a text that is in one file", pattern = "needle_4711 here" },
  { name = "an expression with a text in it", pattern = "needle_471[0-9] h" },
  { name = "an expression without one", pattern = "(needle|thread)_47(1|2)1 " },
  { name = "whatever the case", pattern = "NEEDLE_4711 here", flag = "i" },
}

local function compare(sb, case)
  local ours, theirs = {}, {}
  local grep = "grep -rnI -E" .. (case.flag or "") .. " -e '" .. case.pattern .. "' . >/dev/null"
  for i = 1, ROUNDS do
    ours[i] = timed(function()
      assert(sb:grep(case.pattern, { ignore_case = case.flag ~= nil, max = 100000 }))
    end)
    theirs[i] = timed(function()
      local result = assert(sb:exec({ "sh", "-c", grep }, { timeout = 300 }))
      assert(result.code <= 1, result.stderr)
    end)
  end
  local ratio = median(ours) / median(theirs)
  print(("%-36s %.2f of grep -rnI (%.0f ms)"):format(case.name, ratio, median(ours)))
  return ratio <= GOAL
end

local function main()
  io.stdout:setvbuf "line"
  local dir = temp.dir()
  local make = temp.write(temp.dir() .. "/make.py", MAKE)
  assert(os.execute(("python3 %s %s %d"):format(make, dir, FILES)))
  local sb <close> = assert(axo.start {
    id = "axotest-bench-" .. temp.token(), dir = dir, image = images.debian(),
    policy = { network = "none", allow_untrusted_image = true },
  })
  print(("%d files, the %s path"):format(FILES, sb:path()))
  assert(sb:grep("import", { max = 1 }))
  local is_met = true
  for _, case in ipairs(CASES) do is_met = compare(sb, case) and is_met end
  local first = {}
  for i = 1, ROUNDS do
    first[i] = timed(function() assert(#assert(sb:grep("import", { max = 100 })) == 100) end)
  end
  print(("the first 100 matches of a common word: %.1f ms"):format(median(first)))
  return is_met and median(first) < FIRST_MS
end

local mark = janitor.mark()
local ok, met = xpcall(main, debug.traceback)
janitor.sweep(mark)
if not ok then io.stderr:write(met, "\n") end
os.exit(ok and met and 0 or 1)
