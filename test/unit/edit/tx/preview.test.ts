import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryDevice } from '../../../../src/io/memory.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { previewPlan } from '../../../../src/edit/tx/preview.js';
import { situations } from '../../../support/plans.js';
import { madeOn } from '../../../support/plans.js';

const reads = fc.array(fc.record({ at: fc.nat(16_000), length: fc.nat(3000) }), { maxLength: 5 });

test('a preview reads as the image does once the plan is carried out', async () => {
  await fc.assert(
    fc.asyncProperty(situations, reads, async ({ bytes, plan: drawn }, ranges) => {
      const plan = { ...drawn, punch: [] };
      const device = memoryDevice(bytes.slice());
      const preview = previewPlan(device, plan);
      const size = await preview.sizeBytes();
      const read = async (from: typeof preview): Promise<Uint8Array[]> => {
        const all = [{ at: 0, length: size + 100 }, ...ranges];
        const requests = all.map(({ at, length }) => ({ at, into: new Uint8Array(length) }));
        await from.readBatch(requests);
        return requests.map(({ into }) => into);
      };
      const before = await read(preview);
      expect(Buffer.compare(device.snapshotBytes(), bytes), 'nothing is written').toBe(0);
      await executePlan(madeOn(device, plan));
      expect(await device.sizeBytes()).toBe(size);
      (await read(device)).forEach((bytesAfter, i) => {
        expect(Buffer.compare(before[i]!, bytesAfter)).toBe(0);
      });
    }),
  );
});
