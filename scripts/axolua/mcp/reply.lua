--- The results of tools: text for an agent, and failures that say what to do about them.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local text = require "axolua.mcp.text"

local json = axo.json

local reply = {}

--- Bytes of text that one result carries at most.
reply.MAX_TEXT = 64 * 1024

-- Bytes of an error's message: the container may have had a say in it.
local MAX_MESSAGE = 8 * 1024

local function block(words)
  return { type = "text", text = words }
end

--- A result of some text, then notes on it, each a block of its own.
---@param words string?
---@param ... string?
---@return table
function reply.text(words, ...)
  local content = json.array {}
  if words and words ~= "" then content[1] = block(words) end
  for i = 1, select("#", ...) do
    local note = select(i, ...)
    if note then content[#content + 1] = block("[" .. note .. "]") end
  end
  if #content == 0 then content[1] = block "" end
  return { content = content, isError = false }
end

--- The same, as a failure.
---@return table
function reply.failure(words, ...)
  local result = reply.text(words, ...)
  result.isError = true
  return result
end

local ADVICE = {
  NOT_FOUND = "Check the spelling; list_dir and glob show what is there.",
  OUTSIDE = "Use a path in the session's directory; session_info tells which one that is. bash "
    .. "reaches the sandbox's other paths.",
  NOT_A_FILE = "Use list_dir for a directory; devices, pipes and sockets can be neither "
    .. "read nor written.",
  NOT_A_DIRECTORY = "Part of the path is a file; list_dir on its parent shows what is there.",
  TOO_LARGE = "Take it in parts: read_file has offset and limit, and bash has head and split.",
  PERMISSION = "The session's user may not do that; `ls -ln` by bash shows who may.",
  NOT_TEXT = "Read its bytes, by offset and limit; or name its encoding.",
  ENCODING = "Use characters that the file's encoding has, or write the file anew as UTF-8.",
  NO_MATCH = "Read the file again: the text must match exactly, white space included.",
  AMBIGUOUS = "Give more of the lines around it, or set replace_all.",
  CHANGED = "Somebody else wrote the file meanwhile: read it again, then edit it.",
  PATTERN = "Mend the regular expression: a backslash goes before each of ( [ { * + ? | . that "
    .. "means itself. Or set fixed to search for plain text.",
  NO_DIRECTORY = "The working directory does not exist: check cwd with list_dir.",
  NO_SPACE = "The disk is full: remove what is not needed.",
  DENIED = "Policy forbids it, and trying again will not help: do it another way, or ask the "
    .. "operator.",
  POLICY = "The operator's policy is in the way: tell the user.",
  LIMIT = "Too many run already: end some by stop_background or kill_terminal.",
  GONE = "The container is gone, with all that ran in it. The next call starts a new one; the "
    .. "files are still there.",
  STOPPED = "The session was stopped. The next call starts a new one.",
  EPIPE = "It has ended: read its last output, and start a new one.",
  ESRCH = "It has ended already.",
  INVALID = "Put that right, and call it again.",
  TIMEOUT = "Try again; if the sandbox stays silent, tell the user.",
  KILL = "Some of it cannot be killed. Tell the user.",
  NO_PROCESS = "End some by stop_background or kill_terminal.",
  NO_TERMINAL = "No terminal could be made: end some by kill_terminal, or use bash.",
  NO_MEMORY = "End some by stop_background or kill_terminal.",
  ENOBUFS = "It does not read what it is sent: read its output, and send less at a time.",
}

-- What is not found is no file there.
local LISTS = {
  get_task = "Check the id; list_background shows the tasks.",
  get_terminal = "Check the id; list_terminals shows the terminals.",
}

-- What an agent can do nothing about: these begin a session, from outside.
local SET_UP = {
  start = true, open = true, podman = true, policy = true, provision = true, install = true,
  env_from = true, devcontainer = true, post_create = true, pull = true,
}

-- What these say is right of a start, too.
local OF_STARTS = { POLICY = true, GONE = true, STOPPED = true, TIMEOUT = true }

--- What to do about an error.
---@param err axo.Error
---@return string?
function reply.advice(err)
  local hint, is_own = axo.errors.hint(err, "mcp")
  if is_own then return hint end
  if SET_UP[err.op] and not OF_STARTS[err.code] then
    return hint and "Tell the user: " .. hint or "Tell the user."
  end
  return err.code == "NOT_FOUND" and LISTS[err.op] or ADVICE[err.code] or hint
end

--- A failure, with what to do about it.
---@param message string
---@param advice string?
---@return table
function reply.refusal(message, advice)
  message = axo.text.escape_lines(message)
  local shown = text.head(message, MAX_MESSAGE)
  if #shown < #message then
    shown = ("%s... (%d bytes left out)"):format(shown, #message - #shown)
  end
  return reply.failure("Error: " .. shown, advice)
end

--- The failure that an error of the engine is.
---@param err axo.Error
---@return table
function reply.of_error(err)
  return reply.refusal(cli.without_position(err.message or err), reply.advice(err))
end

--- "1 line", "2 lines".
---@param count integer
---@param noun string
---@return string
function reply.count(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or (noun:find "[sx]h?$" and "es" or "s"))
end

return reply
