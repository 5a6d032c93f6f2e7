#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): `convert -O qcow2 -o data_file=NAME,compat=0.10`, where NAME is a file
# with data.
#
# Guess: version 2 can't have an external data file, so the options are refused and nothing is touched.
# Seen:  they are refused, with exit code 1, and the file NAME is gone. qemu-img 10.0.13 and 11.1.3 print the same.
# So:    a command line that can't work deletes a file that it was only going to name.
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

head -c 1048576 /dev/zero > source.raw
printf 'somebody needs this' > kept.raw
code=0
qemu-img convert -f raw -O qcow2 -o data_file=kept.raw,compat=0.10 source.raw disk.qcow2 > said.txt 2>&1 || code=$?
cat said.txt
echo "exit code $code"
[ "$code" = 1 ]
if [ -e kept.raw ]; then echo 'kept.raw is there'; exit 1; fi
echo 'kept.raw is gone'
