-- Part of retry.lua: finds the rule that fits podman's complaint. Its exit codes tell little; its
-- words tell more. What the words mean is in rules.lua.

-- ---- the rules -------------------------------------------------------------------------

local function has_any(text, texts)
  for _, wanted in ipairs(texts or {}) do
    if text:find(wanted, 1, true) then return true end
  end
  return false
end

-- What a pattern ends with: a text that has it not is told from others at once.
local tails = {}
local function tail_of(pattern)
  local tail = tails[pattern]
  if not tail then
    tail = pattern:reverse():match("^[%a :/]*"):reverse()
    if pattern:sub(-#tail - 1, -#tail - 1) == "%" then tail = tail:sub(2) end -- a class
    tails[pattern] = tail
  end
  return tail
end

local function has_like(text, patterns)
  for _, pattern in ipairs(patterns or {}) do
    if text:find(tail_of(pattern), 1, true) and text:find(pattern) then return true end
  end
  return false
end

-- The kernel's words for an errno, which other words could be taken for.
local ERRNO = {
  "invalid argument", "operation not supported", "operation not permitted",
  "function not implemented", "invalid cross%-device link", "device or resource busy",
  "file exists", "is a directory", "not a directory",
}

local function without_errno(text)
  for _, words in ipairs(ERRNO) do text = text:gsub("%f[%l]" .. words .. "%f[%L]", "") end
  return text
end

local function fits(rule, text, is_exec)
  if rule.exec and not is_exec then return false end
  if rule.bare then text = without_errno(text) end
  for _, wanted in ipairs(rule.all or {}) do
    if not text:find(wanted, 1, true) then return false end
  end
  if has_any(text, rule.none) then return false end
  if (rule.any or rule.like) and not (has_any(text, rule.any) or has_like(text, rule.like)) then
    return false
  end
  return not rule.also or has_any(text, rule.also)
end

-- A mount of many layers makes a long complaint, with its cause at the end. Matching takes time
-- that grows faster than the text.
local function shortened(text)
  if #text <= 6000 then return text end
  return text:sub(1, 3000) .. "\n" .. text:sub(-3000)
end

local function first_fit(rules, text, is_exec)
  if text == "" then return end
  for _, rule in ipairs(rules) do
    if fits(rule, text, is_exec) then return rule end
  end
end

-- ---- details ---------------------------------------------------------------------------

local function controller_of(text)
  local name = text:match "controller `(%l+)`" or text:match "[/`](%l+)%.[%l_.]+%f[:` ]"
    or text:match "/cgroup/(%l+)[/,]"
  local known = { memory = "MEMORY", pids = "PIDS", cpu = "CPU", cpuset = "CPUSET", io = "IO" }
  return known[name]
end

local function trouble_of(text)
  if text:find("refused", 1, true) then return "REFUSED" end
  if has_any(text, { "no such host", "misbehaving", "name resolution" }) then return "DNS" end
  if has_any(text, { "timeout", "timed out", "deadline exceeded" }) then return "TIMEOUT" end
  if has_any(text, { "x509", "certificate", "tls:", "https client" }) then return "TLS" end
  if text:find "status[^\n]*5%d%d" then return "HTTP_5XX" end
end

-- Where a published port stands. Any other number after a colon is something else.
local PORT_FORMS = {
  "failed to bind port (%d+)",
  "listen failed for %l+ %l+ port [^%s]-/?(%d+):",
  "failed to bind any port for '%-[tu] [^'\n]-(%d+)[:%-']",
  "privileged port (%d+)",
  "conflicting port mappings for host port (%d+)",
  "listen [tu][cd]p[46]? [^%s]*:(%d+): bind: ",
  "listen sctp[46]? [^%s]*:(%d+): bind: ",
  "proxy already running for %l+ on [^%s\"]*:(%d+)",
  "bind for [^%s]*:(%d+) failed",
  "cannot bind %l+ port [^%s]-(%d+):",
}

local function port_of(text)
  for _, form in ipairs(PORT_FORMS) do
    local port = tonumber(text:match(form))
    if port and port >= 1 and port <= 65535 then return port end
  end
end

local function answer(rule, text)
  local subclass = rule[2]
  if subclass == "@controller" then subclass = controller_of(text) end
  if subclass == "@network" then subclass = trouble_of(text) end
  return {
    class = rule[1],
    subclass = subclass or nil,
    port = rule[1] == "PORT_CONFLICT" and port_of(text) or nil,
    alternatives = rule.alternatives,
  }
end

-- What podman meant to try again.
local function retried(info)
  local texts = {}
  for line in info:gmatch "[^\n]+" do
    local text = line:match "^Failed, retrying in .-Error: (.*)$"
    if text then texts[#texts + 1] = text end
  end
  return table.concat(texts, "\n"):lower()
end

-- request.stderr is what podman printed, request.parts the same as it was read (by
-- axosandbox/base/text/complaint.lua): cause, error, plain, warning, info; request.exit_code how it
-- ended. The answer: { class, subclass, port, alternatives }. `port` only when the complaint names a published port;
-- `alternatives` when the same words have more than one cause.
return function(rules, request)
  local stderr = request.stderr or ""
  -- 255 is what `podman exec` ends with when it fails itself. A NUL is what the reader of an
  -- empty answer found; it is there in raw output and lost in a text that was copied.
  local is_exec = request.exit_code == 255 or stderr:find("\0", 1, true) ~= nil
  local rule = first_fit(rules.hidden, stderr:lower(), is_exec)
  if rule then return answer(rule, stderr:lower()) end
  local parts = request.parts
    or { cause = "", error = "", plain = stderr, warning = "", info = "" }
  local vague
  for _, level in ipairs { "cause", "error", "plain", "warning" } do
    local text = shortened(parts[level]:lower())
    rule = first_fit(rules.known, text, is_exec)
    if rule and not rule.vague then return answer(rule, text) end
    vague = vague or (rule and answer(rule, text))
  end
  if vague then return vague end
  rule = first_fit(rules.foreign, shortened(parts.plain:lower()))
  if rule then return answer(rule, parts.plain) end
  -- It has not given up yet, or said nothing after it had: what it would try again is the cause.
  if parts.cause == "" then
    rule = first_fit(rules.known, shortened(retried(parts.info)), is_exec)
    if rule and not rule.vague then return answer(rule, parts.info:lower()) end
  end
  -- 125 is podman itself, before any runtime: it did not like what it was told.
  if parts.cause ~= "" and request.exit_code == 125 then return { class = "USAGE" } end
  return { class = "UNKNOWN" }
end
