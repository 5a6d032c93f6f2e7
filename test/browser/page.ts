/** What the page does: `page-server.ts` bundles it with the build, and tests call it by name. */
import {
  blobSource,
  httpSource,
  isQsnapError,
  openImage,
  type BlockSource,
} from '../../src/index.js';
import { newSha256, webCryptography, webDecompressor } from '../../src/web/index.js';
import { editImage } from './editing.js';
import { gateTo, readImage, type Reading } from './reading.js';

/** An image by its name: chosen as a file, or on the server; or the address of one. */
export interface Wanted {
  readonly by: 'file' | 'url';
  readonly image: string;
  readonly passphrase?: string | undefined;
}

/** How a call ended: what it gave, or the error. */
export type Outcome<T> =
  | { readonly value: T }
  | { readonly code: string; readonly message: string; readonly hint: string };

/** What is used of the page. */
type ChosenFile = Parameters<typeof blobSource>[0] & {
  readonly name: string;
  arrayBuffer(): Promise<ArrayBuffer>;
};
declare const document: {
  querySelector(selector: string): { readonly files: Iterable<ChosenFile> };
};

function chosenFile(name: string): ChosenFile {
  const file = [...document.querySelector('input').files].find((one) => one.name === name);
  if (file === undefined) throw new Error(`${name} was not chosen`);
  return file;
}

function opened(by: Wanted['by'], name: string): Promise<BlockSource> {
  if (name.startsWith('http:')) return httpSource(name);
  if (by === 'url') return httpSource(`/images/${encodeURIComponent(name)}`);
  return Promise.resolve(blobSource(chosenFile(name), name));
}

async function read({ by, image, passphrase }: Wanted): Promise<Reading> {
  const options = {
    decompressor: webDecompressor(),
    cryptography: webCryptography(),
    passphrase: passphrase === undefined ? undefined : new TextEncoder().encode(passphrase),
    gate: gateTo((name) => opened(by, name)),
  };
  return readImage(await opened(by, image), options, newSha256);
}

/** Names of the snapshots alone, which takes a few reads. */
async function list({ by, image }: Wanted): Promise<readonly string[]> {
  const { snapshots } = await openImage(await opened(by, image));
  return snapshots.map(({ name }) => name);
}

/** Edits a copy in memory: the SHA-256 of it afterwards, and what a check finds. */
async function edit({ image }: Wanted): Promise<{ sha256: string; findings: readonly string[] }> {
  const file = chosenFile(image);
  const { bytes, findings } = await editImage(new Uint8Array(await file.arrayBuffer()));
  const hasher = newSha256();
  hasher.update(bytes);
  return { sha256: hasher.digest(), findings };
}

const CALLS = { read, list, edit };

/** The calls that a test can make, by name. */
export type Calls = typeof CALLS;

async function call(name: keyof Calls, wanted: Wanted): Promise<Outcome<unknown>> {
  try {
    return { value: await CALLS[name](wanted) };
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { code: error.code, message: error.message, hint: error.details.hint ?? '' };
  }
}

/** WebCrypto is missing in pages that did not come by HTTPS or from this machine. */
const hasWebCrypto = (globalThis.crypto as { subtle?: unknown }).subtle !== undefined;

Object.assign(globalThis, { qsnapPage: { call, hasWebCrypto } });
