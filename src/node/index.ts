/** Images in files: opening, QEMU's locks, holes, new files. Everything else is in `qsnap`. */
export { openImageFile } from './open-image-file.js';
export type { OpenImageFileOptions } from './open-image-file.js';
export { exportDisk } from './export-disk.js';
export type { ExportOptions } from './export-disk.js';
export { openFile } from './files/open.js';
export { openFileForEdit } from './files/open-for-edit.js';
export { createNewFile, openFileToReplace } from './files/new-file.js';
export type { NewFile, ReplaceableFile } from './files/new-file.js';
export { fileIdentity } from './files/identity.js';
export { createOutputFile } from './files/output-file.js';
export type { InputFile, OutputFile, OutputFileOptions } from './files/output-file.js';
export { nodeCompressor } from './compressor.js';
export { nodeCryptography } from './cryptography.js';
export { nodeDecompressor } from './decompressor.js';
export { equalBytes } from './equal-bytes.js';
export { fileGate } from './file-gate.js';
export type { FileGateOptions } from './file-gate.js';
export { newSha256 } from './sha256.js';
