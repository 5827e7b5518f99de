-- Each name that a session with `network = { allow = { ... } }` reaches for: allow it or not, and
-- where to connect to.
--
-- Asked when a name is resolved in the container, when something connects to it, and when the
-- program that holds the session wants one more allowed. The answer is kept for each name and port,
-- and for as long as the session is open in this process. `request` holds:
--   op: "resolve" (port is nil: is there any that may be reached?), "connect", or "allow",
--   name (in lower case; of a connection to an address that was not resolved the address, and then
--   is_address is true), port, session (its id), dir,
--   listed (the entry of the session's list that holds it; nil: none does),
--   fixed (true: the sandbox policy gave the session another list than was asked for),
--   command (only after need_command: { argv, kind, id } of what connects, as far as it is known),
--   fields = what the calling program set in its `policy` table.
-- The answer is one of
--   { allow = true, dial = "127.0.0.1:8443" }   dial: this address, perhaps with a port, instead of
--     what the name resolves to. Without it the name is resolved on this machine, and an address
--     that is not public is refused, unless the session's list has an entry for it.
--   { allow = false, reason = "..." }
--   { ask = true }            whoever started the session is asked, once for a name
--   { need_command = true }   asked again, with `command`; that answer is kept for that command

return function(request)
  if request.op == "allow" then
    -- Whoever holds the session may have more, unless the sandbox policy chose the list.
    if not request.fixed then return { allow = true } end
    return { allow = false, reason = "the sandbox policy chose what this session reaches" }
  end
  if request.listed then return { allow = true } end
  return { allow = false, reason = "it is not among the names that this session may reach" }
end
