#!/bin/sh
# 7-Zip 26.02 (Debian 7zip 22.01+really26.02+dfsg-0+deb12u1) on disks that qemu-img 7.2.22 (Debian qemu-utils
# 1:7.2+dfsg-7+deb12u18+b3) has written.
#
# Guess: it lists and extracts VMDK of every subformat, VHD, VHDX and VDI.
# Seen:  all but two. `vmdk -o subformat=streamOptimized`, the form of OVA files, is "Cannot open the file as [VMDK]
#        archive", whatever the disk's size. VHDX is refused where the disk has an odd number of sectors of 512 bytes.
#        qemu-img reads back both.
# So:    that 7-Zip refuses such a file is no sign of damage; a disk that 7-Zip is to open goes into another subformat.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q qemu-utils=1:7.2+dfsg-7+deb12u18+b3 >/dev/null 2>&1
apt-get download -q 7zip=22.01+really26.02+dfsg-0+deb12u1 >/dev/null 2>&1
apt-get download -q libaio1 liburing2 libnuma1 libglib2.0-0 libgnutls30 libzstd1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/usr/bin:$PATH
qemu-img --version | head -1
7zz | sed -n 2p

try() { # number of sectors, expected answer, suffix, format and options of qemu-img
  sectors=$1 expected=$2 suffix=$3; shift 3
  rm -rf made; mkdir made
  awk -v n="$sectors" 'BEGIN { srand(1); for (i = 0; i < n * 512; i++) printf "%c", 97 + int(rand() * 16) }' > disk.raw
  qemu-img convert -f raw -O "$@" disk.raw "made/disk.$suffix"
  qemu-img compare -q -f raw -F "$1" disk.raw "made/disk.$suffix"
  seen=opens; 7zz x -y -omade/out "made/disk.$suffix" >/dev/null 2>error || seen=refuses
  [ $seen = refuses ] || cmp made/out/* disk.raw
  echo "$seen $* of $sectors sectors: $(grep 'Open ERROR' error || true)"
  [ $seen = "$expected" ]
}
for sectors in 2048 2049; do
  try $sectors opens vmdk vmdk
  try $sectors opens vmdk vmdk -o subformat=twoGbMaxExtentSparse
  try $sectors opens vmdk vmdk -o subformat=monolithicFlat
  try $sectors refuses vmdk vmdk -o subformat=streamOptimized
  try $sectors opens vhd vpc -o force_size=on
  try $sectors opens vhd vpc -o subformat=fixed,force_size=on
  try $sectors opens vdi vdi
done
try 2048 opens vhdx vhdx
try 2049 refuses vhdx vhdx
try 2050 opens vhdx vhdx
try 40960 refuses vmdk vmdk -o subformat=streamOptimized
