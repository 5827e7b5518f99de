--- Tool: a command that ends by itself.
local axo = require "axosandbox"
local excerpt = require "axolua.mcp.tools.excerpt"
local hints = require "axolua.mcp.tools.hints"
local refusals = require "axolua.sandbox.refusals"
local reply = require "axolua.mcp.reply"
local shell = require "axolua.sandbox.shell"
local text = require "axolua.mcp.text"
local work = require "axolua.mcp.tools.work"

local MAX_TIMEOUT = 3600

local function ending(result, timeout)
  if result.timed_out then
    return ("timed out after %g s and was ended, with all that it started; give it a larger "
      .. "timeout, or start it by bash_background"):format(timeout)
  end
  if result.cancelled then return "it was ended" end
  if result.signal then
    return ("killed by signal %s after %.1f s"):format(result.signal, result.duration)
  end
  return ("exit code %s, %.1f s"):format(result.code or "unknown", result.duration)
end

-- Both in one text, and how many bytes were left out.
local function joined(out, err)
  local stdout, out_cut = out:get()
  local stderr, err_cut = err:get()
  if stderr ~= "" then
    if stdout ~= "" and stdout:sub(-1) ~= "\n" then stdout = stdout .. "\n" end
    stdout = stdout .. "[stderr]\n" .. stderr
  end
  return stdout, out_cut + err_cut
end

local function notes(shown, left_out)
  local cut = left_out > 0 and ("%d bytes of output left out in the middle: write it to a file "
    .. "and read that in parts, or filter it"):format(left_out) or nil
  local binary = not utf8.len(shown) and "not all of it is UTF-8: what is not shows as \u{FFFD}; "
    .. "use base64 or od for bytes" or nil
  return cut, binary
end

local function left_note(result)
  local left = result.left_running or 0
  local fate = result.left_output == "closed" and "each ends when it next prints something"
    or "what they print is lost"
  return left > 0 and ("processes that it started still run: %d; %s: start what is to go on by "
    .. "bash_background"):format(left, fate) or nil
end

-- A command's latest line, for a note on progress.
local function follow(call, out)
  return function(bytes)
    out:add(bytes)
    if not call.token then return end
    local line = axo.text.last_line(text.plain(text.tail(bytes, 400)))
    if line then call:report(text.head(line, 200)) end
  end
end

local function run(arguments, call)
  local out, err_out = excerpt.new(reply.MAX_TEXT), excerpt.new(reply.MAX_TEXT // 4)
  function call.activity()
    return ("running, %d bytes of output"):format(out.total + err_out.total)
  end
  local result, err = call:await(function(done)
    return call.sandbox:exec(shell.argv(arguments.command), {
      timeout = arguments.timeout, cwd = arguments.cwd, stdin = arguments.stdin,
      on_stdout = follow(call, out), on_stderr = follow(call, err_out),
    }, done)
  end)
  if not result then return nil, err end
  local shown, left_out = joined(out, err_out)
  local make = result:ok() and reply.text or reply.failure
  local cut, binary = notes(shown, left_out)
  return make(shown, ending(result, arguments.timeout),
    work.memory_note(result, call.sandbox, "the command"), left_note(result),
    refusals.note(result.denied), cut, binary)
end

return function(settings)
  return { {
    name = "bash", title = "Run a command", call = run,
    description = "Runs a command line in the sandbox, by bash where there is one, else by sh, and "
      .. "waits for its end: stdout, stderr and the exit code. Its stdin is empty "
      .. "unless you give some. Long output is "
      .. "cut in its middle; bytes that are not UTF-8 show as \u{FFFD}. When its time is over, it "
      .. "and all that it started are killed. For servers use bash_background, for programs that "
      .. "ask use spawn_terminal.",
    input = {
      required = { "command" },
      properties = {
        command = work.COMMAND,
        timeout = {
          type = "number", exclusiveMinimum = 0, maximum = MAX_TIMEOUT,
          default = settings.timeout, description = "Seconds.",
        },
        cwd = work.CWD, stdin = work.STDIN,
      },
    },
    hints = hints.RUNS,
  } }
end
