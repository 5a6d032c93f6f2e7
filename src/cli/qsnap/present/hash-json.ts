import { errorJson } from '../report.js';
import type { DiskDigest, HashManifest, VmStateDigest } from './hashed.js';
import { snapshotNamesJson } from './snapshot-json.js';

/** docs/schema/hash.json. */
export function hashJson({
  path,
  algorithm,
  pieceBytes,
  disks,
  vmStates,
}: HashManifest): Record<string, unknown> {
  return {
    filename: path,
    algorithm,
    ...(pieceBytes !== undefined && { 'piece-size': pieceBytes }),
    disks: disks.map(diskJson),
    'vm-states': vmStates.map(vmStateJson),
  };
}

function diskJson({ snapshot, sizeBytes, name, digest, error, pieces }: DiskDigest): object {
  return {
    ...(snapshot && snapshotNamesJson(snapshot)),
    file: name,
    'disk-size': sizeBytes,
    ...(digest !== undefined && { hash: digest }),
    ...(error !== undefined && { error: errorJson(error, 'read') }),
    ...(pieces.length > 0 && {
      pieces: pieces.map(({ at, length, digest: hash }) => ({ start: at, length, hash })),
    }),
  };
}

function vmStateJson({ snapshot, name, digest, error }: VmStateDigest): object {
  return {
    ...snapshotNamesJson(snapshot),
    file: name,
    'vm-state-size': snapshot.vmStateBytes,
    ...(digest !== undefined && { hash: digest }),
    ...(error !== undefined && { error: errorJson(error, 'read') }),
  };
}
