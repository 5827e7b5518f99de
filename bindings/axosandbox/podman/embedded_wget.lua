--- The wget of the embedded image. The one of some static busyboxes (Debian's 1.35) crashes when
--- it is given a timeout.
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"

local embedded_wget = {}

--- Stands in for such a wget: another program has an eye on the time, and that counts for the
--- whole download, not for each read.
embedded_wget.SCRIPT = [=[
#!/bin/sh
# wget of this busybox crashes with -T, so timeout(1) stands in: it counts the whole download.
limit= left=$#
while [ "$left" -gt 0 ]; do
  arg=$1 left=$((left - 1))
  shift
  case $arg in
  --)
    set -- "$@" --
    while [ "$left" -gt 0 ]; do
      arg=$1 left=$((left - 1))
      shift
      set -- "$@" "$arg"
    done
    ;;
  -T | --timeout)
    limit=$1 left=$((left - 1))
    shift
    ;;
  --timeout=*) limit=${arg#*=} ;;
  -T*) limit=${arg#-T} ;;
  -[cqS]T* | -[cqS][cqS]T*)
    limit=${arg#*T}
    if [ -z "$limit" ]; then
      limit=$1 left=$((left - 1))
      shift
    fi
    set -- "$@" "${arg%%T*}"
    ;;
  -O | -o | -P | -U | -Y | --header | --post-data | --post-file)
    set -- "$@" "$arg" "$1"
    shift
    left=$((left - 1))
    ;;
  *) set -- "$@" "$arg" ;;
  esac
done
case $limit in '' | 0) exec /bin/busybox wget "$@" ;; esac
exec 3>&2 2>/dev/null # the shell would say that wget was terminated
/bin/busybox timeout "$limit" /bin/busybox wget "$@" 2>&3 3>&-
code=$?
[ "$code" != 143 ] && [ "$code" != 124 ] || { echo 'wget: download timed out' >&3; code=1; }
exit "$code"
]=]

-- Nothing need answer there: it crashes before, or it is refused.
local PROBE = { "wget", "-q", "-T", "1", "-O", "/dev/null", "http://127.0.0.1:1/" }

--- Whether the wget of this busybox crashes when it is given a timeout; in a coroutine.
---@param busybox string its path
---@return boolean
function embedded_wget.is_broken(busybox)
  local argv = table.move(PROBE, 1, #PROBE, 2, { busybox })
  return await.call(function(done)
    return core.spawn(argv, { cwd = "/", timeout = 10 }, function(result)
      done(nil, result.signal ~= nil and not result.timed_out)
    end)
  end) == true
end

return embedded_wget
