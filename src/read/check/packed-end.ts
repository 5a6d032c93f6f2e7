import { deflateReaches } from '../../base/deflate-length.js';
import { zstdFrame } from '../../base/zstd-frame.js';
import type { CompressionType } from '../../qcow2/header.js';

/** Whether the stream that begins `packed` gives a whole cluster: what follows its end doesn't matter. */
export function holdsCluster(
  type: CompressionType,
  packed: Uint8Array,
  clusterBytes: number,
): boolean {
  return type === 'zstd' ? zstdHolds(packed, clusterBytes) : deflateReaches(packed, clusterBytes);
}

/** A zstd frame tells its length: nothing needs to be unpacked. */
function zstdHolds(packed: Uint8Array, clusterBytes: number): boolean {
  let rest = packed;
  for (let held = 0; held < clusterBytes;) {
    const frame = zstdFrame(rest);
    if (frame === undefined) return false;
    // A frame that doesn't say what it holds is taken to hold the rest.
    if (frame.contentBytes === undefined) return true;
    held += frame.contentBytes;
    rest = rest.subarray(frame.bytes);
  }
  return true;
}
