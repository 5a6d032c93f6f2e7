#!/bin/sh
# nbdkit 1.32.5 (Debian nbdkit 1.32.5-1, its gzip filter) and the npm packages pako 2.1.0 and 3.0.3, fflate 0.8.2 and
# 0.8.3, on a gzip file of two members: a disk packed in two parts, one behind the other (RFC 1952, section 2.2).
#
# Guess: all unpack it whole, as `gzip -d` and Node's zlib do; fflate's `gunzipSync` perhaps not.
# Seen:  nbdkit serves the first member as if it were the disk, and says nothing. fflate's `gunzipSync` does the same in
#        both versions, and so does the stream `Gunzip` of 0.8.2 that gets the file in one piece. pako 2.1.0 throws
#        "invalid distance too far back". pako 3.0.3 and the stream of fflate 0.8.3 are right.
# So:    compare the size of the disk that comes out with the one that went in. Pack a disk that nbdkit is to serve in
#        one run.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
apt-get download -q nbdkit=1.32.5-1 libnbd-bin=1.14.2-1 libnbd0=1.14.2-1 libxml2 libicu72 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:); export LD_LIBRARY_PATH
PATH=$PWD/root/usr/bin:$PATH
plugins=$(find "$PWD/root" -type d -path '*/nbdkit/plugins')
filters=$(find "$PWD/root" -type d -path '*/nbdkit/filters')
nbdkit --version

awk 'BEGIN { srand(1); for (i = 0; i < 4194304; i++) printf "%c", 97 + int(rand() * 16) }' > disk.raw
head -c 1M disk.raw | gzip -1 > disk.gz
tail -c +1048577 disk.raw | gzip -1 >> disk.gz
gzip -dc disk.gz | cmp - disk.raw
nbdkit -U - --filter="$filters/nbdkit-gzip-filter.so" "$plugins/nbdkit-file-plugin.so" disk.gz \
  --run 'nbdcopy "$uri" served.raw'
size=$(stat -c %s served.raw)
echo "nbdkit serves $size bytes of $(stat -c %s disk.raw)"
[ "$size" = 1048576 ]
cmp -n 1048576 served.raw disk.raw

npm install --silent --no-fund --no-audit --no-save pako-2@npm:pako@2.1.0 pako-3@npm:pako@3.0.3 \
  fflate-2@npm:fflate@0.8.2 fflate-3@npm:fflate@0.8.3 >/dev/null 2>&1
cat > read.mjs <<'END'
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
const disk = readFileSync('disk.raw');
const packed = readFileSync('disk.gz');
const tell = (name, unpack) => {
  try {
    const bytes = Buffer.from(unpack(packed));
    console.log(`${name}: ${bytes.length} ${bytes.equals(disk) ? 'right' : 'short'}`);
  } catch (error) {
    console.log(`${name}: ${error.message ?? error}`);
  }
};
tell('node', gunzipSync);
for (const version of ['2', '3']) {
  const pako = await import(`pako-${version}`);
  tell(`pako-${version}`, (bytes) => pako.ungzip(bytes));
  const fflate = await import(`fflate-${version}`);
  tell(`fflate-${version} at once`, fflate.gunzipSync);
  tell(`fflate-${version} as a stream`, (bytes) => {
    const parts = [];
    new fflate.Gunzip((part) => parts.push(part)).push(bytes, true);
    return Buffer.concat(parts);
  });
}
END
node read.mjs | tee seen
cat > expected <<'END'
node: 4194304 right
pako-2: invalid distance too far back
fflate-2 at once: 1048576 short
fflate-2 as a stream: 1048576 short
pako-3: 4194304 right
fflate-3 at once: 1048576 short
fflate-3 as a stream: 4194304 right
END
cmp seen expected
