import { open, opendir, stat } from 'node:fs/promises';
import path from 'node:path';
import { listObjects } from '../../remote/list-objects.js';
import { isUrl } from '../../remote/location.js';
import { openSource } from '../../remote/open-source.js';

/** A file that may be an image. */
export interface FoundFile {
  /** An absolute path or a URL. */
  readonly location: string;
}

/** A part of a place that could not be looked at. */
export interface Unseen {
  readonly location: string;
  readonly reason: string;
}

/** The name of a place as a catalogue keeps it. */
export function placeOf(text: string): string {
  return isUrl(text) ? text : path.resolve(text);
}

/** Whom limits are set for: the host or bucket of a URL, or all files. */
export function storeOf(location: string): string {
  if (!isUrl(location)) return 'file';
  const { protocol, host } = new URL(location);
  return `${protocol}//${host}`;
}

/**
 * Finds the images of a place: a file, all below a folder, a URL, or all objects whose keys begin with an s3:// URL that
 * ends in a slash. Below folders and in buckets the first bytes tell an image; links are not followed.
 *
 * @param onUnseen gets what could not be looked at; the rest is found all the same.
 * @throws Error of the system or the server: the place itself can't be looked at.
 */
export async function* findImages(
  place: string,
  onUnseen: (unseen: Unseen) => void,
): AsyncGenerator<FoundFile, void, undefined> {
  if (isUrl(place)) {
    if (place.startsWith('s3://') && place.endsWith('/')) yield* imagesInBucket(place, onUnseen);
    else yield { location: place };
    return;
  }
  const found = await stat(place);
  if (found.isDirectory()) yield* imagesBelow(place, onUnseen);
  else yield { location: place };
}

async function* imagesBelow(
  folder: string,
  onUnseen: (unseen: Unseen) => void,
): AsyncGenerator<FoundFile, void, undefined> {
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    const names: string[] = [];
    try {
      for await (const entry of await opendir(next)) {
        const location = path.join(next, entry.name);
        if (entry.isDirectory()) folders.push(location);
        else if (entry.isFile()) names.push(location);
      }
    } catch (error) {
      onUnseen({ location: next, reason: reasonOf(error) });
    }
    for (const location of names.sort()) {
      try {
        if (await startsAsImage(location)) yield { location };
      } catch (error) {
        onUnseen({ location, reason: reasonOf(error) });
      }
    }
  }
}

async function* imagesInBucket(
  place: string,
  onUnseen: (unseen: Unseen) => void,
): AsyncGenerator<FoundFile, void, undefined> {
  for await (const { location } of listObjects(place)) {
    try {
      const source = await openSource(location, { forceShare: true });
      const magic = new Uint8Array(4);
      await source.readBatch([{ at: 0, into: magic }]);
      await source.close();
      if (isMagic(magic)) yield { location };
    } catch (error) {
      onUnseen({ location, reason: reasonOf(error) });
    }
  }
}

async function startsAsImage(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const magic = new Uint8Array(4);
    await handle.read(magic, 0, magic.length, 0);
    return isMagic(magic);
  } finally {
    await handle.close();
  }
}

/** Spec: Header. */
const isMagic = (bytes: Uint8Array): boolean =>
  [0x51, 0x46, 0x49, 0xfb].every((byte, i) => bytes[i] === byte);

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
