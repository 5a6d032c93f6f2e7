#!/bin/sh
# partitioninfo 6.0.3 (npm), on a GPT that fdisk 2.38.1 (Debian fdisk 2.38.1-5+deb12u3) has made with `-b 4096`: the
# disk of a guest whose disk has sectors of 4096 bytes (QEMU: `logical_block_size=4096`).
#
# Guess: it finds no partition table, as most readers of files look for sectors of 512 bytes alone.
# Seen:  it finds the table and each partition, and says nothing; but it counts all sectors as 512 bytes, so that each
#        partition begins at an eighth of its place and has an eighth of its size. With sectors of 1024 and 2048 bytes
#        it is the half and the quarter.
# So:    before its `offset` and `size` are used, above all to write there, look where "EFI PART" stands: that is
#        sector 1, so that byte 4096 means sectors of 4096 bytes.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q fdisk=2.38.1-5+deb12u3 libfdisk1 libsmartcols1 libreadline8 libncursesw6 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/sbin:$PATH
fdisk --version
npm install --silent --no-fund --no-audit --no-save partitioninfo@6.0.3 >/dev/null 2>&1
cat > read.mjs <<'END'
import { closeSync, openSync, readSync } from 'node:fs';
import { getPartitions } from 'partitioninfo';
const { type, partitions } = await getPartitions(process.argv[2]);
const [first] = partitions;
const disk = openSync(process.argv[2]);
const start = Buffer.alloc(5);
readSync(disk, start, 0, 5, first.offset);
closeSync(disk);
const word = start.equals(Buffer.from('first')) ? 'right' : 'wrong';
console.log(type, partitions.length, 'first', first.offset, first.size, word);
END
for sector in 512 1024 2048 4096; do
  rm -f disk.raw; truncate -s 64M disk.raw
  printf 'g\nn\n1\n%s\n+16M\nn\n2\n\n+16M\nw\n' $((1048576 / sector)) | fdisk -b $sector disk.raw >/dev/null
  printf first | dd of=disk.raw bs=1M seek=1 conv=notrunc status=none
  made=$(fdisk -b $sector -l -o Start,Sectors disk.raw |
    awk -v s=$sector 'table { print $1 * s, $2 * s; exit } /Start/ { table = 1 }')
  seen=$(node read.mjs disk.raw)
  echo "sectors of $sector: made at $made; seen: $seen"
  [ "$made" = '1048576 16777216' ]
  [ $sector = 512 ] && word=right || word=wrong
  [ "$seen" = "gpt 2 first $((1048576 * 512 / sector)) $((16777216 * 512 / sector)) $word" ]
done
