--- Ending what runs inside a container, from outside, with nothing but `podman exec`.
---
--- Ending a podman client ends nothing inside. So every piece of work carries a random mark in
--- its environment, which its descendants inherit, and a script looks for it in /proc. It uses
--- shell builtins only: it makes no process, and so works where none is left to be made.
local await = require "axosandbox.base.await"
local complaint = require "axosandbox.base.text.complaint"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local outside = require "axosandbox.way.portable.outside"

local kill = {}

kill.VARIABLE = "AXOSANDBOX_WORK"
kill.GRACE = 2

local PASS_TIMEOUT = 15
local SETTLE = 2
local START_WAIT = 0.4
local ATTEMPTS = 6
local MAX_FAILURES = 2
local MAX_SEEDS = 4000
local MAX_USERS = 8

--- Arguments: the mark, a signal, "tree" or "main", and what an earlier pass found: "pid,start"
--- pairs and session ids, since a parent that has died since cannot lead to its children any
--- more. Descendants that dropped the mark are found through parents, sessions, and the pipe or
--- terminal that was made for the work's first process. KILL first stops what it finds until
--- nothing new turns up, so that nothing forks out of its hands. A process that ended before it
--- was read may have left a child: then only what has come since is looked at, since in a busy
--- container something always ends.
--- Answers the number found, the number left, and the seeds for the next pass; as root, also
--- the other users whose processes it may not read.
kill.SCRIPT = [==[
exec 2>/dev/null
mark=$1 sig=$2 mode=$3 seeds=" $4 " sessions=" $5 "
take() {
  hits="$hits$pid " known="$known $pid,$born"
  case $sid in 0|1) ;; *) sids="$sids$sid " ;; esac
  [ "$parent" = 0 ] && mains="$mains$pid "
  grown=1
  [ -z "$freeze" ] || hold
}
hold() {
  case $held in *" $pid "*) return ;; esac
  kill -s STOP "$pid" && held="$held$pid " fresh=1
}
marked() {
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *"$mark"*) return 0 ;; esac
  done <"$1" || return 2
  return 1
}
owner() {
  while read -r key uid line; do
    case $key in Uid:) return 0 ;; esac
  done <"$1"
  return 1
}
look() {
  text=
  while IFS= read -r line || [ -n "$line" ]; do text=$text$line; done <"$1/stat" || gone=1
  [ -n "$text" ] || return 0
  set -- "$1" ${text##*) }
  parent=$3 sid=$5 born=${21}
  case $2 in [ZXx]) [ "${19}" -gt 1 ] || return 0 ;; esac
  rows="$rows $pid,$parent,$sid,$born"
  case $seeds in *" $pid,$born "*) take; return 0 ;; esac
  case $sessions in *" $sid "*) take; return 0 ;; esac
  marked "$1/environ"
  case $? in
  0) take ;;
  2) [ "$me" = 0 ] && owner "$1/status" && [ "$uid" != 0 ] &&
    case $others in *" $uid "*) ;; *) others="$others$uid " ;; esac ;;
  esac
}
private() {
  if [ -p "$1" ]; then
    mount=
    while read -r key value; do
      case $key in mnt_id:) mount=$value ;; esac
    done <"${1%/fd/*}/fdinfo/${1##*/}"
    [ -n "$mount" ] || return 1
    while read -r key line; do [ "$key" = "$mount" ] && return 1; done </proc/self/mountinfo
    return 0
  fi
  [ -c "$1" ] || return 1
  for tty in /dev/pts/[0-9]*; do [ "$1" -ef "$tty" ] && return 0; done
  return 1
}
shares() {
  for out in $outs; do
    [ "/proc/$pid/fd/1" -ef "$out" ] && return 0
    [ "/proc/$pid/fd/2" -ef "$out" ] && return 0
  done
  return 1
}
scan() {
  [ "$1" = late ] || rows= hits=' ' known= sids=' ' mains=' ' others=' ' seen=" 1 $$ "
  outs= before=$seen
  for dir in /proc/[0-9]*; do
    pid=${dir#/proc/}
    case $before in *" $pid "*) continue ;; esac
    seen="$seen$pid "
    look "$dir"
  done
  for pid in $mains; do
    for out in "/proc/$pid/fd/1" "/proc/$pid/fd/2"; do private "$out" && outs="$outs $out"; done
  done
  grown=1
  while [ $grown = 1 ]; do
    grown=0
    for row in $rows; do
      pid=${row%%,*} row=${row#*,}
      parent=${row%%,*} row=${row#*,}
      sid=${row%%,*} born=${row#*,}
      case $hits in *" $pid "*) continue ;; esac
      case $hits in *" $parent "*) take; continue ;; esac
      case $sids in *" $sid "*) take; continue ;; esac
      shares && take
    done
  done
}
count() {
  n=0
  for pid in $1; do n=$((n + 1)); done
}
send() { for pid in $2; do kill -s "$1" "$pid"; done; }
uid=; owner /proc/$$/status; me=$uid
freeze= held=' ' pass=0 fresh=1 gone=0
if [ "$sig" = KILL ] && [ "$mode" = tree ]; then
  freeze=1
  while [ $fresh$gone != 00 ] && [ $pass -lt 20 ]; do
    which=all; [ $fresh = 1 ] || which=late
    fresh=0 gone=0 pass=$((pass + 1))
    scan $which
    seeds="$seeds$known " sessions="$sessions$sids"
  done
  pass=0
  while [ "$hits" != ' ' ] && [ $pass -lt 100 ]; do
    pass=$((pass + 1))
    send KILL "$hits"
    scan
    seeds="$seeds$known " sessions="$sessions$sids"
  done
  count "$held"; found=$n
  count "$hits"; left=$n
else
  scan
  [ "$mode" = tree ] || hits=$mains
  count "$hits"; found=$n left=$n
  send "$sig" "$hits"
  [ "$sig" = TERM ] && send CONT "$hits"
fi
echo "axo-kill $found $left"
echo "pids$known"
echo "sids$sids"
echo "uids$others"
]==]

---@class axo.KillReport
---@field found integer
---@field left integer
---@field pids string
---@field sids string
---@field users string[]

local function parse(text)
  local found, left = text:match "axo%-kill (%d+) (%d+)\n"
  if not found then return nil end
  local users = {}
  for uid in (text:match "\nuids([^\n]*)" or ""):gmatch "%d+" do users[#users + 1] = uid end
  return {
    found = tonumber(found), left = tonumber(left), users = users,
    pids = text:match "\npids([^\n]*)" or "", sids = text:match "\nsids([^\n]*)" or "",
  }
end

local function failure(result, argv0)
  local judged = not result.timed_out and result.code and core.podman.judge {
    code = result.code, argv0 = argv0, stderr = complaint.without_log(result.stderr),
    stdout_total = result.stdout_total,
  }
  return judged or errors.new {
    code = result.timed_out and "TIMEOUT" or "PODMAN", op = "kill", stderr = result.stderr,
    message = result.timed_out and "podman did not answer in time"
      or "podman could not run the script that ends processes",
  }
end

-- Seeds beyond the bound are dropped: an argument is limited to 128 KiB.
local function bounded(list)
  if not list then return "" end
  local kept = {}
  for item in list:gmatch "%S+" do
    if #kept == MAX_SEEDS then break end
    kept[#kept + 1] = item
  end
  return table.concat(kept, " ")
end

--- One pass of the script, in one `podman exec`.
---@param way axo.PortableWay
---@param request { mark: string, signal: string, user: string?, mode: "tree"|"main"?, seeds: axo.KillReport? }
---@param done fun(err: axo.Error?, report: axo.KillReport?)
---@return any process, axo.Error?
function kill.pass(way, request, done)
  local seeds = request.seeds or {}
  local argv, err = core.argv.exec {
    podman = way.client.program, container = way.container, workdir = "/",
    user = request.user,
    command = {
      "sh", "-c", kill.SCRIPT, "axo-kill", kill.VARIABLE .. "=" .. request.mark,
      request.signal, request.mode or "tree", bounded(seeds.pids), bounded(seeds.sids),
    },
  }
  if not argv then return nil, err end
  return core.spawn(argv, {
    env = way.client.env, cwd = "/", timeout = PASS_TIMEOUT,
  }, function(result)
    local report = result.code == 0 and parse(result.stdout)
    if report then return done(nil, report) end
    done(failure(result, "sh"))
  end)
end

---@class axo.KillTarget
---@field way axo.PortableWay
---@field mark string
---@field user string?
---@field grace number seconds between TERM and KILL
---@field client axo.Gate open once the podman client has ended
---@field cut fun() ends the client
---@field is_clientless boolean? there is no client any more, though nobody knows whether it ended
---@field seen boolean? something with the mark was found
---@field seeds axo.KillReport?

local function pass(target, signal, user)
  local report, err = await.call(function(done)
    return kill.pass(target.way, {
      mark = target.mark, signal = signal, user = user or target.user, seeds = target.seeds,
    }, done)
  end)
  if not report then return nil, err end
  if report.found > 0 then target.seen = true end
  return report
end

-- A failure that trying again does not mend, or one too many.
local function gives_up(err, failures)
  return err.code == "TIMEOUT" or err.code == "NOT_FOUND" or failures == MAX_FAILURES
end

-- A client that was started a moment ago may have nothing inside yet, and conmon goes on to
-- start it even when the client dies: so look until it is there, or the client has ended.
local function terminate(target)
  local failures = 0
  for _ = 1, ATTEMPTS do
    local over = target.client.is_open
    local report, err = pass(target, "TERM")
    if report and report.found > 0 then
      target.seeds = report
      target.client:wait(target.grace)
      return
    end
    if err then failures = failures + 1 end
    if over or (err and (err.code == "GONE" or gives_up(err, failures))) then return end
    target.client:wait(START_WAIT)
  end
end

-- Root without CAP_SYS_PTRACE cannot read the environment of other users' processes, which may
-- be descendants that gave root up. Each such user's own eyes can.
local function sweep_users(target, users)
  for i = 1, math.min(#users, MAX_USERS) do
    local report, err = pass(target, "KILL", users[i])
    if not report then return nil, err end
  end
  return true
end

-- True once a pass that began after the client's end, or after something was found, saw
-- nothing left.
local function sweep(target)
  local failures, problem = 0, nil
  for _ = 1, ATTEMPTS do
    local over = target.client.is_open
    local report, err = pass(target, "KILL")
    if err and err.code == "GONE" then return true end
    if report and report.left == 0 and (over or target.seen) then
      return sweep_users(target, report.users)
    end
    if err then
      failures, problem = failures + 1, err
      if gives_up(err, failures) then break end
    end
    target.client:wait(START_WAIT)
  end
  return nil, problem
end

-- Where podman cannot run the script (no process can be made in the container, or it has no
-- shell), this machine's own view of the container may do.
local function sweep_or_reach_in(target)
  local swept, err = sweep(target)
  if swept then return true end
  local killed = outside.kill(target.way, kill.VARIABLE .. "=" .. target.mark)
  if not killed then return nil, err end
  target.seen = target.seen or killed > 0
  return true
end

--- Ends everything that carries the mark: TERM, the grace, KILL; then the client. Inside a
--- coroutine. Bounded in every step.
---@param target axo.KillTarget
---@return boolean? done, axo.Error? what may have been left running, and why
function kill.tree(target)
  terminate(target)
  local swept, err = sweep_or_reach_in(target)
  if not target.is_clientless and not target.client:wait(SETTLE) then
    target.cut()
    target.client:wait(SETTLE)
    if not target.seen then swept, err = sweep_or_reach_in(target) end
  end
  if swept then return true end
  return nil, errors.new {
    code = "KILL", op = "kill", stderr = err and err.stderr,
    message = "processes may still run in " .. target.way.container .. ": "
      .. (err and err.message or "they could not be ended"),
    hint = hints.TABLE.stop_session.lua,
  }
end

return kill
