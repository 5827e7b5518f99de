--- axolua scripts/man/render.lua: prints axolua(1).
local directory = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = ("%s/../?.lua;%s/../?/init.lua;%s"):format(directory, directory, package.path)

local axo = require "axosandbox"
local manual = require "axolua.document.manual"

local file = assert(io.open(directory .. "/axolua.1.in"))
io.write(manual.render(file:read "a", axo.version))
file:close()
