-- What is installed into a fresh container before the session can use it.
--
-- The default image is Alpine Linux, which brings almost nothing: this adds what developers
-- expect. It happens only where there is a network, and a failure is only a warning. The result
-- is kept as a local image, so that the next session of the same image starts at once.
--
-- Asked once, after the container has started. `request` holds: image, reference = its parts
-- { registry, repository, tag, digest }, network ("bridge", "none", or "names": then nothing is
-- installed, but what an earlier session had installed is used), embedded (true: the image that this
-- machine built for itself, which has no package manager), fields.
-- The answer: { run, commands, timeout, cache, key }. The commands run as root.

local PACKAGES = {
  "bash", "build-base", "ca-certificates", "coreutils", "curl", "diffutils", "file",
  "findutils", "git", "grep", "jq", "less", "openssh-client", "patch", "procps", "sed", "tar",
  "tzdata", "unzip", "xz",
}

-- Names the kept image. Change it whenever the commands change.
local KEY = "alpine-dev-1"

-- Seconds for all commands together.
local TIMEOUT = 300

local function is_alpine(reference)
  return reference ~= nil and reference.registry == "docker.io"
    and reference.repository == "library/alpine" and reference.tag == "3.20"
    and not reference.digest
end

return function(request)
  local wanted = request.network ~= "none" and not request.embedded
    and is_alpine(request.reference)
  if not wanted then
    return { run = false, commands = {}, timeout = TIMEOUT, cache = false }
  end
  return {
    run = true,
    commands = { "apk add --no-cache " .. table.concat(PACKAGES, " ") },
    timeout = TIMEOUT,
    cache = true,
    key = KEY,
  }
end
