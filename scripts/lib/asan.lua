--- A busted helper for the sanitised build: the sanitiser is loaded into this process, not
--- into the programs that it starts.
local uv = require "luv"

uv.os_unsetenv "LD_PRELOAD"

-- Policy's bound is in the processor's time, of which the sanitiser takes several times as much.
local policy_box = require "axosandbox.policy.box"
policy_box.TIME = policy_box.TIME * 10
