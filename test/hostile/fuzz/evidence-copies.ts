/** Copies of a hostile image without its guest data, and with a pattern in its place. */
import {
  checkImage,
  dehydrateImage,
  openImage,
  rehydrateImage,
  type CheckReport,
  type DehydrateReport,
  type ReadableImage,
} from '../../../src/index.js';
import { nodeCompressor } from '../../../src/node/index.js';
import type { Evidence } from './evidence.js';
import type { Meter } from './meter.js';
import { judgeText } from './reads.js';
import { SpecimenDevice, specimenOf } from './specimen.js';

/** A file that is filled with a pattern. */
const FILLED_BYTES = 2 ** 20;

/** Makes the copies; each opens where the image does, and is as sound as it. */
export async function copyWithoutData(
  evidence: Evidence,
  readable: ReadableImage,
  meter: Meter,
): Promise<void> {
  const { specimen } = evidence;
  const compressor = nodeCompressor();
  const dry = emptyDevice();
  const made = await meter.use('dehydrateImage', () =>
    dehydrateImage(readable, dry, { compressor }),
  );
  if (made !== undefined) await judgeCopy('dehydrateImage', made, dry, evidence, meter);
  if (specimen.sizeBytes > FILLED_BYTES) return;
  const wet = emptyDevice();
  const filled = await meter.use('rehydrateImage', () =>
    rehydrateImage(readable, wet, { compressor }),
  );
  if (filled !== undefined) await judgeCopy('rehydrateImage', filled, wet, evidence, meter);
}

const emptyDevice = (): SpecimenDevice => new SpecimenDevice(specimenOf(new Uint8Array(0)));

async function judgeCopy(
  name: string,
  report: Omit<DehydrateReport, 'replacedNames'>,
  copy: SpecimenDevice,
  { specimen, image, check }: Evidence,
  meter: Meter,
): Promise<void> {
  for (const { reason } of report.unread) judgeText(name, reason.message, meter);
  const bytes = await copy.sizeBytes();
  if (bytes !== specimen.sizeBytes) meter.fault(name, `${bytes} bytes of ${specimen.sizeBytes}`);
  const isWhole = report.leftOut.length + report.unread.length + report.misalignedTables === 0;
  if (!isWhole || image === undefined) return;
  const opened = await meter.use(`open after ${name}`, () => openImage(copy));
  if (opened === undefined) meter.fault(name, 'the copy does not open');
  const after = await meter.use(`check after ${name}`, () => checkImage(copy));
  if (check === undefined || after === undefined) return;
  const [before, now] = [totalsOf(check), totalsOf(after)];
  if (before !== now) meter.fault(name, `a check says ${now} of the copy, ${before} of the image`);
}

function totalsOf({ totals: { corruptions, leaks, checkErrors } }: CheckReport): string {
  return `${corruptions} corruptions, ${leaks} leaks, ${checkErrors} errors`;
}
