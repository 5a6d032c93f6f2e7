#!/bin/sh
# QEMU 7.2.22 (Debian qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3) and eu-elflint 0.188 (Debian elfutils 0.188-2.1): the ELF
# core file of `dump-guest-memory`.
#
# Guess: the header says of itself what it is, 64 bytes long (e_ehsize), as every linker writes it.
# Seen:  it says 8, of one processor and of two; all other fields of the header are right. readelf and gdb do not mind;
#        eu-elflint calls the header's size wrong. QEMU 11.1.3 writes the same.
# So:    who compares a core with one of QEMU's has to leave this byte out, and a reader must not take e_ehsize for where
#        the header ends.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q qemu-system-x86=1:7.2+dfsg-7+deb12u18+b3 elfutils=0.188-2.1 >/dev/null 2>&1
needed() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    qemu-system-x86 elfutils | grep -E '^(lib|qemu-system-common)' | grep -vE '^(libc6|libc-bin|libgcc-s1|libcrypt1)$' | sort -u
}
for package in $(needed); do apt-get download -q "$package" >/dev/null 2>&1 || true; done
for package in *.deb; do dpkg -x "$package" root; done
# Data that the program looks for beside itself is not needed: the machine gets a ROM of our own, which halts.
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
root/usr/bin/qemu-system-x86_64 --version | head -1
head -c 65536 /dev/zero | tr '\0' '\364' > rom.bin

dump() { # processors
  rm -f core
  { echo '{"execute":"qmp_capabilities"}'
    echo '{"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"file:core"}}'
    sleep 2; echo '{"execute":"quit"}'; } |
    root/usr/bin/qemu-system-x86_64 -accel tcg -M pc -m 4 -smp "$1" -nodefaults -no-acpi -display none -S \
      -global apic-common.vapic=off -bios rom.bin -L . -qmp stdio >said 2>&1
  size=$(od -An -tu2 -j52 -N2 core | tr -d ' ')
  echo "$1 processors: e_ehsize $size, e_phentsize $(od -An -tu2 -j54 -N2 core | tr -d ' ')"
  [ "$size" = 8 ]
  root/usr/bin/eu-elflint core > lint || true
  grep -i 'header size' lint
}
dump 1
dump 2
