import { backingFormat, dataFileName, type Image, type UnreadStructure } from '../../../index.js';
import { hexOfBytes, printable, printableText } from '../../../internal.js';
import { fieldLines } from '../../columns.js';
import { countText, exactSizeText, hexText, oneSafeLine, sizeText } from '../../text.js';
import { extensionTitle } from './extensions.js';
import { featureNames } from './features.js';

type Field = readonly [label: string, value: string];

/** What an image says of itself, in words. */
export function infoLines(
  path: string,
  image: Image,
  allocatedBytes: number | undefined,
): string[] {
  const { header, geometry, snapshots } = image;
  const compat = header.version === 2 ? '0.10' : '1.1';
  const states = snapshots.filter((snapshot) => snapshot.vmStateBytes > 0).length;
  const withState = states === 0 ? '' : `, ${states} with a VM state`;
  return [
    printableText(path),
    ...fieldLines([
      ['format', `qcow2 version ${header.version} (compat ${compat})`],
      ['disk size', exactSizeText(header.diskSizeBytes)],
      ['file size', exactSizeText(image.fileSizeBytes)],
      ...(allocatedBytes === undefined
        ? []
        : ([['taken on the host', exactSizeText(allocatedBytes)]] satisfies Field[])),
      ['cluster size', exactSizeText(geometry.clusterBytes)],
      ['snapshots', `${snapshotCountText(image)}${withState}`],
      ...markFields(image),
      ...fileFields(image),
      ['encryption', header.encryption === 'none' ? 'none' : header.encryption.toUpperCase()],
      ['compression', header.compressionType],
      ['refcounts', countText(geometry.refcountBits, 'bit')],
      ...featureFields(image),
      ...bitmapFields(image),
      ...extensionFields(image),
      [
        'active L1 table',
        isUnread(image, 'active L1')
          ? UNREAD
          : `at ${hexText(header.activeL1.at)}, ${countText(header.activeL1.entries, 'entry', 'entries')}`,
      ],
      [
        'refcount table',
        isUnread(image, 'refcount table')
          ? UNREAD
          : `at ${hexText(header.refcountTable.at)}, ${countText(header.refcountTable.clusters, 'cluster')}`,
      ],
      ...(header.snapshotTable.count === 0
        ? []
        : ([
            [
              'snapshot table',
              `at ${hexText(header.snapshotTable.at)}, ${countText(image.snapshotTableBytes, 'byte')}`,
            ],
          ] satisfies Field[])),
    ]),
  ];
}

const UNREAD = "can't be read";

function isUnread({ unread = [] }: Image, structure: UnreadStructure): boolean {
  return unread.some((one) => one.structure === structure);
}

function snapshotCountText(image: Image): string {
  const { length } = image.snapshots;
  const claimed = image.header.snapshotTable.count;
  if (!isUnread(image, 'snapshot table')) return length === 0 ? 'none' : String(length);
  return claimed === 0 ? UNREAD : `${length} of ${claimed} can be read`;
}

/** The marks that programs leave in a header when something is wrong. */
function markFields({ header }: Image): Field[] {
  return [
    ...(header.dirty
      ? ([
          [
            'marked dirty',
            'a program is using the image or ended without closing it; refcounts may be too low',
          ],
        ] satisfies Field[])
      : []),
    ...(header.markedCorrupt
      ? ([
          ['marked corrupt', 'a program found the image damaged; it must not be written to'],
        ] satisfies Field[])
      : []),
  ];
}

/** Other files that the image names. They are printed, never opened. */
function fileFields(image: Image): Field[] {
  const { header, backingNameBytes } = image;
  const format = backingFormat(image);
  const formatNote =
    format === undefined ? 'no format recorded' : `format ${printableText(format)}`;
  const fields: Field[] = [
    [
      'backing file',
      backingNameBytes === undefined ? 'none' : `${printable(backingNameBytes)} (${formatNote})`,
    ],
  ];
  if (header.externalDataFile) {
    const name = dataFileName(image);
    const raw = header.rawExternalData ? ' (raw)' : '';
    fields.push(['data file', (name === undefined ? 'not named' : printableText(name)) + raw]);
  }
  return fields;
}

function featureFields(image: Image): Field[] {
  return (['incompatible', 'compatible', 'autoclear'] as const).flatMap((kind): Field[] => {
    const names = featureNames(image, kind);
    return names.length === 0 ? [] : [[`${kind} features`, oneSafeLine(names.join(', '))]];
  });
}

function bitmapFields({ bitmaps }: Image): Field[] {
  return bitmaps.map((bitmap) => {
    const notes = [`granularity ${sizeText(bitmap.granularityBytes)}`];
    if (bitmap.auto) notes.push('records changes');
    if (bitmap.inUse) notes.push('was not saved: may be inconsistent');
    return ['bitmap', `${printable(bitmap.nameBytes)} (${notes.join(', ')})`];
  });
}

function extensionFields({ extensions }: Image): Field[] {
  return extensions.map((extension) => {
    const { kind, bytes, at } = extension;
    const place = `${countText(bytes.length, 'byte')} at ${hexText(at)}`;
    if (kind !== 'unknown') return ['extension', `${extensionTitle(extension)}, ${place}`];
    const data = bytes.length === 0 ? '' : `: ${hexOfBytes(bytes)}`;
    return ['extension', `unknown ${hexText(extension.type)}, ${place}${data}`];
  });
}
