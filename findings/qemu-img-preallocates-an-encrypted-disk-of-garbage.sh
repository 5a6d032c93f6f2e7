#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): `create -o preallocation=full` of an encrypted image, read by a guest.
#
# Guess: a new disk reads as zeros, as it does without encryption and without preallocation.
# Seen:  it reads as bytes that look random, since what was written in advance are zeros that nobody encrypted.
#        `map` calls all of it data. qemu-img 10.0.13 and 11.1.3 do the same.
# So:    whoever takes a new disk for one of zeros, as mkfs with lazy tables may, finds other bytes there.
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

secret='secret,id=s,data=pass'
made() {
  tries=0
  # The measuring of CPU time fails now and then.
  until qemu-img create -q --object "$secret" -f qcow2 \
    -o "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,preallocation=$1" disk.qcow2 1M; do
    tries=$((tries + 1)); [ "$tries" -lt 5 ]
  done
  qemu-img convert --object "$secret" --image-opts driver=qcow2,file.filename=disk.qcow2,encrypt.key-secret=s -O raw disk.raw
  tr -d '\000' < disk.raw | wc -c
}
zeros=$(made off)
echo "without preallocation: $zeros bytes are not zero"
[ "$zeros" = 0 ]
garbage=$(made full)
echo "preallocation=full: $garbage bytes are not zero"
[ "$garbage" -gt 1000000 ]
