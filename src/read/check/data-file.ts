import { counted } from '../../base/text.js';
import { hex } from '../../base/words.js';
import type { OpenImage } from '../../image/image.js';
import { walkTables } from '../../refs/tables.js';
import { COMPRESSED, offsetOf } from '../../l1l2/entry.js';
import { HEADER_V3 } from '../../qcow2/spec.js';
import type { FindingCollector } from './collector.js';
import type { References } from './count-references.js';
import type { Excess } from './excess.js';

/** Entries that are told one by one. */
const KEPT_MAX = 100_000;

/**
 * Looks at the entries of an image with an external data file. QEMU: guest data lies at its own guest offset
 * there, or reading it fails. If entries instead name clusters of this file that hold unreferenced data, the
 * header is wrong to say that there is a data file.
 */
export async function checkDataFile(
  image: OpenImage,
  { activeL1, scan }: References,
  excess: Excess,
  collector: FindingCollector,
): Promise<void> {
  const { header, geometry, fileSizeBytes, source } = image;
  if (!header.externalDataFile) return;
  const { clusterBytes, l2CoverageBytes } = geometry;
  const tables: { at: number; guestFrom: number }[] = [];
  for (let i = 0; i < activeL1.length; i += 2) {
    const at = offsetOf(activeL1[i]!, activeL1[i + 1]!);
    const isThere = at !== 0 && at % clusterBytes === 0 && at + clusterBytes <= fileSizeBytes;
    if (isThere) tables.push({ at, guestFrom: (i / 2) * l2CoverageBytes });
  }
  tables.sort((a, b) => a.at - b.at);
  const offsets = Float64Array.from(tables, ({ at }) => at);
  let inThisFile = 0;
  const elsewhere: { at: number; guest: number; offset: number }[] = [];
  await walkTables(source, offsets, clusterBytes, (index, words) => {
    const { at: tableAt, guestFrom } = tables[index]!;
    for (let i = 0; i < words.length; i += scan.stride) {
      const offset = offsetOf(words[i]!, words[i + 1]!);
      const guest = guestFrom + (i / scan.stride) * clusterBytes;
      if (offset === 0 || offset === guest || (words[i]! & COMPRESSED) !== 0) continue;
      if (excess.isLostData(offset / clusterBytes)) inThisFile += 1;
      if (elsewhere.length < KEPT_MAX) elsewhere.push({ at: tableAt + i * 4, guest, offset });
    }
  });
  if (inThisFile > 0) {
    const what = counted(inThisFile, 'entry leads', 'entries lead');
    const at = HEADER_V3.incompatible.at;
    collector.add('DATA_FILE_DOUBTED', { structure: 'main-header', at, facts: { what } });
    return;
  }
  for (const { at, guest, offset } of elsewhere) {
    const facts = { guest: hex(guest), offset: hex(offset) };
    collector.add('DATA_FILE_OFFSET_WRONG', { structure: 'active-l2', at, facts });
  }
}
