/** What a killed program has left behind, judged by the plain reader and by QEMU's tools. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { sameContents } from './crash-judge-edits.js';
import { checkPlain, contentsOf, type Contents, type Verdict } from './crash-judge.js';
import { NEW_NAME, snapshotWords, type OutsideEdit, type Workplace } from './outside-edits.js';
import { check, contentHash } from './qemu.js';

/** An image as it is before an edit or after it. */
export interface ImageState {
  readonly bytes: Buffer;
  readonly contents: Contents;
  readonly verdict: Verdict;
  readonly stock: StockReport;
}

/** What `qemu-img check` says of an image. */
export interface StockReport {
  readonly code: number;
  readonly corruptions: number;
  /** Clusters whose refcount is too high. */
  readonly leaks: number;
  /** Undefined where it could not check. */
  readonly errors: number | undefined;
}

const NAME_HEX = Buffer.from(NEW_NAME).toString('hex');

/** The time of day is the only thing that two runs of one edit make differently. */
function withoutDates({ active, snapshots }: Contents): Contents {
  const timeless = snapshots.map((snapshot) => {
    const fields = snapshot.facts.split(' ');
    if (fields[1] === NAME_HEX) fields[2] = 'now';
    return { ...snapshot, facts: fields.join(' ') };
  });
  return { active, snapshots: timeless };
}

export async function stockReport(image: string): Promise<StockReport> {
  const { code, report } = await check(image);
  const { corruptions = 0, leaks = 0, 'check-errors': errors } = report ?? {};
  return { code, corruptions, leaks, errors };
}

export const sameStock = (a: StockReport, b: StockReport): boolean => stockText(a) === stockText(b);

export const stockText = ({ code, corruptions, leaks, errors }: StockReport): string =>
  `code ${code}: ${corruptions} corruptions, ${leaks} leaks, ${errors ?? '?'} errors`;

export async function imageState({ image }: Workplace): Promise<ImageState> {
  const bytes = readFileSync(image);
  const verdict = checkPlain(bytes);
  const contents = withoutDates(contentsOf(bytes));
  return { bytes, contents, verdict, stock: await stockReport(image) };
}

/** In what a state is not the one that it should be; nothing if it is. */
export function differences(found: ImageState, expected: ImageState): string[] {
  const short: string[] = [];
  if (!sameContents(found.contents, expected.contents)) short.push('disks or names differ');
  const flaws = (state: ImageState): string =>
    JSON.stringify([[...state.verdict.corruptions].sort(), [...state.verdict.leaks].sort()]);
  if (flaws(found) !== flaws(expected)) short.push(`flaws ${flaws(found)}`);
  if (!sameStock(found.stock, expected.stock)) {
    short.push(`qemu-img check: ${stockText(found.stock)}`);
  }
  return short;
}

/**
 * What the guest would read of each disk, as QEMU's tools read it. Some snapshots QEMU does not
 * apply; then that is what is compared.
 */
export async function stockHashes(place: Workplace): Promise<string[]> {
  const hashes = [await contentHash(place.image)];
  for (const id of snapshotWords(readFileSync(place.image), 'id')) {
    const hash = await contentHash(place.image, id).catch(() => 'not applied');
    hashes.push(`${id} ${hash}`);
  }
  return hashes;
}

/** The output of a copy: its bytes, or undefined where there is no such file. */
export function outputOf({ output }: OutsideEdit, { folder }: Workplace): Buffer | undefined {
  const file = path.join(folder, output!.name);
  return existsSync(file) ? readFileSync(file) : undefined;
}

const QCOW2_MAGIC = 0x5146_49fb;

/** Whether nobody takes these bytes for an image. */
export function isNoImage(bytes: Buffer): boolean {
  return bytes.length < 4 || bytes.readUInt32BE(0) !== QCOW2_MAGIC;
}
