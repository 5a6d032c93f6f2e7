import fc from 'fast-check';
import type { BlockDevice } from '../../src/io/device.js';
import { editsBegun } from '../../src/io/edits.js';
import { bound, type Bound, type WritePlan } from '../../src/edit/tx/plan.js';
import { painted } from './table-content.js';

const CLUSTER = 512;
const CLUSTERS = 24;

/** An image of clusters with random bytes, some of them zero, and a plan over it. */
export const situations = fc
  .record({
    bytes: fc.uint8Array({ minLength: CLUSTERS * CLUSTER, maxLength: CLUSTERS * CLUSTER }),
    zeros: fc.uniqueArray(fc.integer({ min: 1, max: CLUSTERS - 1 }), { maxLength: 8 }),
    roles: fc.array(fc.constantFrom('stays', 'literal', 'table', 'punch', 'freed'), {
      minLength: CLUSTERS + 5,
      maxLength: CLUSTERS + 5,
    }),
  })
  .map(({ bytes, zeros, roles }) => {
    for (const cluster of zeros) bytes.fill(0, cluster * CLUSTER, (cluster + 1) * CLUSTER);
    const at = (role: string, end: number): number[] =>
      roles.flatMap((is, i) => (is === role && i > 0 && i < end ? [i * CLUSTER] : []));
    const plan: WritePlan = {
      headerSector: bytes.slice(0, 512),
      fileSizeBytes: bytes.length,
      shadow: [
        ...at('literal', roles.length).map((offset) => ({
          kind: 'literal' as const,
          what: 'active L1',
          at: offset,
          bytes: new Uint8Array(CLUSTER).fill(offset / CLUSTER),
        })),
        {
          kind: 'tables',
          what: 'L2 tables',
          tableBytes: CLUSTER,
          targets: Float64Array.from(at('table', roles.length)),
          sources: undefined,
          content: painted(roles.length, (words, i) => words.fill((100 + i) * 0x0101_0101)),
        },
      ],
      switch: { at: 24, bytes: new Uint8Array(72).fill(9) },
      freed: at('freed', CLUSTERS).map((offset) => ({ at: offset, length: CLUSTER })),
      punch: at('punch', CLUSTERS).map((offset) => ({ at: offset, length: CLUSTER })),
    };
    return { bytes, plan };
  });

/**
 * A plan as if it had been made on `device`, which holds the same bytes as the device that it was made on: what
 * a test does where it carries one plan out many times.
 */
export function madeOn<Plan>(device: BlockDevice, plan: Plan): Plan & Bound<BlockDevice> {
  return bound(plan, { source: device, editsBefore: editsBegun(device) });
}
