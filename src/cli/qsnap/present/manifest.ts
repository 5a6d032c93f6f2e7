import type { CopyReport, GuestDisk, ReadableImage, Snapshot } from '../../../index.js';
import { VERSION } from '../../version.js';
import type { ExportTarget } from '../export-target.js';
import { salvagedJson, type Salvaged } from '../salvage.js';
import { unreadJson } from '../unread.js';
import { snapshotJson } from './snapshot-json.js';

/** All about an export that is done. */
export interface ExportFacts {
  readonly path: string;
  readonly image: ReadableImage;
  readonly snapshot: Snapshot | undefined;
  readonly disk: GuestDisk;
  readonly target: ExportTarget;
  readonly fileSizeBytes: number;
  readonly report: CopyReport;
  readonly contentHash: string | undefined;
  readonly fileHash: string | undefined;
  /** Of an export that goes on past damage. */
  readonly salvaged: Salvaged | undefined;
}

/** What was exported, from where and how, for programs. docs/schema/manifest.json. */
export function manifestJson(facts: ExportFacts, now: Date): Record<string, unknown> {
  const { path, image, snapshot, disk, target, report, contentHash, fileHash, salvaged } = facts;
  const layers = disk.chain.map(({ label, format }) => ({ filename: label, format }));
  return {
    filename: path,
    operation: 'export',
    creator: `qsnap ${VERSION}`,
    date: now.toISOString(),
    'file-size': image.fileSizeBytes,
    ...unreadJson(image),
    ...(layers.length > 0 && { 'backing-files': layers }),
    ...(snapshot !== undefined && { snapshot: snapshotJson(snapshot, undefined) }),
    'disk-size': report.diskBytes,
    ...(contentHash !== undefined && { 'content-sha256': contentHash }),
    output: {
      filename: target.label,
      format: target.format,
      'file-size': facts.fileSizeBytes,
      ...(target.clusterBytes !== undefined && { 'cluster-size': target.clusterBytes }),
      ...(target.compression !== undefined && { compression: target.compression }),
      ...(fileHash !== undefined && { sha256: fileHash }),
    },
    'read-bytes': report.readBytes,
    'data-bytes': report.dataBytes,
    'zero-bytes': report.zeroBytes,
    'compressed-bytes': report.compressedBytes,
    'packed-bytes': report.packedBytes,
    ...(salvaged !== undefined && { salvage: salvagedJson(salvaged) }),
  };
}
