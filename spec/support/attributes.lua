--- ACLs and attributes of files, as the tools of the system have them.
local proc = require "spec.support.proc"

local attributes = {}

--- Gives a file an ACL that shuts its group out, whatever the bits of its mode say, and an
--- attribute of its user.
function attributes.give(path)
  proc.must { "setfacl", "-m", "u:65000:rw,g::---,m::rw", path }
  proc.must { "setfattr", "-n", "user.origin", "-v", "elsewhere", path }
end

--- All that a file has of them, for comparing.
function attributes.of(path)
  return proc.must { "getfacl", "-n", "-p", "-c", path }
    .. proc.must { "getfattr", "-d", "-m", "^user[.]|^security[.]capability", "--only-values",
      "--absolute-names", path }
end

return attributes
