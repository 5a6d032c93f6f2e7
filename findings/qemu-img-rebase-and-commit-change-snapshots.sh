#!/bin/sh
# qemu-img 7.2.22 (Debian qemu-utils 1:7.2+dfsg-7+deb12u18+b3): rebase and commit of an overlay that has an internal snapshot.
#
# Guess: safe rebase keeps what the image reads, snapshots too, or refuses the image.
# Seen:  `rebase -b` keeps the active disk, ends with 0 and says nothing; the snapshot reads from the new backing file
#        from then on wherever it has no cluster of its own. `commit` writes the active disk to the backing file and ends
#        with 0; the snapshot then reads what the guest wrote after it was taken. `check` finds nothing in either case.
# So:    an internal snapshot of an overlay lasts as long as its backing file and that file's content. Who moves an overlay
#        to another backing file has to compare or refuse its snapshots.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q qemu-utils=1:7.2+dfsg-7+deb12u18+b3 >/dev/null 2>&1
apt-get download -q libaio1 liburing2 libnuma1 libglib2.0-0 libgnutls30 libzstd1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/usr/bin:$PATH
qemu-img --version | head -1

fill() { # file, byte in octal: 1 MiB of it
  head -c 1048576 /dev/zero | tr '\0' "\\$2" >"$1"
}
overlay() { # an overlay on one.raw with a snapshot of what it reads at first
  fill one.raw 001
  fill two.raw 002
  rm -f top.qcow2
  qemu-img create -q -f qcow2 -b one.raw -F raw top.qcow2
  qemu-img snapshot -c first top.qcow2
}
reads() { # first byte of the snapshot, of the active disk
  qemu-img convert -l first -O raw top.qcow2 snapshot.raw
  qemu-img convert -O raw top.qcow2 active.raw
  qemu-img check -q top.qcow2
  for file in snapshot.raw active.raw; do head -c 1 $file | od -An -tu1 | tr -d ' '; done | paste -sd' '
}

overlay
before=$(reads)
qemu-img rebase -b two.raw -F raw top.qcow2
after=$(reads)
echo "rebase: snapshot and active disk began with $before, and begin with $after"
[ "$before" = "1 1" ] && [ "$after" = "2 1" ]

overlay
qemu-io -c 'write -q -P 7 0 64k' top.qcow2
before=$(reads)
qemu-img commit -q top.qcow2
after=$(reads)
echo "commit: snapshot and active disk began with $before, and begin with $after"
[ "$before" = "1 7" ] && [ "$after" = "7 7" ]
