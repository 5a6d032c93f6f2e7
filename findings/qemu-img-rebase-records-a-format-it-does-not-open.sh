#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): `rebase` without `-u`, to a file that is in the chain already,
# with a wrong `-F`.
#
# Guess: the new backing file is opened with the format that -F names, as any other is, so that a wrong one fails.
# Seen:  exit code 0: the file is open already, so nobody opens it by that format, which is recorded. The image can't be
#        opened any more. To a copy of the same file under another name the same words fail. 10.0.13 and 11.1.3 do the same.
# So:    after a rebase within a chain only opening the image tells whether the recorded format is right.
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
qemu-img create -q -f qcow2 base.qcow2 1M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 mid.qcow2
qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2
cp base.qcow2 copy.qcow2
if qemu-img rebase -b copy.qcow2 -F vmdk top.qcow2; then exit 1; fi
echo 'a file outside of the chain, as vmdk: refused'
qemu-img rebase -b base.qcow2 -F vmdk top.qcow2
echo 'a file of the chain, as vmdk: exit code 0'
qemu-img info -U top.qcow2 | grep 'backing file format: vmdk'
if qemu-img map top.qcow2; then exit 1; fi
echo 'and the image can not be opened any more'
