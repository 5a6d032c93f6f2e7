#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): a size whose fraction rounds up to 1.
#
# Guess: 1.99999999999999999999M is 2 MiB, since no double lies between it and 2; or it is 1 MiB and 1023.99... KiB.
# Seen:  it is 1 MiB: the fraction is lost as a whole. With fewer nines (1.9999999999) it is right to the sector.
#        qemu-img 10.0.13 and 11.1.3 make 2 MiB of it.
# So:    a size that a program divided and printed with all its digits may lose a megabyte, and a terabyte with `T`.
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
try() { # size, bytes
  qemu-img create -q -f qcow2 disk "$1"
  bytes=$(qemu-img info --output=json disk | sed -n 's/ *"virtual-size": \([0-9]*\),/\1/p' | tail -n 1)
  echo "$1: $bytes bytes"
  [ "$bytes" = "$2" ]
}
try 1.99999999999999999999M 1048576
try 1.9999999999M 2097152
try 1.5M 1572864
try 1.99999999999999999999T 1099511627776
