#!/bin/sh
# Node 20.19.5, 22.20.0 and 24.9.0 (npm package `node`): DecompressionStream('deflate-raw') over a stream that ends
# early, and over one that other bytes follow.
#
# Guess: reading either throws a TypeError, as the Compression Streams standard asks for
#        (https://compression.spec.whatwg.org/).
# Seen:  the early end is a plain Error in Node 20, so that code which tells bad input by `instanceof TypeError` takes it
#        for a fault of its own; from Node 22 on a TypeError, with an empty message. Bytes that follow are no error in
#        any of the three. `code` is Z_BUF_ERROR in all, which no browser has.
# So:    with Node 20 in support, catch everything that the stream throws, and count the bytes that came out.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
cat > read.mjs <<'END'
import { deflateRawSync } from 'node:zlib';
const packed = deflateRawSync(Buffer.from('a short text, twice: a short text'));
const cases = { whole: packed, early: packed.subarray(0, -3), followed: Buffer.concat([packed, Buffer.from('more')]) };
const told = [];
for (const [name, bytes] of Object.entries(cases)) {
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
    let length = 0;
    for await (const chunk of stream) length += chunk.length;
    told.push(`${name} ${length}`);
  } catch (error) {
    told.push(`${name} ${error.constructor.name} ${error.code} "${error.message}"`);
  }
}
console.log(told.join(', '));
END
for version in 20.19.5 22.20.0 24.9.0; do
  npm install --silent --no-fund --no-audit --no-save "node@$version" >/dev/null 2>&1
  seen=$(./node_modules/node/bin/node read.mjs)
  echo "$version: $seen"
  case $version in
    20.*) [ "$seen" = 'whole 33, early Error Z_BUF_ERROR "unexpected end of file", followed 33' ] ;;
    *) [ "$seen" = 'whole 33, early TypeError Z_BUF_ERROR "", followed 33' ] ;;
  esac
done
