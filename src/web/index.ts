/**
 * What the engine needs to read guest data where there is no Node: in browsers, Deno and other places.
 * Everything else is in `qsnap`.
 */
export { webCryptography } from './cryptography.js';
export { webDecompressor } from './decompressor.js';
export { newSha256 } from './sha256.js';
