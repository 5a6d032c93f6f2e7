import type { LeftOutReason } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { countText, hexText, sizeText } from '../../text.js';
import type { Dehydrated } from './dehydrated.js';

/** What is said when the new image has its name. */
export function dehydratedLines(dehydrated: Dehydrated): readonly string[] {
  const { path, output, operation, report } = dehydrated;
  const [from, to] = [path, output].map(printableText);
  const metadata = `${sizeText(report.metadataBytes)} of metadata`;
  if (operation === 'rehydrate') {
    const packed = countText(report.packedClusters, 'compressed cluster');
    return [
      `Wrote ${metadata} of ${from} to ${to}, and a pattern to ${sizeText(report.filledBytes)} of guest data.`,
      ...(report.packedClusters > 0 ? [`  packed: ${packed}`] : []),
    ];
  }
  const names = countText(report.replacedNames, 'name');
  return [
    `Wrote ${metadata} of ${from} to ${to}, a file of ${sizeText(report.fileSizeBytes)}.`,
    `  left out: ${sizeText(report.dataBytes)} of guest data and VM states`,
    ...(report.replacedNames > 0 ? [`  replaced: ${names}`] : []),
  ];
}

const REASONS: Readonly<Record<LeftOutReason, string>> = {
  'guest-data': 'is guest data as well',
  keys: 'is a part of the LUKS header as well',
  names: 'is a part of a structure with names as well',
  'no-table': 'is most likely no table',
};

/** What the new image lacks, or what a reader of it has to know. */
export function dehydratedWarnings(dehydrated: Dehydrated): readonly string[] {
  const { path, image, operation, report } = dehydrated;
  const isFilled = operation === 'rehydrate';
  const { encryption, externalDataFile } = image.header;
  const lines = [
    ...report.leftOut.map(({ reason, clusters, firstAt }) => {
      const many = countText(clusters, 'cluster');
      return `${many} of metadata left out, from ${hexText(firstAt)} on: what lies there ${REASONS[reason]}`;
    }),
    ...(report.misalignedTables > 0
      ? [`${countText(report.misalignedTables, 'L2 table')} left out that begin within a cluster`]
      : []),
    ...(report.keyBytes > 0
      ? ['the LUKS header is left out, since it holds keys: no program unlocks the new image']
      : []),
    ...(isFilled && encryption !== 'none'
      ? ['the pattern is not encrypted: what decrypts to it is something else']
      : []),
    ...(isFilled && externalDataFile
      ? ['guest data lies in a data file, which was neither opened nor made']
      : []),
    ...(isFilled && report.packedLeftOut > 0
      ? [`${countText(report.packedLeftOut, 'compressed cluster')} left without a pattern`]
      : []),
  ];
  return lines.map((line) => `${printableText(path)}: ${line}`);
}
