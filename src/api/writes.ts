import { utf8Bytes } from '../base/text.js';
import { besideEdit } from '../edit/write/beside-edit.js';
import type { DiskChange } from '../edit/write/disk-change.js';
import { planWrite } from '../edit/write/plan-write.js';
import type { BlockSource, ReadRequest } from '../io/device.js';
import { settled } from '../io/settled.js';
import { zeroSource } from '../io/zero-source.js';
import { viewOf } from '../io/view.js';
import type { GuestDisk } from '../read/guest/disk.js';
import { openGuestDisk } from '../read/guest/open-guest-disk.js';
import { unlock } from '../read/guest/unlock.js';
import type { Edits } from './edits.js';
import { LIST, PIECE, refuseArgument, refuseWrong, WRITE } from './known-options.js';
import type { DiskOptions, DiskPiece, EditOptions, OpenQcowOptions } from './options.js';
import type { DoneEdit, Planner } from './planned-edit.js';

/** What `write` does. The disk stays open to the end: parts of clusters are taken over from it. */
export async function written(
  edits: Edits,
  pieces: readonly DiskPiece[],
  options: DiskOptions & EditOptions,
  platform: OpenQcowOptions,
): Promise<DoneEdit> {
  refuseArgument('pieces', pieces, LIST);
  for (const piece of pieces) refuseArgument('piece', piece, PIECE);
  refuseWrong(options, WRITE);
  const { backing, passphrase: typed } = options;
  const { decompressor, cryptography } = platform;
  const gate = backing === true ? platform.gate : undefined;
  const passphrase = typeof typed === 'string' ? utf8Bytes(typed) : typed;
  const ascending = pieces.toSorted((a, b) => a.at - b.at);
  const opened: GuestDisk[] = [];
  const planner: Planner = async (image, planning) => {
    const how = { decompressor, cryptography, gate, passphrase };
    const disk = await openGuestDisk(besideEdit(image), how);
    opened.push(disk);
    const isEncrypted = image.header.encryption !== 'none';
    const hasKey = isEncrypted && passphrase !== undefined && cryptography !== undefined;
    const cipher = hasKey ? await unlock(image, passphrase, cryptography) : undefined;
    const write = { changes: ascending.map(changeOf), content: contentOf(ascending), disk, cipher };
    return planWrite(image, write, planning);
  };
  try {
    return (await edits.edit(planner, options)).done;
  } finally {
    await settled(opened.map((disk) => disk.close()));
  }
}

function changeOf(piece: DiskPiece): DiskChange {
  return 'bytes' in piece
    ? { at: piece.at, length: piece.bytes.length, kind: 'data' }
    : { at: piece.at, length: piece.zeroBytes, kind: 'zero' };
}

/** The pieces at their places, zeros between them. */
function contentOf(pieces: readonly DiskPiece[]): BlockSource {
  const readBatch = (requests: readonly ReadRequest[]): Promise<void> => {
    for (const { at, into } of requests) {
      into.fill(0);
      for (const piece of pieces) {
        if (!('bytes' in piece)) continue;
        const from = Math.max(at, piece.at);
        const end = Math.min(at + into.length, piece.at + piece.bytes.length);
        if (from < end) into.set(piece.bytes.subarray(from - piece.at, end - piece.at), from - at);
      }
    }
    return Promise.resolve();
  };
  const none = zeroSource('what is written', Number.MAX_SAFE_INTEGER);
  return viewOf(
    none,
    new Map<string, unknown>([
      ['readBatch', readBatch],
      ['stretchesFrom', undefined],
    ]),
  );
}
