#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3), on a qcow2 image whose last structure is a compressed
# cluster. The file lacks its last 100 bytes, which is less than a sector.
#
# Guess: `check` says so, or reading fails, as it does where a whole sector is missing.
# Seen:  `check` finds no errors (0) and `convert` ends with 0, and the guest's cluster is wrong: with zlib in some
#        hundred bytes, with zstd in a quarter of the cluster (from 2 missing bytes on). The missing bytes are taken
#        as zeros and unpacked, and neither kind of stream has a sum over what it holds.
# So:    a clean check and a copy that worked don't show that a compressed image was copied whole.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q qemu-utils=1:7.2+dfsg-7+deb12u18+b3 >/dev/null 2>&1
apt-get download -q libaio1 liburing2 libnuma1 libglib2.0-0 libgnutls30 libzstd1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/usr/bin:$PATH
qemu-img --version | head -1

# Sixteen letters in no order: they can be packed, and every byte of the stream counts.
awk 'BEGIN { srand(1); for (i = 0; i < 65536; i++) printf "%c", 97 + int(rand() * 16) }' > cluster
for type in zlib zstd; do
  qemu-img create -q -f qcow2 -o compression_type=$type $type.qcow2 1M
  qemu-io -c 'write -q -c -s cluster 0 64k' $type.qcow2
  qemu-img convert -O raw $type.qcow2 whole.raw
  head -c 65536 whole.raw | cmp - cluster
  truncate -s -100 $type.qcow2
  qemu-img check -q $type.qcow2 && checked=0 || checked=$?
  qemu-img convert -O raw $type.qcow2 $type.raw && read=0 || read=$?
  wrong=$(head -c 65536 $type.raw | cmp -l cluster - | wc -l)
  echo "$type: check ends with $checked, convert with $read, $wrong bytes of the guest are wrong"
  [ "$checked" = 0 ] && [ "$read" = 0 ] && [ "$wrong" -gt 0 ]
done
