import { zstdFrame } from '../base/zstd-frame.js';
import type { CompressionType } from '../qcow2/header.js';

/** Whether the stream that begins `packed` gives a whole cluster: what follows its end doesn't matter. */
export function holdsCluster(
  type: CompressionType,
  packed: Uint8Array<ArrayBuffer>,
  clusterBytes: number,
): Promise<boolean> {
  return type === 'zstd'
    ? Promise.resolve(zstdHolds(packed, clusterBytes))
    : deflateHolds(packed, clusterBytes);
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

/** Only unpacking tells where deflate ends: by the decoder that browsers and Node both have. */
async function deflateHolds(
  packed: Uint8Array<ArrayBuffer>,
  clusterBytes: number,
): Promise<boolean> {
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  let held = 0;
  try {
    for await (const chunk of unpacked as AsyncIterable<Uint8Array>) {
      held += chunk.length;
      // Whatever goes wrong behind the cluster's last byte is not the cluster's.
      if (held >= clusterBytes) return true;
    }
  } catch {
    // The bytes are in memory: whatever is thrown is the decoder's, and each platform has its own errors.
  }
  return false;
}
