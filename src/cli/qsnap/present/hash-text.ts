import type { HashedPiece } from '../../../index.js';
import { checksumLine } from './export-text.js';
import type { DiskDigest, HashManifest, VmStateDigest } from './hashed.js';

/** Lines that `sha256sum -c` takes; VM states are comments to it, since no export has them. */
export function hashLines({ disks, vmStates }: HashManifest): readonly string[] {
  return [...disks.flatMap(diskLine), ...vmStates.flatMap(vmStateLine)];
}

function diskLine({ digest, name }: DiskDigest): string[] {
  return digest === undefined ? [] : [checksumLine(digest, name)];
}

function vmStateLine({ digest, name }: VmStateDigest): string[] {
  return digest === undefined ? [] : [`# ${checksumLine(digest, name)}`];
}

/** The hash of a piece: the name of the disk's export, with the offset and length of the piece. */
export function pieceLine(name: string, { at, length, digest }: HashedPiece): string {
  return checksumLine(digest, `${name}@${at}+${length}`);
}
