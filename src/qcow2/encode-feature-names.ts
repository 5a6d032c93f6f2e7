import type { RawExtension } from './encode-extensions.js';
import { AUTOCLEAR, COMPATIBLE, EXTENSION_TYPE, INCOMPATIBLE } from './spec.js';

const ENTRY_BYTES = 48;
/** QEMU: smaller clusters have no room for the names of features. */
const FROM_CLUSTER_BYTES = 8192;

/** The feature name table that QEMU writes to an image of version 3: every feature of the specification. */
export function featureNamesFor(clusterBytes: number): readonly RawExtension[] {
  if (clusterBytes < FROM_CLUSTER_BYTES) return [];
  return [{ type: EXTENSION_TYPE.featureNames, bytes: encodeFeatureNames() }];
}

function encodeFeatureNames(): Uint8Array {
  const entries = [INCOMPATIBLE_NAMES, COMPATIBLE, AUTOCLEAR].flatMap((features, kind) =>
    Object.entries(features).map(([name, bit]) => ({ kind, bit, name })),
  );
  const bytes = new Uint8Array(entries.length * ENTRY_BYTES);
  entries.forEach(({ kind, bit, name }, index) => {
    const at = index * ENTRY_BYTES;
    bytes.set([kind, bit], at);
    bytes.set(new TextEncoder().encode(name), at + 2);
  });
  return bytes;
}

/** In the table two of them have longer names. */
const INCOMPATIBLE_NAMES = Object.fromEntries(
  Object.entries(INCOMPATIBLE).map(([name, bit]) => [bit < 2 ? `${name} bit` : name, bit]),
);
