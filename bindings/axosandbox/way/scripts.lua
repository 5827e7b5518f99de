--- The scripts that act on files inside a container. They run in busybox ash, dash and bash,
--- with busybox or coreutils; every path and every text comes in as an argument.
---
--- Each is called as `sh -c LIBRARY+SCRIPT axo-files ENCODED ROOT PLAIN PATH ARGUMENTS...`, where PATH
--- is relative to ROOT and has no ".." in it; with PLAIN, no link may be in ROOT's place. Before anything is done, the script goes to the
--- directory of PATH and looks where that really is: a path that leads outside by a symbolic
--- link ends there. What it then acts on is a name in the directory that it stands in.
local scripts = {}

--- How a script says what went wrong: a last line on stderr, with its exit code.
scripts.FAILED = 96

-- Complaints are understood in one language.
local LIBRARY = [==[
LC_ALL=C; export LC_ALL
unread=
fail() {
  [ -z "$unread" ] || cat >/dev/null
  printf '\naxo-files %s %s\n' "$1" "$2" >&2
  exit 96
}
kind() {
  if [ -f "$1" ]; then echo 'a regular file'
  elif [ -d "$1" ]; then echo 'a directory'
  elif [ -p "$1" ]; then echo 'a FIFO'
  elif [ -S "$1" ]; then echo 'a socket'
  elif [ -b "$1" ] || [ -c "$1" ]; then echo 'a device'
  else echo 'something else'; fi
}
inside() {
  case $PWD/ in
  "$base"/*) ;;
  *) fail OUTSIDE 'it leads outside by a symbolic link' ;;
  esac
}
name_missing() {
  at=. names=${1#./}/
  while [ -n "$names" ]; do
    at=$at/${names%%/*} names=${names#*/}
    [ ! -d "$at" ] || continue
    if [ -e "$at" ]; then fail NOT_A_DIRECTORY 'a part of it is not a directory'; fi
    fail NO_PARENT "${at#./}"
  done
}
go() {
  if ! cd -P -- "$1" 2>/dev/null; then
    if [ -d "$1" ]; then fail PERMISSION 'permission denied'; fi
    if [ -e "$1" ]; then fail NOT_A_DIRECTORY 'a part of it is not a directory'; fi
    case $1 in ./*) name_missing "$1" ;; esac
    fail NOT_FOUND 'no such file or directory'
  fi
  inside
}
enter() {
  case $1 in
  */*) go "./${1%/*}"; leaf=./${1##*/} ;;
  *) leaf=./$1 ;;
  esac
}
follow() {
  enter "$1"
  if [ -L "$leaf" ]; then
    real=$(readlink -f "$leaf" && echo .) || fail NOT_FOUND 'a symbolic link that leads nowhere'
    real=${real%??}
    if [ "${real%/}" = "$base" ]; then
      go "$base/"
      leaf=./.
      return
    fi
    go "${real%/*}/"
    leaf=./${real##*/}
  fi
}
exists() { [ -e "$leaf" ] || fail NOT_FOUND 'no such file or directory'; }
regular() { [ -f "$leaf" ] || fail NOT_A_FILE "it is $(kind "$leaf")"; }
readable() { [ -r . ] || fail PERMISSION 'permission denied'; }
made=0 tree=
make() {
  steps=$1/ tree=
  while [ -n "$steps" ]; do
    part=${steps%%/*} steps=${steps#*/}
    if [ ! -e "./$part" ]; then
      mkdir "./$part" || fail IO 'a directory cannot be made'
      made=$((made + 1))
    fi
    tree=${tree:+$tree/}$part
    go "./$part"
  done
}
unmake() {
  while [ "$made" -gt 0 ]; do
    made=$((made - 1))
    (unread= && enter_root && enter "$tree" && rmdir "$leaf") 2>/dev/null
    tree=${tree%/*}
  done
}
signature() { stat -c '%d:%i:%s:%y:%z' "$leaf"; }
encoded=$1; shift
if [ -n "$encoded" ]; then
  count=$#
  while [ "$count" -gt 0 ]; do
    text=$(printf '%b.' "$1"); shift
    set -- "$@" "${text%.}"
    count=$((count - 1))
  done
fi
root=$1 plain=$2 path=$3; shift 3
enter_root() {
  cd -P -- "$root" 2>/dev/null || fail NO_ROOT "the directory is not there"
  base=${PWD%/}
  if [ -n "$plain" ] && [ "$base" != "${root%/}" ]; then
    fail NO_ROOT "a symbolic link is in the place of the directory"
  fi
}
]==]

-- max, offset, limit ("" for the rest)
scripts.read = [==[
follow "$path"; exists; regular
[ -r "$leaf" ] || fail PERMISSION 'permission denied'
size=$(stat -c %s "$leaf") || fail IO 'it cannot be examined'
sum=$(signature)
want=$((size - $2))
[ -n "$3" ] && [ "$3" -lt "$want" ] && want=$3
[ "$want" -le "$1" ] || fail TOO_LARGE "$size"
printf '\naxo-signature %s\n' "$sum" >&2
if [ "$2" = 0 ] && [ -z "$3" ]; then exec cat "$leaf"; fi
tail -c "+$(($2 + 1))" "$leaf" | head -c "${3:-$1}"
]==]

scripts.stream = [==[
follow "$path"; exists; regular
[ -r "$leaf" ] || fail PERMISSION 'permission denied'
exec cat "$leaf"
]==]

-- What is left on stdin is read before a failure: podman loses what a command says when it ends
-- with stdin unread.
--
-- The new file gets all that the old one has. Where a plain chown and chmod do not see to that
-- (there are ACLs or attributes, or the owner is somebody out of reach), GNU cp may; else the old
-- file is written into, once there is a copy of its content, and of the new one.
-- count, name of the temporary file, 1 to make parents, mode, expected signature, 1 for a file
-- without ACLs and attributes
scripts.write = [==[
new=./$2 old=./$2.old
trap 'rm -f "$new" "$old"; unmake' EXIT
trap 'exit 1' HUP INT TERM
if [ "$3" = 1 ]; then
  case $path in */*) make "${path%/*}"; enter_root ;; esac
fi
follow "$path"
[ "$leaf" != ./. ] || fail NOT_A_FILE 'it is a directory'
mode=$4 owner= wanted=$5
still() {
  [ -z "$wanted" ] || [ "$(signature 2>/dev/null)" = "$wanted" ] ||
    fail CHANGED 'it changed meanwhile'
}
if [ -e "$leaf" ]; then
  regular
  still
  owner=$(stat -c %u:%g "$leaf")
  [ -n "$mode" ] || mode=$(stat -c %a "$leaf")
elif [ -n "$5" ]; then
  fail CHANGED 'it was removed meanwhile'
fi
case $mode in ????*) mode=${mode#"${mode%???}"} ;; esac
set -C
if [ -n "$mode" ]; then
  (umask 077; true >"$new") || fail IO 'it cannot be written'
else
  true >"$new" || fail IO 'it cannot be written'
fi
set +C
same_owner() { [ "$owner" = "$(stat -c %u:%g "$new")" ]; }
dress() {
  same_owner || chown "$owner" "$new" 2>/dev/null || return 1
  [ "$1" = 1 ] || cp --attributes-only --preserve=mode,xattr -- "$leaf" "$new" 2>/dev/null ||
    return 1
  same_owner
}
flush() { dd if=/dev/null of="$1" bs=1 conv=notrunc,fsync 2>/dev/null || :; }
into() {
  [ "$(stat -c %h "$leaf")" = 1 ] || fail METADATA \
    'it has other names, and its owner, ACLs or attributes cannot be given to a new file'
  (umask 077; set -C; cat "$leaf" >"$old") || fail IO 'its content cannot be kept meanwhile'
  if cat "$new" >"$leaf"; then
    chmod "$mode" "$leaf" 2>/dev/null || :
    flush "$leaf"
    return
  fi
  rm -f "$new"
  cat "$old" >"$leaf" || :
  fail IO 'it cannot be written'
}
kept=1
[ -z "$owner" ] || dress "$6" || kept=
cat >"$new" || fail IO 'it cannot be written'
[ "$(stat -c %s "$new")" = "$1" ] || fail IO 'not all of it arrived'
unread=
if [ -n "$kept" ]; then
  if [ -n "$mode" ]; then chmod "$mode" "$new" || fail IO 'its mode cannot be set'; fi
  flush "$new"
  still
  mv -f "$new" "$leaf" || fail IO 'it cannot be replaced'
else
  still
  into
fi
made=0
]==]

-- token
scripts.list = [==[
follow "$path"; exists
[ -d "$leaf" ] || fail NOT_A_DIRECTORY "it is $(kind "$leaf")"
go "$leaf"; readable
exec find . ! -name . -prune -exec stat -c "$1 %f %s %Y %n" {} +
]==]

scripts.directory = [==[
go "./$path"
]==]

-- 1 to follow a final symbolic link
scripts.stat = [==[
if [ "$1" = 1 ]; then follow "$path"; exists; else
  enter "$path"
  [ -L "$leaf" ] || exists
fi
exec stat -c '%f %s %Y' "$leaf"
]==]

-- 1 to make parents
scripts.mkdir = [==[
if [ "$1" = 1 ]; then
  trap unmake EXIT
  make "$path"
  made=0
  exit 0
fi
enter "$path"
if [ -e "$leaf" ] || [ -L "$leaf" ]; then fail EXISTS 'it exists'; fi
mkdir "$leaf" || fail IO 'it cannot be made'
]==]

-- 1 to remove what is in a directory
scripts.remove = [==[
enter "$path"
[ -L "$leaf" ] || exists
if [ "$1" = 1 ]; then
  rm -rf "$leaf" || fail IO 'it cannot be removed'
elif [ -d "$leaf" ] && [ ! -L "$leaf" ]; then
  for entry in "$leaf"/* "$leaf"/.[!.]* "$leaf"/..?*; do
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    fail NOT_EMPTY 'the directory is not empty'
  done
  rmdir "$leaf" || fail IO 'it cannot be removed'
else
  rm -f "$leaf" || fail IO 'it cannot be removed'
fi
]==]

-- the new path
scripts.rename = [==[
enter "$path"
[ -L "$leaf" ] || exists
from=$PWD/$leaf
enter_root
enter "$1"
if [ -d "$leaf" ]; then fail EXISTS 'the new name is a directory'; fi
mv -f "$from" "$leaf" || fail IO 'it cannot be renamed'
]==]

-- Prints the names of files that are too large, a NUL after each, and an empty name. Then a file's
-- name and a NUL before its lines, or before each of them; what grep prints begins with a number, and
-- a name with what nobody could know. A grep that is not GNU's knows no -I, so there each file that
-- matches is looked at for a NUL.
--
-- The extended expression, the pattern, flags for the one, flags for the other ("" for plain text),
-- 1 when there is an extended one, lines at most, a spelling of ".", KiB, then tests of find
scripts.grep = [==[
said=$1 perl=$2 flags=$3 perl_flags=$4 has_said=$5 max=$6 start=$7 size=$8; shift 8
# By bytes, so that GNU's takes no text for binary; but letters outside of ASCII have their cases.
export LC_ALL=C
case $flags in *i*) case $perl in *[!\ -~]*) LC_ALL=C.UTF-8 ;; esac ;; esac
gnu=
case $(grep --version 2>/dev/null) in *GNU*) gnu=1 ;; esac
if [ -n "$gnu" ] && [ -n "$perl_flags" ] && echo | grep -P '^' >/dev/null 2>&1; then
  said=$perl flags=$perl_flags
elif [ -z "$has_said" ] && [ -n "$perl_flags" ]; then
  fail DIALECT 'only an extended regular expression can be searched for'
fi
echo | grep $flags -e "$said" >/dev/null 2>&1
[ $? -le 1 ] || fail PATTERN 'the pattern is not a regular expression that grep takes'
show='
show() {
  [ "$(head -c 65536 "$1" | wc -c)" = "$(head -c 65536 "$1" | tr -d "\0" | wc -c)" ] || return 0
  printf "%s\0\n" "${2:-$1}"
  grep -hn $flags -e "$said" -- "$1" || [ $? -eq 1 ]
}'
eval "$show"
feed='
'
search() {
  if [ -n "$gnu" ]; then
    xargs -0 -r grep -HnIZ $flags -e "$said" --
  else
    xargs -0 -r grep -l $flags -e "$said" -- | while IFS= read -r file; do
      show "$file" || exit
    done
  fi
}
odd() {
  [ -n "$gnu" ] ||
    find "$start" -type f "$@" -path "*$feed*" ! -size "+${size}k" -exec sh -c "flags=\$1 said=\$2
$show
      grep -q \$flags -e \"\$said\" -- \"\$3\" && show \"\$3\"" sh "$flags" "$said" {} \;
}
normal() {
  if [ -n "$gnu" ]; then
    find "$start" -type f "$@" ! -size "+${size}k" -print0
  else
    find "$start" -type f "$@" ! -path "*$feed*" ! -size "+${size}k" -print0
  fi
}
follow "$path"; exists
if [ ! -d "$leaf" ]; then
  regular
  [ -r "$leaf" ] || fail PERMISSION 'permission denied'
  [ "$(stat -c %s "$leaf")" -le $((size * 1024)) ] || printf '%s/\0' "$start"
  printf '\0\n'
  [ "$(stat -c %s "$leaf")" -gt $((size * 1024)) ] || show "$leaf" "$start/" | head -n "$max"
  exit 0
fi
go "$leaf"; readable
find "$start" -type f "$@" -size "+${size}k" -print0 2>/dev/null | head -c 65536
printf '\0\0\n'
{ normal "$@" | search; odd "$@"; } | head -n "$max"
exit 0
]==]

-- a spelling of ".", then tests of find
scripts.find = [==[
start=$1; shift
follow "$path"; exists
[ -d "$leaf" ] || fail NOT_A_DIRECTORY "it is $(kind "$leaf")"
go "$leaf"; readable
find "$start" ! -path "$start" "$@" -print0
exit 0
]==]

local function octal(text)
  return (text:gsub("[^%w/._-]", function(c) return ("\\0%03o"):format(c:byte()) end))
end

--- The command that runs a script. Podman passes on no byte that is not UTF-8: where there is one,
--- the arguments are encoded.
---@param name string
---@param way axo.Way
---@param relative string
---@param arguments string[]?
---@return string[] argv
function scripts.argv(name, way, relative, arguments)
  arguments = arguments or {}
  local texts = { way.base or way.root, way.base and "1" or "", relative }
  table.move(arguments, 1, #arguments, #texts + 1, texts)
  local is_text = utf8.len(table.concat(texts, "\n"))
  local begin = (name == "write" and "unread=1\n" or "") .. "enter_root\n"
  local argv = {
    "sh", "-c", LIBRARY .. begin .. scripts[name], "axo-files", is_text and "" or "1",
  }
  for _, text in ipairs(texts) do argv[#argv + 1] = is_text and text or octal(text) end
  return argv
end

return scripts
