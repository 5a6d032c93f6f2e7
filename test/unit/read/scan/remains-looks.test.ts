import { expect, test } from 'vitest';
import { RemainsLooks } from '../../../../src/read/scan/remains-looks.js';
import { formatInFile } from '../../../../src/image/table-format.js';
import { scanOf } from '../../../../src/l1l2/scan.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';
import { seededRandom } from '../../../support/mutate.js';

const CLUSTER = 4096;
const WORDS = '"page_size": ';

/** Where descriptions are found in some clusters that begin at 64 KiB. */
function descriptionsIn(bytes: Uint8Array): readonly number[] {
  const format = formatInFile(geometryOf(12, 4, false), 3, 2 ** 20);
  const looks = new RemainsLooks(scanOf(format), 2 ** 20);
  looks.lookAt(bytes, 65_536);
  return looks.finish().descriptions.map((at) => at - 65_536);
}

test('the words of a description are found wherever they lie, and nothing else is', () => {
  const random = seededRandom(4711);
  // Parts of the words, so that some begin within others.
  const parts = ['"', '"page', '"page_', 'e": ', 'size": ', ' ', '"page_size":', 'x', WORDS];
  for (let round = 0; round < 500; round += 1) {
    let text = 'x'.repeat(random(40));
    while (text.length < CLUSTER - 40) text += parts[random(parts.length)]!;
    const bytes = new Uint8Array(CLUSTER);
    new TextEncoder().encodeInto(text, bytes);
    const wanted: number[] = [];
    for (let at = text.indexOf(WORDS); at !== -1; at = text.indexOf(WORDS, at + 1)) wanted.push(at);
    expect(wanted.length).toBeGreaterThan(0);
    expect(descriptionsIn(bytes)).toEqual(wanted);
  }
});

test('at the end of what is looked at, too', () => {
  const bytes = new Uint8Array(2 * CLUSTER);
  new TextEncoder().encodeInto(WORDS, bytes.subarray(2 * CLUSTER - WORDS.length));
  expect(descriptionsIn(bytes)).toEqual([2 * CLUSTER - WORDS.length]);
});
