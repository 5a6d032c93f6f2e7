/** Images in files: opening, QEMU's locks, holes, new files. Everything else is in `qsnap`. */
export { openFile } from './io/node/open.js';
export { openFileForEdit } from './io/node/open-for-edit.js';
export { createNewFile, openFileToReplace } from './io/node/new-file.js';
export type { NewFile, ReplaceableFile } from './io/node/new-file.js';
export { fileIdentity } from './io/node/identity.js';
export { createOutputFile } from './io/node/output-file.js';
export type { InputFile, OutputFile, OutputFileOptions } from './io/node/output-file.js';
export { nodeCompressor } from './node/compressor.js';
export { nodeCryptography } from './node/cryptography.js';
export { nodeDecompressor } from './node/decompressor.js';
export { equalBytes } from './node/equal-bytes.js';
export { fileGate } from './node/file-gate.js';
export type { FileGateOptions } from './node/file-gate.js';
export { newSha256 } from './node/sha256.js';
