/**
 * What the engine needs to read guest data where there is no Node: in browsers, Deno and other places.
 * Everything else is in `qsnap`.
 */
export { webCryptography } from './web/cryptography.js';
export { webDecompressor } from './web/decompressor.js';
export { newSha256 } from './web/sha256.js';
