--- A busted helper for the sanitised build: the sanitiser is loaded into this process, not
--- into the programs that it starts.
local uv = require "luv"

uv.os_unsetenv "LD_PRELOAD"
