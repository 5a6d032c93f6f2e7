#!/bin/sh
# zstddec 0.3.4 (npm), `decode(frame)` of a zstd frame that Node 24.9.0 (npm package `node`) has written.
#
# Guess: where the frame doesn't tell the size of its content, it fails with an error, of which its README warns.
# Seen:  right for a frame of `zstdCompressSync` given its size beforehand. The frame of the callback `zstdCompress` has
#        no content size in its header, which is the writer's choice (RFC 8878, 3.1.1.1); of it `decode` makes an array
#        of 16,908,218 bytes that are not the content, without an error, be the content 1,000 bytes or 3 MB.
#        With the size as second argument it is right, and so is `decode` of the other entry, `zstddec/stream`.
# So:    always give the size (a qcow2 cluster's is known), or import `zstddec/stream`; compare the length with it.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
npm install --silent --no-fund --no-audit --no-save node@24.9.0 zstddec@0.3.4 >/dev/null 2>&1
cat > read.mjs <<'END'
import { promisify } from 'node:util';
import { zstdCompress, zstdCompressSync } from 'node:zlib';
import { ZSTDDecoder } from 'zstddec';
import { ZSTDDecoder as StreamDecoder } from 'zstddec/stream';
const decoder = new ZSTDDecoder();
const streamDecoder = new StreamDecoder();
await Promise.all([decoder.init(), streamDecoder.init()]);
for (const size of [1000, 65536, 3000000]) {
  const content = Buffer.from('a text of some words, '.repeat(size / 20)).subarray(0, size);
  const tell = (name, bytes) =>
    console.log(size, name, bytes.length, Buffer.from(bytes).equals(content) ? 'right' : 'wrong');
  tell('with content size', decoder.decode(zstdCompressSync(content, { pledgedSrcSize: size })));
  const frame = await promisify(zstdCompress)(content);
  tell('without', decoder.decode(frame));
  tell('without, size given', decoder.decode(frame, size));
  tell('without, zstddec/stream', streamDecoder.decode(frame));
}
END
./node_modules/node/bin/node read.mjs | tee seen
for size in 1000 65536 3000000; do
  echo "$size with content size $size right"
  echo "$size without 16908218 wrong"
  echo "$size without, size given $size right"
  echo "$size without, zstddec/stream $size right"
done | cmp - seen
