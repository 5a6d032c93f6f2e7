#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): `amend -o compat=0.10` of an image with a snapshot, whose disk
# was written with zeros afterwards.
#
# Guess: version 2 has no flag for zeros, so the disk's zeros get clusters of their own; the snapshot stays what it is.
# Seen:  exit code 0 and no message, but zeros are written into the cluster that the snapshot has: its data is gone. A check
#        then finds corruptions. qemu-img 10.0.13 and 11.1.3 do the same.
# So:    a downgrade loses what snapshots hold wherever `write -z` left the cluster in place.
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
qemu-img create -q -f qcow2 disk.qcow2 1M
qemu-io -c 'write -q -P 7 0 64k' disk.qcow2
qemu-img snapshot -c before disk.qcow2
qemu-io -c 'write -q -z 0 64k' disk.qcow2
qemu-img check disk.qcow2 | head -1
snapshot() { qemu-img convert -q -l snapshot.name=before -O raw disk.qcow2 was.raw; }
snapshot; qemu-io -r -f raw -c 'read -q -P 7 0 64k' was.raw
echo 'before: the snapshot reads as 7'

said=$(qemu-img amend -o compat=0.10 disk.qcow2 2>&1)
echo "amend -o compat=0.10: exit code $?, printed '$said'"
[ "$said" = '' ]
snapshot; qemu-io -r -f raw -c 'read -q -P 0 0 64k' was.raw
echo 'after: the snapshot reads as zeros'
if qemu-img check disk.qcow2 > check.txt 2>&1; then exit 1; fi
tail -3 check.txt
