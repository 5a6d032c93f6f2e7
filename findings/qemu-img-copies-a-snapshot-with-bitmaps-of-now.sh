#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): `convert --bitmaps -l SNAPSHOT` of a qcow2 image that
# has a snapshot and a persistent bitmap.
#
# Guess: it is refused, as `snapshot -a` of the same snapshot is, since a bitmap tells what changed on the active disk.
# Seen:  it ends with 0 and without a word. The copy has the content of the snapshot and the bitmap of the active disk:
#        where the two disks differ the bitmap says "clean".
# So:    no incremental backup from such a copy: it leaves out the difference. Copy snapshots without `--bitmaps`.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q qemu-utils=1:7.2+dfsg-7+deb12u18+b3 >/dev/null 2>&1
apt-get download -q libaio1 liburing2 libnuma1 libglib2.0-0 libgnutls30 libzstd1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/usr/bin:$PATH
qemu-img --version | head -1

qemu-img create -q -f qcow2 disk.qcow2 4M
qemu-io -c 'write -q -P 1 0 4M' disk.qcow2
qemu-img snapshot -c s disk.qcow2
qemu-io -c 'write -q -P 2 2M 64k' disk.qcow2
qemu-img convert -O raw disk.qcow2 full-backup.raw # what the bitmap counts from
qemu-img bitmap --add disk.qcow2 since-full
qemu-io -c 'write -q -P 3 3M 64k' disk.qcow2

refused=0; qemu-img snapshot -a s disk.qcow2 2>error || refused=$?
echo "snapshot -a: $refused, $(cat error)"
[ "$refused" = 1 ]
grep -q 'active dirty bitmaps' error

qemu-img convert --bitmaps -l s -O qcow2 disk.qcow2 copy.qcow2 2>error
[ ! -s error ]
qemu-img check -q copy.qcow2
qemu-img convert -O raw copy.qcow2 copy.raw
differ=$(cmp -l copy.raw full-backup.raw | awk '{ print int(($1 - 1) / 65536) }' | uniq)
qemu-nbd -r -k "$D/socket" -f qcow2 -B since-full --fork --pid-file=pid copy.qcow2
# The server ends when its first client has gone. QEMU shows a dirty range of a bitmap that is read by NBD as one
# without data.
dirty=$(qemu-img map --output=json --image-opts \
  "driver=nbd,server.type=unix,server.path=$D/socket,x-dirty-bitmap=qemu:dirty-bitmap:since-full" |
  sed -n 's/.*"start": \([0-9]*\), "length": 65536,.*"data": false.*/\1/p')
echo "the copy differs from the full backup in cluster $differ; the bitmap has cluster $((dirty / 65536)) dirty"
[ "$differ" = 32 ]
[ "$dirty" = $((48 * 65536)) ]
