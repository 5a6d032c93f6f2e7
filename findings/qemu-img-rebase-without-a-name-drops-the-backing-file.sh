#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): `rebase -u` without `-b`.
#
# Guess: refused, since the help has `-b backing_file` without brackets; or nothing changes but the format that -F names.
# Seen:  the backing file is dropped without a word, exit code 0: what the overlay does not hold reads as zeros. With
#        `-F raw` alone as well. qemu-img 10.0.13 and 11.1.3 do the same.
# So:    a script whose variable for the name is not set empties an overlay; the name can be put back by another rebase -u.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q qemu-utils=1:7.2+dfsg-7+deb12u18+b3 >/dev/null 2>&1
needed() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    qemu-utils | grep -E '^lib' | grep -vE '^(libc6|libc-bin|libgcc-s1|libcrypt1)$' | sort -u
}
for package in $(needed); do apt-get download -q "$package" >/dev/null 2>&1 || true; done
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/usr/bin:$PATH
qemu-img --version | head -1
qemu-img --help | grep -F -- '-b backing_file [-F backing_fmt] filename'

qemu-img create -q -f qcow2 base.qcow2 1M
qemu-io -c 'write -q -P 7 0 1M' base.qcow2
try() { # options
  qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
  said=$(qemu-img rebase -u "$@" top.qcow2 2>&1)
  echo "rebase -u $*: exit code $?, printed '$said'"
  if qemu-img info top.qcow2 | grep 'backing file'; then exit 1; fi
  qemu-io -r -c 'read -q -P 0 0 1M' top.qcow2
  qemu-img rebase -u -b base.qcow2 -F qcow2 top.qcow2
  qemu-io -r -c 'read -q -P 7 0 1M' top.qcow2
}
try
try -f qcow2
try -F raw
