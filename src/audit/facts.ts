import { isQsnapError } from '../errors.js';
import type { ReadableImage } from '../image/open-for-reading.js';
import { stoppableImage, type Stoppable } from '../io/stoppable.js';
import { swapWords } from '../base/words.js';
import { tableFormat } from '../image/table-format.js';
import { COMPRESSED, hasZeroFlag, ZERO_FLAG } from '../l1l2/entry.js';
import { LUKS_HEADER_BYTES, parseLuksHeader } from '../qcow2/luks.js';
import { checkImage } from '../read/check/check-image.js';
import { findVmState } from '../refs/vm-state.js';
import { disksOf, walkL1Tables, walkReferences } from '../refs/walk.js';
import type { Gate } from '../read/guest/gate.js';
import type { Decompressor } from '../read/guest/platform.js';
import { followChain } from './chain.js';
import { readGuestEnds } from './guest-ends.js';
import { findRemains } from './remains.js';
import type { AuditFacts, Need } from './rule.js';
import { findKnownSecrets } from './secrets/known-secrets.js';
import type { FindSecrets } from './secrets/secret.js';

/** What comes from outside. */
export interface AuditSurroundings extends Stoppable {
  /** Seconds since the Epoch. */
  readonly now: number;
  /** Whether a text is like a pattern; without it a pattern is only like itself. */
  readonly matches?: ((text: string, pattern: string) => boolean) | undefined;
  /** For guest data that is compressed; without it, such data counts as not readable. */
  readonly decompressor?: Decompressor | undefined;
  /** Looks for secrets in bytes that nothing refers to; without it those of known shapes are found. */
  readonly findSecrets?: FindSecrets | undefined;
  /** Opens the files that the image names; without it none is opened, and rules about the chain say so. */
  readonly gate?: Gate | undefined;
  /** Gets what share of the work is done, from 0 to 1. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

/**
 * Gathers what rules look at.
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function gatherFacts(
  opened: ReadableImage,
  needs: ReadonlySet<Need>,
  surroundings: AuditSurroundings,
): Promise<AuditFacts> {
  const { now, matches, decompressor, gate, signal, onProgress } = surroundings;
  const image = stoppableImage(opened, signal, 'the audit');
  return {
    image: opened,
    allocatedBytes: await image.source.allocatedBytes?.(),
    ...(await luksOf(opened)),
    now,
    check: needs.has('check')
      ? await checkImage(opened.source, {
          signal,
          owners: false,
          ...(onProgress && { onProgress }),
        })
      : undefined,
    vmState: needs.has('vm-state') ? await findVmState(image) : undefined,
    zeroClusters: needs.has('zero-clusters') ? await countZeroClusters(image) : undefined,
    guestEnds: needs.has('guest-ends')
      ? await readGuestEnds(opened, decompressor, gate)
      : undefined,
    ...(await remainsOf(image, needs, surroundings)),
    chain: needs.has('chain') && gate ? await followChain(opened, gate, signal) : undefined,
    matches: matches ?? isSame,
  };
}

/** Without a matcher a pattern is like itself alone. */
export const isSame = (text: string, pattern: string): boolean => text === pattern;

async function remainsOf(
  image: ReadableImage,
  needs: ReadonlySet<Need>,
  { findSecrets = findKnownSecrets }: AuditSurroundings,
): Promise<Pick<AuditFacts, 'remains' | 'secrets'>> {
  if (!needs.has('remains')) return { remains: undefined, secrets: undefined };
  return findRemains(image, needs.has('secrets') ? findSecrets : undefined);
}

async function luksOf(image: ReadableImage): Promise<Pick<AuditFacts, 'luks' | 'luksProblem'>> {
  const pointer = image.extensions.find((one) => one.kind === 'encryption-header');
  if (pointer === undefined) return { luks: undefined, luksProblem: undefined };
  const { at } = pointer.header;
  const bytes = new Uint8Array(LUKS_HEADER_BYTES);
  await image.source.readBatch([{ at, into: bytes }]);
  try {
    return { luks: parseLuksHeader(bytes, at), luksProblem: undefined };
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { luks: undefined, luksProblem: error };
  }
}

/** Entries of the active disk's tables with the zero flag; undefined where a table can't be read. */
async function countZeroClusters(image: ReadableImage): Promise<number | undefined> {
  if (image.unread.some(({ structure }) => structure === 'active L1')) return undefined;
  if (!hasZeroFlag(tableFormat(image))) return 0;
  const [active] = disksOf(image);
  let clusters = 0;
  try {
    const pointers = await walkL1Tables(image, [active!]);
    await walkReferences(image, pointers, {
      l2Table: (_, stored) => {
        swapWords(stored);
        for (let i = 0; i < stored.length; i += 2) {
          const isCompressed = (stored[i]! & COMPRESSED) !== 0;
          if (!isCompressed && (stored[i + 1]! & ZERO_FLAG) !== 0) clusters += 1;
        }
      },
    });
  } catch (error) {
    if (isQsnapError(error) && error.kind === 'image') return undefined;
    throw error;
  }
  return clusters;
}
