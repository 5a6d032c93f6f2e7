import { utf8Bytes, utf8Text } from '../../../../src/base/text.js';
import type { Snapshot } from '../../../../src/qcow2/snapshot-table.js';

/** Snapshots with these ids and names and nothing else of interest. */
export function snapshotsNamed(
  ...named: readonly (readonly [id: string, name: string | Uint8Array])[]
): readonly Snapshot[] {
  return named.map(([id, name], index) => {
    const nameBytes = typeof name === 'string' ? utf8Bytes(name) : name;
    return {
      index,
      id,
      idBytes: utf8Bytes(id),
      name: utf8Text(nameBytes),
      nameBytes,
      nameIsUtf8: true,
      date: { seconds: 0, nanoseconds: 0 },
      vmClockNanoseconds: 0n,
      vmStateBytes: 0,
      diskSizeBytes: 0,
      icount: undefined,
      l1: { at: 0x70000, entries: 1 },
      vmStateBytes32: 0,
      extraData: new Uint8Array(0),
      at: 0,
    };
  });
}

/** The code of the QsnapError that `action` throws, or what it returns. */
export function outcome(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return (error as { code: unknown }).code;
  }
}
