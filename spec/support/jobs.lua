--- What people do in a session all day, each as a shell script that ends with 0 and says `done`
--- only if it came out right. They begin in an empty directory of their own.
local jobs = {}

local OVERFLOW = [[
cat > a.c <<'C'
#include <stdlib.h>
int main(int n, char **v) { char *p = malloc(8); p[n * 8] = 1; (void)v; return p[0]; }
C
cat > leak.c <<'C'
#include <stdlib.h>
char *volatile kept;
int main(void) { kept = malloc(100); kept = 0; return 0; }
C
gcc -g -fsanitize=address a.c -o a
gcc -g -fsanitize=address leak.c -o leak
! ./a 2> a.log
grep -q heap-buffer-overflow a.log
! ASAN_OPTIONS=detect_leaks=1 ./leak 2> leak.log
grep -q '100 byte(s) leaked' leak.log
]]

-- Where a kernel spreads memory wider than this sanitizer knows, it says so: no fault of the floor.
local RACE = [[
cat > t.c <<'C'
#include <pthread.h>
int n;
void *add(void *p) { for (int i = 0; i < 1000; i++) n++; return p; }
int main(void) {
  pthread_t a, b;
  pthread_create(&a, 0, add, 0); pthread_create(&b, 0, add, 0);
  pthread_join(a, 0); pthread_join(b, 0);
  return 0;
}
C
gcc -g -fsanitize=thread t.c -o t
! ./t 2> t.log
grep -qE 'data race|unexpected memory mapping' t.log
]]

local MAKE = [[
for n in 1 2 3 4 5 6 7 8; do echo "int f$n(void) { return $n; }" > f$n.c; done
echo 'int f8(void); int main(void) { return f8() - 8; }' > main.c
printf 'all: $(patsubst %%.c,%%.o,$(wildcard *.c))\n\tgcc $^ -o all\n' > Makefile
make -j4 > log
./all
]]

local GIT = [[
export HOME=$PWD GIT_CONFIG_COUNT=0
git config --global user.name me
git config --global user.email me@localhost
git config --global protocol.file.allow always
git init -q --bare hub
git clone -q hub one 2> /dev/null
cd one
echo a > f && git add f && git commit -qm first && git push -q origin HEAD
git worktree add -q ../tree && git -C ../tree log --oneline | grep -q first
git submodule add -q "$HOME/hub" sub 2> /dev/null && git commit -qm sub
git gc -q && git fsck
git clone -q --recurse-submodules . ../two 2> /dev/null
test -f ../two/sub/f
]]

local GIT_DAEMON = [[
export HOME=$PWD GIT_CONFIG_COUNT=0
git init -q --bare hub
git daemon --export-all --listen=127.0.0.1 --port=$PORT --base-path="$PWD" "$PWD" 2> log &
await git ls-remote git://127.0.0.1:$PORT/hub
kill $!
]]

local VENV = [[
python3 -m venv v
v/bin/python -m pip --disable-pip-version-check --version | grep -q "$PWD/v"
]]

local PARALLEL = [[
cat > p.py <<'PY'
import multiprocessing as m
def square(n):
    return n * n
if __name__ == "__main__":
    for way in "fork", "spawn", "forkserver":
        with m.get_context(way).Pool(3) as pool:
            assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
    with m.Manager() as manager:
        assert manager.list([1])[0] == 1
PY
python3 p.py
]]

local DEBUGGER = [[
echo 'int twice(int n) { return n * 2; } int main(void) { return twice(4); }' > d.c
gcc -g d.c -o d
gdb -q -batch -ex 'break twice' -ex run -ex 'print n' -ex bt -ex continue ./d > log 2>&1
grep -q '^\$1 = 4' log && grep -q 'in main' log && grep -q 'exited with code 010' log
sleep 100 & gdb -q -batch -p $! -ex 'info inferiors' > log 2>&1
kill $!
grep -q 'process' log
]]

local TRACER = [[
strace -f -e trace=execve,clone,clone3,vfork -o log sh -c 'true | /bin/echo said > f'
grep -q 'execve("/bin/echo"' log && test "$(cat f)" = said
while :; do sleep 0.1; done & looping=$!
strace -q -p $looping -o attached & tracer=$!
await grep -q wait4 attached
kill $looping
wait $tracer || true
]]

local MULTIPLEXER = [[
export TMUX_TMPDIR=$PWD TERM=xterm LC_ALL=C.UTF-8
tmux new-session -d -s w -x 80 -y 24 'echo seen; sleep 100'
tmux split-window -t w 'sleep 100'
await sh -c 'tmux capture-pane -p -t w.0 | grep -q seen'
tmux kill-server
]]

local DATABASE = [[
sqlite3 d.db 'PRAGMA journal_mode=WAL; CREATE TABLE t(n); INSERT INTO t VALUES(1);' > /dev/null
for n in 2 3 4; do sqlite3 -cmd '.timeout 20000' d.db "INSERT INTO t VALUES($n)" & done
wait
test "$(sqlite3 d.db 'SELECT sum(n) FROM t; PRAGMA integrity_check')" = "10
ok"
]]

local ARCHIVE = [[
mkdir -p a/b
echo text > a/b/f && chmod 640 a/b/f && ln -s f a/b/l && ln a/b/f a/b/hard && mkfifo a/p
truncate -s 1M a/sparse
tar -cSzf a.tgz a && mkdir out && tar -xpzf a.tgz -C out
test "$(stat -c %a out/a/b/f)" = 640 && test -p out/a/p && test "$(readlink out/a/b/l)" = f
rsync -aHS a/ copy/
diff -r --exclude=p a copy && test "$(stat -c %h copy/b/f)" = 2
]]

local SOCKETS = [[
perl -MIO::Socket::INET -MSocket -e '
  socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
  my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die $!;
  if (!fork) { my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $s->sockport);
    print $c "hello\n"; exit }
  my $c = $s->accept; <$c> eq "hello\n" or die; wait; $? == 0 or die'
]]

local USERS = [[
useradd -m fresh$PORT && groupadd more$PORT && usermod -aG more$PORT fresh$PORT
test "$(su - fresh$PORT -c 'id -un; pwd')" = "fresh$PORT
/home/fresh$PORT"
echo fresh$PORT:secret | chpasswd
userdel -r fresh$PORT 2> /dev/null
]]

local PACKAGE = [[
mkdir -p p/DEBIAN p/usr/share/tried
printf '%s\n' 'Package: tried' 'Version: 1' 'Architecture: all' 'Description: x' \
  'Maintainer: me <me@localhost>' > p/DEBIAN/control
printf '#!/bin/sh\nchown 1000 /usr/share/tried/f\n' > p/DEBIAN/postinst
chmod 755 p/DEBIAN/postinst
echo 1 > p/usr/share/tried/f
dpkg-deb -b p t.deb > /dev/null && dpkg -i t.deb > /dev/null 2>&1
test "$(stat -c %u /usr/share/tried/f)" = 1000
dpkg -P tried > /dev/null 2>&1 && ! test -e /usr/share/tried/f
]]

---@type { name: string, script: string, root_only: boolean? }[]
jobs.all = {
  { name = "gcc and the address sanitizer", script = OVERFLOW },
  { name = "gcc and the thread sanitizer", script = RACE },
  { name = "make -j4", script = MAKE },
  { name = "git: push, worktree, submodule, gc, clone", script = GIT },
  { name = "git daemon", script = GIT_DAEMON },
  { name = "python's venv and pip", script = VENV },
  { name = "python's multiprocessing", script = PARALLEL },
  { name = "gdb, of a new process and of a running one", script = DEBUGGER },
  { name = "strace, of a new process and of a running one", script = TRACER },
  { name = "tmux", script = MULTIPLEXER },
  { name = "sqlite with several writers", script = DATABASE },
  { name = "tar and rsync", script = ARCHIVE },
  { name = "perl's sockets", script = SOCKETS },
  { name = "useradd, su and chpasswd", script = USERS, root_only = true },
  { name = "dpkg", script = PACKAGE, root_only = true },
}

-- In a directory that any user may make one in; what it leaves running ends with it.
local FRAME = [[
set -eu
dir=$(mktemp -d /tmp/job.XXXXXX)
cd "$dir"
export PORT=%d
await() {
  for i in $(seq 600); do "$@" > /dev/null 2>&1 && return; sleep 0.1; done
  echo "never: $*" >&2
  return 1
}
%s
echo done
]]

--- The argv of a job. Jobs that run at once have different ports.
---@param job { script: string }
---@param port integer
---@return string[]
function jobs.argv(job, port) return { "bash", "-c", FRAME:format(port, job.script) } end

return jobs
