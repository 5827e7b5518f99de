--- The user's own defaults: `axosandbox/config.lua` beneath the XDG configuration home, a file that
--- returns a table. It runs as policy files do, in a Lua state of its own, with their bounds.
local box = require "axosandbox.policy.box"
local errors = require "axosandbox.base.errors"
local file = require "axosandbox.policy.file"
local host = require "axosandbox.host"
local load = require "axosandbox.policy.load"
local paths = require "axosandbox.base.text.path"
local uv = require "luv"

local user = {}

local NAME = "/config.lua"

local function no_parts()
  return nil, errors.new {
    code = "DEFAULTS", op = "defaults", message = "a file of defaults has no parts",
  }
end

-- On the first line, so that every line keeps its number.
local function as_function(text)
  return "return function() " .. text:gsub("^#[^\n]*", "") .. "\nend"
end

local function failure(path, what)
  local err = load.error_of_run(what, path .. ":1")
  return nil, errors.new {
    code = "DEFAULTS", op = "defaults", message = err.message, hint = err.hint,
    stderr = err.stderr,
  }
end

--- Where it is; it need not be there.
---@return string?
function user.path()
  local dir = host.config_dir()
  return dir and dir .. NAME
end

-- A session could have written it.
local function is_within(path, dir)
  return dir ~= nil and (paths.is_in(path, dir) or paths.is_in(uv.fs_realpath(path) or path, dir))
end

--- What it says.
---@param dir string? the session's, without symbolic links
---@return table? values nil without an error: there is no such file
---@return axo.Error? err code "DEFAULTS"; or "POLICY", where others could have written the file
function user.read(dir)
  local path = user.path()
  if not path or not uv.fs_lstat(path) then return nil end
  if is_within(path, dir) then
    return failure(path, { message = "refused, because it lies in the session's directory" })
  end
  local text, err = file.read(path)
  if not text then return nil, err end
  local own = box.new()
  local reference, what = own:load(as_function(text), "@" .. path, no_parts)
  if not reference then return failure(path, what) end
  local values, failed = own:ask(reference, 1, {}, no_parts, true)
  if failed then
    return failure(path, failed.problem and { message = failed.problem .. ", not plain data" }
      or failed)
  end
  if type(values) ~= "table" then
    return failure(path, { message = "it returns no table: write `return { network = \"none\" }`" })
  end
  return values
end

return user
