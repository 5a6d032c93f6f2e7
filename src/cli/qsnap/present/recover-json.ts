import type { RecoveredRange } from '../../../index.js';
import { candidateJson } from './scan-json.js';
import type { Recovered } from './recovered.js';

/** What came of a candidate. docs/schema/recover.json. */
export function recoverJson(done: Recovered): Record<string, unknown> {
  const { path, candidate, output, isCopy, bytes, map } = done;
  return {
    ...{ filename: path, operation: 'recover', candidate: candidateJson(candidate) },
    ...{ output, 'output-size': done.fileSizeBytes, into: isCopy },
    'disk-size': done.diskSizeBytes,
    'candidate-bytes': bytes.candidate,
    'unknown-bytes': bytes.unknown,
    'reused-bytes': bytes.reused,
    'empty-bytes': bytes.none,
    'unreadable-bytes': done.unreadableBytes,
    ...(map !== undefined && { map }),
  };
}

/** One line of a map. */
export function rangeJson({ start, length, state, why }: RecoveredRange): Record<string, unknown> {
  return { start, length, state, why };
}
