#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): `convert -n -c` into a qcow2 image that is there already.
#
# Guess: as without -c, the data is written anew; the old clusters, compressed or not, become free.
# Seen:  the first copy into the empty image works; the second ends with 1 and "error while writing at byte 0:
#        Input/output error", whether compressed, plain or shared with a snapshot is what lies there. Without -c the same
#        copy works each time. After a guest's discard of the range -c works again. The image stays sound.
# So:    a nightly `convert -n -c` into one target works once; an I/O error is not always the medium's.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q qemu-utils=1:7.2+dfsg-7+deb12u18+b3 >/dev/null 2>&1
apt-get download -q libaio1 liburing2 libnuma1 libglib2.0-0 libgnutls30 libzstd1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/usr/bin:$PATH
qemu-img --version | head -1

head -c 1M /dev/zero | tr '\0' 'a' > source.raw
copy() { # name of the step, expected exit code, options
  name=$1 expected=$2; shift 2
  code=0; qemu-img convert -n "$@" -f raw -O qcow2 source.raw target.qcow2 2>error || code=$?
  echo "$name: $code $(cat error)"
  [ "$code" = "$expected" ]
  [ "$code" = 0 ] || grep -q '^qemu-img: error while writing at byte 0: Input/output error$' error
  qemu-img check -q target.qcow2
}
qemu-img create -q -f qcow2 target.qcow2 1M
copy 'compressed into the empty image' 0 -c
copy 'compressed over compressed' 1 -c
copy 'plain over compressed' 0
copy 'compressed over plain' 1 -c
qemu-img snapshot -c s target.qcow2
copy 'compressed over what a snapshot shares' 1 -c
qemu-io -c 'discard -q 0 1M' target.qcow2
copy 'compressed after a discard' 0 -c
