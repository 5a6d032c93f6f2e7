#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): a disk is made smaller, to a size that is no multiple of
# the cluster size, and then larger again.
#
# Guess: what the larger disk has gained reads as zeros, as with a raw disk.
# Seen:  a raw disk and a qcow2 disk over a backing file do so. In a qcow2 image that stands alone the rest of the last
#        cluster is there again with what lay in it before, be the cluster shared with a snapshot or not. A smaller size
#        that is a multiple of the cluster size brings zeros. `check` finds nothing in any of them.
# So:    make a disk smaller to whole clusters, or write zeros behind the new end after it has grown, before a partition
#        is put there.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q qemu-utils=1:7.2+dfsg-7+deb12u18+b3 >/dev/null 2>&1
apt-get download -q libaio1 liburing2 libnuma1 libglib2.0-0 libgnutls30 libzstd1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/usr/bin:$PATH
qemu-img --version | head -1

head -c 2M /dev/zero | tr '\0' 'a' > source.raw
smaller_and_larger() { # name of the step, format, smaller size, expected count of old bytes
  qemu-img resize -q --shrink -f "$2" disk "$3"
  qemu-img resize -q -f "$2" disk 2M
  qemu-img convert -f "$2" -O raw disk read.raw
  old=$(tail -c +$(($3 + 1)) read.raw | tr -d '\0' | wc -c)
  echo "$1: $old old bytes behind the end that was $3"
  [ "$old" = "$4" ]
  [ "$2" = raw ] || qemu-img check -q disk
}
inside=$((1024 * 1024 + 512)) # 512 bytes into a cluster of 64 KiB
cp source.raw disk
smaller_and_larger 'raw' raw $inside 0
qemu-img create -q -f qcow2 -F raw -b source.raw disk
smaller_and_larger 'qcow2 over a backing file' qcow2 $inside 0
qemu-img convert -f raw -O qcow2 source.raw disk
smaller_and_larger 'qcow2, whole clusters' qcow2 $((1024 * 1024)) 0
qemu-img convert -f raw -O qcow2 source.raw disk
smaller_and_larger 'qcow2, inside a cluster' qcow2 $inside $((65536 - 512))
qemu-img convert -f raw -O qcow2 source.raw disk
qemu-img snapshot -c s disk
smaller_and_larger 'qcow2 with a snapshot, inside a cluster' qcow2 $inside $((65536 - 512))
