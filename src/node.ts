/** Images in files: opening, QEMU's locks, holes. Everything else is in `qsnap`. */
export { openFile, openFileForEdit } from './io/node/open.js';
