#!/bin/sh
# Node 20.19.5 and 22.20.0 (npm package `node`): DecompressionStream('deflate-raw') on a stream that ends early.
#
# Guess: reading throws a TypeError, as the Compression Streams standard asks for
#        (https://compression.spec.whatwg.org/#decompress-and-flush-chunk).
# Seen:
