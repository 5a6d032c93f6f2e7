#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): `convert -c` with narrow refcounts, then a snapshot.
#
# Guess: 8-bit refcounts count to 255, so that an image without a snapshot has room for dozens of them.
# Seen:  convert packs compressed clusters into one host cluster until its refcount can hold no more: 255 of clusters that
#        compress well. The first `snapshot -c` would have to double that, ends with 1 and "-22 (Invalid argument)", and
#        leaves one or two leaked clusters. The same with 4 and 2 bits; with 16 bits the snapshot is taken. One bit takes none, ever.
# So:    of images with narrow refcounts, a compressed one may take no internal snapshot although it never had any; who
#        packs compressed clusters has to leave room in the refcount.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q qemu-utils=1:7.2+dfsg-7+deb12u18+b3 >/dev/null 2>&1
apt-get download -q libaio1 liburing2 libnuma1 libglib2.0-0 libgnutls30 libzstd1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/usr/bin:$PATH
qemu-img --version | head -1

# 256 clusters of one byte each, none of them zeros.
for byte in 1 2 3 4 5 6 7; do head -c 2359296 /dev/zero | tr '\0' "\\$byte"; done > source.raw
truncate -s %65536 source.raw
take() { # bits of a refcount, expected exit code
  qemu-img convert -c -f raw -O qcow2 -o "refcount_bits=$1" source.raw packed.qcow2
  qemu-img check -q packed.qcow2
  code=0; qemu-img snapshot -c first packed.qcow2 2>error || code=$?
  leaks=$(qemu-img check --output=json packed.qcow2 2>/dev/null | sed -n 's/.*"leaks": \([0-9]*\).*/\1/p')
  echo "refcounts of $1 bits: exit code $code, ${leaks:-0} leaked clusters; $(cat error)"
  [ "$code" = "$2" ]
  [ "$code" = 0 ] || { grep -q -- '-22 (Invalid argument)' error && [ "$leaks" -ge 1 ]; }
}
take 2 1
take 4 1
take 8 1
take 16 0
