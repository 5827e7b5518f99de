--- axolua precompile.lua OUT: compiles the modules of the installation that this axolua belongs to.
local host = require "axolua.host"
local uv = require "luv"

local bytecode = assert(loadfile(host.prefix .. "/share/lua/5.4/axosandbox/axolua/bytecode.lua"))()

local TREES = {
  { dir = "share/lua/5.4", below = "axosandbox" },
  { dir = "share/axosandbox/scripts", below = "axolua" },
}

-- Somebody else's, in Lua, that each command needs. Another machine may have another one: then its
-- text is another, and it is parsed.
local OTHERS = { "argparse" }

local modules = {}

local function add(tree, below)
  local dir = ("%s/%s/%s"):format(host.prefix, tree, below)
  for name, kind in uv.fs_scandir_next, assert(uv.fs_scandir(dir)) do
    local path = below .. "/" .. name
    if kind == "directory" then
      add(tree, path)
    elseif name:find "%.lua$" then
      local required = path:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
      modules[required] = tree .. "/" .. path
    end
  end
end

for _, tree in ipairs(TREES) do add(tree.dir, tree.below) end
for _, name in ipairs(OTHERS) do modules[name] = package.searchpath(name, package.path) end
bytecode.write(arg[1], host.prefix, modules, host.hash)
