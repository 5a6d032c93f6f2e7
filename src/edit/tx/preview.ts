import type { BlockSource, ReadRequest } from '../../io/device.js';
import { copyInto } from '../../io/overlaid.js';
import { sizeAfterShadow, type LiteralWrite, type ShadowWrite, type WritePlan } from './plan.js';
import { tableMaker, type TableMaker } from '../tables/table-maker.js';

const nothing: TableMaker = () => undefined;

/** Bytes of a plan and the place that it puts them, found by where a read asks. */
interface Piece {
  readonly at: number;
  readonly end: number;
  readonly write: ShadowWrite;
  /** Index of the table in `write`; 0 for a literal. */
  readonly index: number;
  /** Makes the tables of `write`; does nothing for a literal. */
  readonly make: TableMaker;
}

/**
 * The image as it will be once the plan is carried out, without writing anything: what a check of
 * the new state reads. Ranges that the plan gives back still read as before: nothing refers to
 * them. Tables of a plan are made again for every read, so nothing lies in memory that the plan
 * does not hold itself.
 */
export function previewPlan(source: BlockSource, plan: WritePlan): BlockSource {
  const sizeBytes = sizeAfterShadow(plan);
  const pieces = plan.shadow.flatMap(piecesOf).sort((a, b) => a.at - b.at);
  return {
    label: source.label,
    close: () => source.close(),
    sizeBytes: () => Promise.resolve(sizeBytes),
    async readBatch(requests) {
      await source.readBatch(requests);
      await overlay(source, pieces, requests);
      for (const request of requests) copyInto(request, plan.switch.at, plan.switch.bytes);
    },
  };
}

function piecesOf(write: ShadowWrite): readonly Piece[] {
  if (write.kind === 'literal') {
    return [{ at: write.at, end: write.at + write.bytes.length, write, index: 0, make: nothing }];
  }
  const make = tableMaker(write.content);
  return Array.from(write.targets, (at, index) => ({
    at,
    end: at + write.tableBytes,
    write,
    index,
    make,
  }));
}

/** Lays the pieces that the requests touch over what was read; sources are read in one batch. */
async function overlay(
  source: BlockSource,
  pieces: readonly Piece[],
  requests: readonly ReadRequest[],
): Promise<void> {
  const made = new Map<Piece, Uint8Array>();
  const hits: [ReadRequest, Piece][] = [];
  const reads = new Map<BlockSource, ReadRequest[]>();
  for (const request of requests) {
    for (let i = firstReaching(pieces, request.at); i < pieces.length; i++) {
      const piece = pieces[i]!;
      if (piece.at >= request.at + request.into.length) break;
      hits.push([request, piece]);
      if (piece.write.kind === 'literal' || made.has(piece)) continue;
      const into = new Uint8Array(piece.write.tableBytes);
      made.set(piece, into);
      const from = piece.write.sources?.[piece.index];
      if (from === undefined) continue;
      const lender = piece.write.from ?? source;
      const asked = reads.get(lender) ?? [];
      reads.set(lender, asked);
      asked.push({ at: from, into });
    }
  }
  for (const [lender, asked] of reads) await lender.readBatch(asked);
  for (const [{ index, make }, table] of made) make(index, table);
  for (const [request, piece] of hits) {
    copyInto(request, piece.at, made.get(piece) ?? (piece.write as LiteralWrite).bytes);
  }
}

/** Index of the first piece that ends behind `at`. Pieces do not overlap. */
function firstReaching(pieces: readonly Piece[], at: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pieces[middle]!.end <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}
