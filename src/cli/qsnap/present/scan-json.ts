import type { Candidate } from '../../../index.js';
import { utcTimeText } from '../../text.js';
import { unreadJson } from '../unread.js';
import { isCutOff, type Scanned } from './scanned.js';

/** What a scan found. docs/schema/scan.json. */
export function scanJson({
  path,
  report,
  candidates,
  min,
  carved,
}: Scanned): Record<string, unknown> {
  return {
    filename: path,
    'file-size': report.fileSizeBytes,
    'cluster-size': report.clusterBytes,
    header: report.hasHeader,
    ...unreadJson(report),
    'cut-off': isCutOff(report),
    'past-end-bytes': report.pastEndBytes,
    'unreferenced-bytes': report.unreferencedBytes,
    'hole-bytes': report.holeBytes,
    'data-bytes': report.dataBytes,
    'least-plausibility': min,
    candidates: candidates.map((one) => candidateJson(one, carved?.get(one.number))),
    'candidates-less-plausible': report.candidates.length - candidates.length,
    'candidates-left-out': report.candidatesLeftOut,
  };
}

/** One candidate. */
export function candidateJson(candidate: Candidate, carved?: string): Record<string, unknown> {
  const { number, kind, at, bytes, where, plausibility, reasons, l1, fates } = candidate;
  const { snapshot, machine, header } = candidate;
  return {
    ...{ number, kind, offset: at, bytes, where, plausibility, reasons },
    ...(snapshot !== undefined && {
      snapshot: {
        id: snapshot.id,
        name: snapshot.name,
        date: utcTimeText(snapshot.date),
        'disk-size': snapshot.diskSizeBytes,
        'vm-state-size': snapshot.vmStateBytes,
      },
    }),
    ...(l1 !== undefined && { 'l1-table': { offset: l1.at, entries: l1.entries } }),
    ...(fates !== undefined && { clusters: fates }),
    ...(machine !== undefined && { machine }),
    ...(header !== undefined && {
      header: {
        version: header.version,
        'cluster-size': header.clusterBytes,
        'disk-size': header.diskSizeBytes,
      },
    }),
    ...(carved !== undefined && { carved }),
  };
}
