/** A rescue of an image in memory, and what its copy holds. */
import { expect } from 'vitest';
import {
  checkImage,
  chooseRescued,
  executePlan,
  memoryDevice,
  openImage,
  planCreate,
  planRescue,
  writeRescued,
  type RescueChoice,
  type RescuedDisk,
  type RescuePlan,
} from '../../src/index.js';
import { isAllRescued } from '../../src/internal.js';
import { buildImage, guestWrite, layoutOf, readGuest, type PlainDisk } from './image-builder.js';

/** A disk of 64 clusters, the first 16 of which hold a byte each, all over. */
export function writtenDisk(): PlainDisk {
  const disk = { bytes: buildImage() };
  for (let cell = 0; cell < 16; cell++) guestWrite(disk, cell, cell + 1);
  return disk;
}

/** What a rescue found and wrote. */
export interface Rescued {
  readonly plan: RescuePlan;
  /** Whether all came back, by the plan. */
  readonly isAll: boolean;
  /** The image that was written. */
  readonly copy: Uint8Array;
}

/** Rescues an image; the copy has passed a full check. */
export async function rescueOf(bytes: Uint8Array, choice: RescueChoice = {}): Promise<Rescued> {
  const plan = await planRescue(memoryDevice(bytes));
  const disks = chooseRescued(plan, choice);
  const device = memoryDevice();
  await writeRescued(plan, disks, device);
  const { findings } = await checkImage(device);
  const flaws = findings.filter(({ severity }) => severity !== 'note');
  expect(flaws.map(({ message }) => message)).toEqual([]);
  return { plan, isAll: isAllRescued(plan, disks), copy: device.snapshotBytes() };
}

/** The disk of a plan with an id. */
export function diskOf({ plan }: Pick<Rescued, 'plan'>, id: string): RescuedDisk | undefined {
  return plan.disks.find((disk) => disk.id === id);
}

/** What the active disk of an image reads as. */
export function activeOf(bytes: Uint8Array): Uint8Array {
  const { l1At, l1Entries, diskSizeBytes } = layoutOf(bytes);
  return readGuest(bytes, { l1At, l1Entries, diskSizeBytes });
}

/** The image with one snapshot more. */
export async function withSnapshot(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  const device = memoryDevice(bytes);
  const date = { seconds: 1_700_000_000, nanoseconds: 0 };
  await executePlan(await planCreate(await openImage(device), { name, date }));
  return device.snapshotBytes();
}
