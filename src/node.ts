/** Images in files: opening, QEMU's locks, holes, new files. Everything else is in `qsnap`. */
export { openFile, openFileForEdit } from './io/node/open.js';
export { createNewFile } from './io/node/new-file.js';
export { newSha256 } from './node/sha256.js';
