--- The root file system of an image, made from a distribution's own packages: a shell script, which
--- runs as root of its own namespaces, so that what it mounts, and whatever still runs, goes with
--- it.
---
--- Its arguments: mmdebstrap or debootstrap, the directory to work in, the suite, the archive, the
--- keyring ("" is the tool's own), then the packages. $AXO_SOURCES has the lines for apt. Each stage
--- is told on stdout by a line that begins with "axo: ". It leaves image.tar.
return [[
set -eu
tool=$1 work=$2 suite=$3 url=$4 keyring=$5
shift 5
root=$work/root

# What would be made with mknod, which nobody may in a user namespace.
devices() {
  mkdir -p "$root/dev"
  for name in null zero full random urandom tty; do
    [ -e "$root/dev/$name" ] || : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
}

# Nobody reads a manual in a sandbox, and nothing of this must survive a power failure.
write_dpkg_options() {
  mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
  cat >"$root/etc/dpkg/dpkg.cfg.d/axosandbox" <<'END'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
END
}

in_root() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

echo "axo: making a minimal $suite"
if [ "${tool##*/}" = mmdebstrap ]; then
  "$tool" --mode=root --variant=minbase ${keyring:+"--keyring=$keyring"} \
    --dpkgopt=force-unsafe-io "$suite" "$root" "deb $url $suite main"
  devices
  write_dpkg_options
else
  devices
  write_dpkg_options
  container=lxc "$tool" --force-check-gpg --variant=minbase \
    ${keyring:+"--keyring=$keyring"} "$suite" "$root" "$url"
fi

# Services are not started here, and none will be in a sandbox.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mount -t proc proc "$root/proc"
[ -z "$AXO_SOURCES" ] || printf '%s\n' "$AXO_SOURCES" >"$root/etc/apt/sources.list"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
echo "axo: reading the lists of packages"
in_root apt-get -q update
echo "axo: installing $*"
in_root apt-get -q -y upgrade
in_root apt-get -q -y --no-install-recommends install ca-certificates "$@"
in_root apt-get -q clean
in_root useradd --create-home --uid 1000 --shell /bin/bash dev || :

echo "axo: packing the image"
rm -f "$root/etc/dpkg/dpkg.cfg.d/axosandbox" "$root/etc/hostname" "$root/etc/resolv.conf"
tar -C "$root" --one-file-system --numeric-owner --exclude='./dev/*' --exclude='./proc/*' \
  --exclude='./sys/*' --exclude='./run/*' --exclude='./tmp/*' --exclude='./var/cache/apt/*' \
  --exclude='./var/lib/apt/lists/*' --exclude='./var/log/*.log' -cf "$work/image.tar" .
]]
