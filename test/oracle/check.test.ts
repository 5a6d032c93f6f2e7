/**
 * What `checkImage` counts is what QEMU counts: on every fixture, and on damage of every kind and of
 * no kind at all. QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { checkImage } from '../../src/read/check/check-image.js';
import type { CheckReport } from '../../src/read/check/report.js';
import { isQsnapError } from '../../src/errors.js';
import { memoryDevice } from '../../src/io/memory.js';
import { HARMLESS_DAMAGE, OVERLAPS, patientOf, UNREADABLE_DAMAGE } from '../support/damage.js';
import { TABLE_DAMAGE } from '../support/damage-tables.js';
import {
  copyCompanions,
  expectedExits,
  expectedJson,
  fixtureNames,
  loadFixture,
} from '../support/fixture.js';
import { roundsOf, seedOf } from '../support/model-random.js';
import { mutate, seededRandom, victimOf } from '../support/mutate.js';
import { memoryDirectory } from '../support/directories.js';
import { IS_PLAIN, leaveOut, oneIn, THINNER } from '../support/left-out.js';
import { makeImage } from '../support/made-images.js';
import { check, describeWithQemu, qemuImg } from '../support/qemu.js';

const seed = seedOf();
const rounds = roundsOf(1);
const LARGEST_BYTES = 1.5 * 2 ** 20;
/** QEMU opens backing files to check, and asks for keys: nothing to compare there. */
const NOT_FOR_QEMU = /^(aes|backing-(json|missing)|feature-incompatible|luks|qcow-version)/;
/** Kinds that say the same of every image are tried on some. */
const DAMAGE_SHARE = 10;

type Totals = Readonly<Record<string, number>>;

function totalsOf({ totals }: CheckReport): Totals {
  return {
    'check-errors': totals.checkErrors,
    corruptions: totals.corruptions,
    leaks: totals.leaks,
    'image-end-offset': totals.imageEndOffset,
    'total-clusters': totals.totalClusters,
    'allocated-clusters': totals.allocatedClusters,
    'fragmented-clusters': totals.fragmentedClusters,
    'compressed-clusters': totals.compressedClusters,
  };
}

/** QEMU leaves out what is 0. */
function completed(report: unknown): Totals {
  const known = Object.keys(NOTHING);
  const given = Object.entries(report as Totals).filter(([key]) => known.includes(key));
  return { ...NOTHING, ...Object.fromEntries(given) };
}
const NOTHING: Totals = {
  'check-errors': 0,
  corruptions: 0,
  leaks: 0,
  'image-end-offset': 0,
  'total-clusters': 0,
  'allocated-clusters': 0,
  'fragmented-clusters': 0,
  'compressed-clusters': 0,
};

describe('every fixture', () => {
  const names = fixtureNames().filter((name) => !/^(feature-incomp|qcow-version)/.test(name));

  test.each(names)('%s: totals and exit code as QEMU printed them', async (name) => {
    const report = await checkImage(memoryDevice(loadFixture(name)));
    const expected = expectedJson(name, 'check.json');
    // Where QEMU could not open the backing file or had no key, there is no report.
    if (expected === null) expect(name).toMatch(/^(aes|backing-(json|missing)|luks)/);
    else {
      expect(totalsOf(report)).toEqual(completed(expected));
      expect(report.qemuExitCode).toBe(expectedExits(name)['check.json']?.code ?? 0);
    }
  });

  test.each(names)('%s: nothing that only a snapshot holds counts as leaked', async (name) => {
    const { findings } = await checkImage(memoryDevice(loadFixture(name)));
    for (const { severity, owners } of findings) {
      if (severity === 'leak') expect(owners.length).toBeLessThanOrEqual(1);
    }
  });
});

let compared = 0;
let reported = 0;

/** What QEMU and we say of the same bytes. `which` image it is must be enough to make it again. */
async function compare(
  directory: string,
  bytes: Uint8Array,
  which: string,
  done: string,
): Promise<void> {
  const path = join(directory, 'image.qcow2');
  writeFileSync(path, bytes);
  const args = ['check', '--output=json', '-f', 'qcow2', path];
  const theirs = await qemuImg(args, { okCodes: 'any', cwd: directory }).catch((error: unknown) => {
    // What the damage was is not spread further: the image does not belong here.
    throw new Error(`no answer from QEMU: look at ${which}`, { cause: error });
  });
  compared += 1;
  const json = theirs.stdout.trim();
  let ours: CheckReport;
  try {
    ours = await checkImage(memoryDevice(bytes));
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    // We open nothing that QEMU would not, and refuse some headers that it takes: docs/parity.md.
    leaveOut('images that qsnap refuses to check');
    return;
  }
  // Names of files that are not there, keys that are not given.
  if (/Could not open backing|key-secret/.test(theirs.stderr)) {
    leaveOut('images that QEMU checks only with a backing file or a key');
    return;
  }
  const said = { code: ours.qemuExitCode, totals: ours.qemuFailure ? null : totalsOf(ours) };
  const totals = json.startsWith('{') ? completed(JSON.parse(json)) : null;
  expect(said, `${which}: ${done}\n${theirs.stderr.slice(0, 500)}`).toEqual({
    code: theirs.code,
    totals,
  });
  if (totals !== null) reported += 1;
}

describeWithQemu('live QEMU', () => {
  const images = fixtureNames()
    .filter((name) => !NOT_FOR_QEMU.test(name))
    .map((name) => ({ name, bytes: loadFixture(name) }))
    .filter(({ bytes }) => bytes.length <= LARGEST_BYTES);
  const kinds = Object.entries({
    ...HARMLESS_DAMAGE,
    ...UNREADABLE_DAMAGE,
    ...OVERLAPS,
    ...TABLE_DAMAGE,
  });

  test.each(oneIn(2, images, 0))(
    '$name, damaged in one way',
    { timeout: 120_000 },
    async ({ name, bytes }) => {
      const directory = memoryDirectory();
      copyCompanions(name, directory);
      const offset = images.findIndex((image) => image.name === name);
      for (const [index, [kind, damage]] of kinds.entries()) {
        if (rounds === 1 && (index + offset) % DAMAGE_SHARE !== 0) {
          leaveOut('kinds of damage to an image that QSNAP_ROUNDS=2 tries');
          continue;
        }
        for (let round = 0; round < rounds; round++) {
          const patient = patientOf(bytes);
          const done = damage(patient, seededRandom(seed + index * 1000 + round));
          const which = `${name}, ${kind}, seed ${seed + index * 1000 + round}`;
          if (done !== undefined) await compare(directory, patient.bytes, which, done);
        }
      }
    },
  );

  test.each(oneIn(2, images, 1))(
    '$name, damaged anyhow',
    { timeout: 120_000 },
    async ({ name, bytes }) => {
      const directory = memoryDirectory();
      copyCompanions(name, directory);
      const victim = victimOf(bytes);
      for (let round = 0; round < rounds * (IS_PLAIN ? 1 : 5); round++) {
        const mutant = mutate(victim, seededRandom(seed + round));
        await compare(directory, mutant.bytes, `${name}, seed ${seed + round}`, mutant.description);
      }
    },
  );

  afterAll(() => {
    console.log(`QSNAP_SEED=${seed}: ${compared} damaged images, ${reported} with a report`);
    expect(reported).toBeGreaterThan(IS_PLAIN ? 40 / THINNER : 300);
  });
});

// A packed cluster at the start of a cluster, as long as one, was taken for a plain one that the file has a part of.
describeWithQemu('a file that ends behind the last packed cluster', () => {
  test.each(['zlib', 'zstd'])('with clusters of 512 bytes, %s', async (compression) => {
    for (const at of [0, 512, 4096]) {
      const image = join(memoryDirectory(), 'packed.qcow2');
      const options = `cluster_size=512,compression_type=${compression}`;
      await makeImage(image, '300k', options, `write -c -P 5 ${at} 512`);
      expect(statSync(image).size % 512).not.toBe(0);
      expect(await check(image)).toMatchObject({ code: 0 });
      const { findings } = await checkImage(memoryDevice(readFileSync(image)));
      expect(findings).toEqual([]);
      const cut = readFileSync(image).subarray(0, Math.floor(statSync(image).size / 512) * 512 + 2);
      const { findings: found } = await checkImage(memoryDevice(cut));
      expect(found.map(({ code }) => code)).toEqual(['FILE_CUT_OFF']);
    }
  });
});
