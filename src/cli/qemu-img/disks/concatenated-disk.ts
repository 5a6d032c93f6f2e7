/** Several disks one behind the other, as one. */
import type { Extent, GuestDisk, ReadRequest } from '../../../index.js';
import { readAll } from './read-all.js';

interface Part {
  readonly disk: GuestDisk;
  readonly from: number;
  readonly to: number;
}

/** @param disks at least one; they stay the caller's to close. */
export async function concatenatedDisk(disks: readonly GuestDisk[]): Promise<GuestDisk> {
  const [first] = disks;
  if (first !== undefined && disks.length === 1) return first;
  const parts: Part[] = [];
  let end = 0;
  for (const disk of disks) {
    const from = end;
    end += await disk.sizeBytes();
    parts.push({ disk, from, to: end });
  }
  const total = end;
  return {
    label: disks.map(({ label }) => label).join(' + '),
    format: 'raw',
    clusterBytes: 0,
    l2EntryBytes: 0,
    encrypted: false,
    dataLabel: first!.dataLabel,
    externalData: false,
    sources: disks.flatMap(({ sources }) => sources),
    chain: [],
    sizeBytes: () => Promise.resolve(total),
    readBatch: async (requests) => {
      await readAll(parts.map((part) => part.disk.readBatch(requestsIn(part, requests, total))));
    },
    extents: (from, to) => extentsOf(parts, from, to),
    close: () => Promise.resolve(),
  };
}

/** What of the requests lies in a part; what lies past the end is filled with zeros. */
function requestsIn(part: Part, requests: readonly ReadRequest[], total: number): ReadRequest[] {
  const { from, to } = part;
  return requests.flatMap(({ at, into }) => {
    if (to === total && at + into.length > total) into.subarray(Math.max(0, total - at)).fill(0);
    const start = Math.max(at, from);
    const end = Math.min(at + into.length, to);
    return end <= start ? [] : [{ at: start - from, into: into.subarray(start - at, end - at) }];
  });
}

async function* extentsOf(
  parts: readonly Part[],
  from: number,
  to: number,
): AsyncGenerator<readonly Extent[]> {
  for (const part of parts) {
    const start = Math.max(from, part.from);
    const end = Math.min(to, part.to);
    if (end <= start) continue;
    for await (const batch of part.disk.extents(start - part.from, end - part.from)) {
      yield batch.map((extent) => ({ ...extent, start: extent.start + part.from }));
    }
  }
}
