import { isQsnapError, type Extent, type GuestDisk } from '../../../index.js';
import { hexOfBytes, printable, printableText } from '../../../internal.js';
import { DFXML_END, dfxmlBegin, element, fileObject, parent } from './dfxml.js';
import type { DiskDigest, HashManifest } from './hashed.js';

/** Each file object is as long as its disk has extents: it is written before the next one is made. */
export async function writeHashDfxml(
  manifest: HashManifest,
  disks: readonly (GuestDisk | undefined)[],
  version: string,
  write: (text: string) => void,
): Promise<void> {
  write(dfxmlBegin('qcow2 disk hashes', version));
  for (const [i, one] of manifest.disks.entries()) {
    const runs = disks[i] === undefined ? [] : await runsOf(disks[i], one.sizeBytes);
    write(diskObject(one, runs, manifest));
  }
  for (const { snapshot, name, digest, error } of manifest.vmStates) {
    write(
      fileObject([
        element('filename', printableText(name)),
        element('error', error?.message),
        element('filesize', snapshot.vmStateBytes),
        element('hashdigest', digest, { type: manifest.algorithm }),
        element('qsnap:index', snapshot.index),
      ]),
    );
  }
  write(DFXML_END);
}

function diskObject(
  { snapshot, sizeBytes, name, digest, error, pieces }: DiskDigest,
  runs: readonly string[],
  { algorithm }: HashManifest,
): string {
  return fileObject([
    element('filename', printableText(name)),
    element('error', error?.message),
    element('filesize', sizeBytes),
    runs.length === 0 ? '' : parent('byte_runs', runs),
    element('hashdigest', digest, { type: algorithm }),
    ...(snapshot === undefined
      ? []
      : [
          element('qsnap:index', snapshot.index),
          element('qsnap:id', printable(snapshot.idBytes), { hex: hexOfBytes(snapshot.idBytes) }),
          element('qsnap:name', printable(snapshot.nameBytes), {
            hex: hexOfBytes(snapshot.nameBytes),
          }),
        ]),
    ...pieces.map(({ at, length, digest: hash }) =>
      element('qsnap:piece', hash, { offset: at, len: length, type: algorithm }),
    ),
  ]);
}

/** Where guest bytes lie in the file; of a damaged disk those before the damage. */
async function runsOf(disk: GuestDisk, sizeBytes: number): Promise<string[]> {
  const runs: string[] = [];
  try {
    for await (const extents of disk.extents(0, sizeBytes)) {
      for (const extent of extents) runs.push(runOf(extent));
    }
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
  }
  return runs;
}

/** Guest bytes and where they are: `img_offset` in the image, unless the layer is another one. */
function runOf({ start, length, kind, depth, at }: Extent): string {
  const isZero = kind === 'zero' || kind === 'unallocated';
  return element('byte_run', '', {
    file_offset: start,
    len: length,
    ...(at !== undefined && !isZero && depth === 0 && { img_offset: at }),
    ...(isZero && { fill: '0' }),
    'qsnap:kind': kind,
    ...(depth > 0 && { 'qsnap:layer': depth }),
  });
}
