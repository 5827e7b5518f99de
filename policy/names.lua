-- Lists of names, by which a session's network is written down shortly: "@github" in
-- `network = { allow = { ... } }` stands for what is here.
--
-- Asked once for each list, when a session starts. `request` holds: list (its name without the @),
-- fields = what the calling program set in its `policy` table. The answer is { names = { ... } }:
-- entries as in `allow`, and no other list. A list without names is an error for who asked for it.
--
-- Which package registries and mirrors a machine may use is for whoever looks after it to say, so
-- their lists are empty here. Fill them in a names.lua of your own; README.md beside this file
-- shows how.

local LISTS = {
  -- Repositories, by https and ssh, and what its pages and releases are loaded from.
  github = {
    "github.com", "github.com:22", "ssh.github.com", "api.github.com", "codeload.github.com",
    "raw.githubusercontent.com", "objects.githubusercontent.com",
    "release-assets.githubusercontent.com", "media.githubusercontent.com",
  },
  node = {},
  python = {},
  debian = {},
  alpine = {},
  rust = {},
  go = {},
}

return function(request)
  return { names = LISTS[request.list] or {} }
end
