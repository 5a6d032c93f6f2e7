#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): `convert -n --bitmaps` into an image that has a bitmap of the same name.
#
# Guess: names are looked at before anything is written, or the bitmap is replaced.
# Seen:  exit code 1, "Bitmap already exists", after all of the target's disk was overwritten; its bitmap, which notes
#        changes, stays under its name. qemu-img 11.1.3 does the same.
# So:    a failed copy has replaced the disk all the same.
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

qemu-img create -q -f qcow2 source.qcow2 1M
qemu-io -c 'write -q -P 1 0 64k' source.qcow2
qemu-img bitmap --add source.qcow2 nightly
qemu-img create -q -f qcow2 target.qcow2 1M
qemu-io -c 'write -q -P 2 0 128k' target.qcow2
qemu-img bitmap --add target.qcow2 nightly
code=0
qemu-img convert -n --bitmaps -O qcow2 source.qcow2 target.qcow2 > said.txt 2>&1 || code=$?
cat said.txt
echo "exit code $code"
[ "$code" = 1 ]
grep -q 'already exists' said.txt
qemu-img compare source.qcow2 target.qcow2
