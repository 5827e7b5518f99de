--- A busted helper for the sanitised build: the sanitiser is loaded into this process, not
--- into the programs that it starts.
local uv = require "luv"

uv.os_unsetenv "LD_PRELOAD"

-- Policy's bound is in the processor's time, of which the sanitiser takes several times as much.
local policy_env = require "axosandbox.policy.env"
policy_env.TIME = policy_env.TIME * 10
