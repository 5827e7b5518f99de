--- Clients of the network, as they come: none is told of a proxy. Each is a shell script that gets
--- $HOST and $PORT, and in $WORK what spec/fixtures/clients/setup.sh has made; it ends with 0 and
--- says `hello` only if it got what it came for.
local clients = {}

-- What a service is reached by, and a port of that name which is not allowed.
local WEB, TLS, SSH = { 80, 8080 }, { 443, 8443 }, { 22, 2222 }

local ASK = [[printf 'GET /greeting HTTP/1.0\r\n\r\n' | ]]

---@class spec.Client
---@field name string
---@field transport string
---@field ports { [1]: integer, [2]: integer } allowed, and refused
---@field script string
---@field retries string? what the script tells it about trying again, where by itself it does so for long
---@field is_silent boolean? it may take a connection that is reset for one that has ended
---@field is_heavy boolean? of an image that takes long to make

---@param name string
---@param transport string
---@param ports integer[]
---@param script string
---@param more table?
local function client(name, transport, ports, script, more)
  local it = more or {}
  it.name, it.transport, it.ports, it.script = name, transport, ports, script
  clients[#clients + 1] = it
end

client("curl", "http", WEB, "curl -sS http://$HOST:$PORT/greeting")
client("curl", "https", TLS, "curl -sS https://$HOST:$PORT/greeting")
client("wget", "http", WEB,
  "wget -t 1 -O - http://$HOST:$PORT/greeting", { retries = "-t 1" })
client("wget", "https", TLS, "wget -t 1 -O - https://$HOST:$PORT/greeting", { retries = "-t 1" })
client("busybox wget", "http", WEB, "busybox wget -q -O - http://$HOST:$PORT/greeting")
client("busybox nc", "tcp", WEB, ASK .. "busybox nc $HOST $PORT", { is_silent = true })
client("bash", "tcp", WEB,
  [[exec 3<>/dev/tcp/$HOST/$PORT && printf 'GET /greeting HTTP/1.0\r\n\r\n' >&3 && cat <&3]])
client("socat", "tcp", WEB, ASK .. "socat -t 9 - TCP:$HOST:$PORT", { is_silent = true })
client("aria2c (c-ares)", "https", TLS, [[aria2c -q --log=- --log-level=notice \
  --max-tries=1 --allow-overwrite -d . -o got https://$HOST:$PORT/greeting && cat got]],
  { retries = "--max-tries=1" })
client("python urllib", "https", TLS, [[python3 -c '
import os, urllib.request as r
print(r.urlopen("https://%(HOST)s:%(PORT)s/greeting" % os.environ).read().decode())']])
client("python asyncio", "https", TLS, "python3 $HERE/get_async.py $HOST $PORT")
client("python smtplib", "smtp, STARTTLS", { 587, 588 }, [[python3 -c '
import os, smtplib, ssl
with smtplib.SMTP(os.environ["HOST"], int(os.environ["PORT"])) as s:
    s.starttls(context=ssl.create_default_context())
    print("hello" if s.ehlo()[0] == 250 else s)']])
client("pip", "https", TLS, [[PIP_CERT=/etc/ssl/certs/ca-certificates.crt python3 -m pip download \
  --retries 1 --disable-pip-version-check --no-cache-dir --no-deps -d . \
  -i https://$HOST:$PORT/simple tried >&2 && test -s tried-1-py3-none-any.whl && echo hello]],
  { retries = "--retries 1" })
client("perl HTTP::Tiny", "https", TLS, [[perl -MHTTP::Tiny -e '
  my $r = HTTP::Tiny->new(verify_SSL => 1)->get("https://$ENV{HOST}:$ENV{PORT}/greeting");
  die "$r->{reason}: $r->{content}" unless $r->{success}; print $r->{content}']])
client("ruby net/http", "https", TLS, [[ruby -rnet/http -e '
  print Net::HTTP.get(URI("https://#{ENV["HOST"]}:#{ENV["PORT"]}/greeting"))']])
client("openssl s_client", "tls", TLS, ASK
  .. "openssl s_client -quiet -verify_return_error -connect $HOST:$PORT")
client("gnutls-cli", "tls", TLS,
  [[mkfifo p; exec 3<>p; printf 'GET /greeting HTTP/1.0\r\n\r\n' >&3
gnutls-cli --logfile=/dev/null $HOST:$PORT <&3]])
client("git", "https", TLS, "git clone -q https://$HOST:$PORT/repo.git got && echo hello")
client("git", "git", { 9418, 9419 }, "git clone -q git://$HOST:$PORT/repo.git got && echo hello")
client("git", "ssh", SSH,
  [[GIT_SSH_COMMAND='ssh -o StrictHostKeyChecking=accept-new -o BatchMode=yes' git clone -q \
  ssh://root@$HOST:$PORT$WORK/www/repo.git got && echo hello]])
client("ssh", "ssh", SSH,
  "ssh -o StrictHostKeyChecking=accept-new -o BatchMode=yes -p $PORT root@$HOST echo hello")
client("rsync", "rsync", { 873, 874 },
  "rsync rsync://$HOST:$PORT/files/greeting got && cat got")
client("psql", "postgres, TLS", { 5432, 5433 },
  [[PGSSLMODE=verify-full PGSSLROOTCERT=$WORK/ca.pem \
  psql -XAt -h $HOST -p $PORT -U me -c 'select 1' d]])
client("redis-cli", "redis", { 6379, 6380 },
  "redis-cli -e -h $HOST -p $PORT ping | sed s/PONG/hello/")
client("apt", "https", TLS, [[echo "deb [trusted=yes] https://$HOST:$PORT/apt ./" > list
apt() { apt-get -qq -o Dir::Etc::sourcelist=$PWD/list -o Dir::Etc::sourceparts=- \
  -o Acquire::Retries=0 -o APT::Sandbox::User=root "$@"; }
apt update --error-on=any && apt download tried && test -s tried*.deb && echo hello]],
  { retries = "Acquire::Retries=0" })
client("C, static, musl", "http", WEB, "$WORK/bin/get-musl $HOST $PORT")

client("node fetch", "https", TLS, [[NODE_EXTRA_CA_CERTS=$WORK/ca.pem node -e '
  const { HOST, PORT } = process.env;
  fetch(`https://${HOST}:${PORT}/greeting`).then((r) => r.text()).then(console.log, (problem) => {
    console.error(problem.cause.message);
    process.exit(1);
  })']], { is_heavy = true })
client("node c-ares", "https", TLS,
  "NODE_EXTRA_CA_CERTS=$WORK/ca.pem node $HERE/get_cares.mjs $HOST $PORT", { is_heavy = true })
client("npm", "https", TLS, [[npm install --loglevel=error --no-audit --no-fund \
  --no-update-notifier --cache=cache --fetch-retries=0 --cafile=$WORK/ca.pem \
  --registry=https://$HOST:$PORT/npm/ tried && test -f node_modules/tried/package.json &&
  echo hello]], { is_heavy = true, retries = "--fetch-retries=0" })
client("Java HttpClient", "https", TLS, [[java -Djavax.net.ssl.trustStore=$WORK/bin/trusted \
  -Djavax.net.ssl.trustStorePassword=changeit \
  -cp $WORK/bin Get https://$HOST:$PORT/greeting]], { is_heavy = true })
client("Go, static", "https", TLS, "$WORK/bin/get-go https://$HOST:$PORT/greeting",
  { is_heavy = true })
client("php", "https", TLS, [[php -r '
  $h = getenv("HOST"); $p = getenv("PORT");
  $got = file_get_contents("https://$h:$p/greeting"); echo $got; exit($got === false ? 1 : 0);']],
  { is_heavy = true })

return clients
