/** Every disk and snapshot of every fixture has the content that QEMU recorded. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  isQsnapError,
  openGuestDisk,
  openImage,
  type GuestDisk,
  type Snapshot,
} from '../../src/index.js';
import { fileGate, nodeCryptography, nodeDecompressor, openFile } from '../../src/node/index.js';
import {
  copyCompanions,
  copyFixture,
  expectedContents,
  fixtureNames,
  recipe,
} from '../support/fixture.js';
import { leaveOut } from '../support/left-out.js';
import { temporaryDirectory } from '../support/directories.js';

const STEP_BYTES = 1024 * 1024;

async function contentHash(disk: GuestDisk): Promise<string> {
  const hash = createHash('sha256');
  const size = await disk.sizeBytes();
  for (let at = 0; at < size; at += STEP_BYTES) {
    const into = new Uint8Array(Math.min(STEP_BYTES, size - at)).fill(0xee);
    await disk.readBatch([{ at, into }]);
    hash.update(into);
  }
  return hash.digest('hex');
}

/** Disks that hold so much nothing that hashing them would take all day. */
const HASHED_BYTES_MAX = 2 ** 30;

describe('the guest content of every fixture', () => {
  test.each(fixtureNames().filter((name) => name !== 'qcow-version-1'))('%s', async (name) => {
    const directory = temporaryDirectory();
    const path = copyFixture(name, directory);
    copyCompanions(name, directory);
    const source = await openFile(path);
    const { secret } = recipe(name);
    const hashOf = async (snapshot?: Snapshot): Promise<string | undefined> => {
      try {
        const disk = await openGuestDisk(await openImage(source), {
          snapshot,
          decompressor: nodeDecompressor(),
          cryptography: nodeCryptography(),
          passphrase: secret === undefined ? undefined : new TextEncoder().encode(secret),
          gate: fileGate(),
          tolerant: true,
        });
        try {
          if ((await disk.sizeBytes()) > HASHED_BYTES_MAX) return 'too large';
          return await contentHash(disk);
        } finally {
          await disk.close();
        }
      } catch (error) {
        if (!isQsnapError(error)) throw error;
        return undefined;
      }
    };
    try {
      const { active, snapshots } = expectedContents(name);
      const same = (hash: string | undefined, sha256: string | null, what: string): void => {
        if (hash === 'too large') leaveOut('disks that are too large to hash');
        else expect(hash ?? null, what).toBe(sha256);
      };
      same(await hashOf(), active.sha256, 'active');
      if (active.sha256 === null) {
        leaveOut('snapshots of images that QEMU can not read');
        return;
      }
      const image = await openImage(source);
      for (const [i, snapshot] of image.snapshots.entries()) {
        same(await hashOf(snapshot), snapshots[i]!.sha256, `snapshot ${i}`);
      }
    } finally {
      await source.close();
    }
  });
});
