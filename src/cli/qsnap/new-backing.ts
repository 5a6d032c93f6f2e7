/** What is to be said of a backing file before an image records it. */
import { QsnapError, type NewBacking, type OpenImage } from '../../index.js';
import { followChain, printableText } from '../../internal.js';
import { hostGate } from './host-gate.js';

/** Formats that can be looked into; of others only whether the file is there. */
const KNOWN_FORMATS: ReadonlySet<string> = new Set(['qcow2', 'raw']);

/**
 * Looks at the file that an image is to stand on, and at what is below that. A name that is no file's is not looked at.
 *
 * @returns what somebody who sets this should know.
 * @throws QsnapError BACKING_LOOP where the chain would lead back to itself.
 */
export async function lookAtBacking(
  image: OpenImage,
  { name, format }: NewBacking,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const chain = await followChain(
    standingOn(image, String(name), format),
    hostGate({ forceShare: true }),
    signal,
  );
  const { problem } = chain;
  const shown = printableText(String(name));
  if (problem?.reason.code === 'BACKING_LOOP') {
    if (problem.layer !== 1) throw problem.reason;
    throw new QsnapError('BACKING_LOOP', `the backing file "${shown}" would be the image itself`, {
      file: image.source.label,
      expected: 'another file',
    });
  }
  return [
    ...(problem === undefined ? [] : problemText(shown, problem)),
    ...formatText(shown, format, chain.layers[0]?.beginsAsQcow2),
  ];
}

/** The image as it will be, as far as its backing file goes. */
function standingOn(image: OpenImage, name: string, format: string | undefined): OpenImage {
  const others = image.extensions.filter(({ kind }) => kind !== 'backing-format');
  const known = format === undefined || KNOWN_FORMATS.has(format) ? format : 'raw';
  const bytes = new TextEncoder().encode(known);
  const recorded = { kind: 'backing-format', at: 0, bytes } as const;
  return {
    ...image,
    backingNameBytes: new TextEncoder().encode(name),
    extensions: known === undefined ? others : [...others, recorded],
  };
}

function problemText(
  shown: string,
  { layer, reason }: { readonly layer: number; readonly reason: QsnapError },
): string[] {
  // A name of a protocol, or one for QEMU's own parser, is none that is looked at here.
  if (reason.code === 'BACKING_REFUSED' && layer === 1) return [];
  const message = printableText(reason.message);
  return layer === 1
    ? [`the backing file "${shown}" can't be looked at: ${message}`]
    : [`the chain below "${shown}" is not whole: ${message}`];
}

function formatText(
  shown: string,
  format: string | undefined,
  beginsAsQcow2: boolean | undefined,
): string[] {
  if (format === undefined) {
    const guess = 'QEMU will guess it from bytes that a guest may have written, or refuse';
    return [`no format is recorded for "${shown}": ${guess}; --backing-format says it`];
  }
  if (format === 'raw' && beginsAsQcow2 === true) {
    return [`"${shown}" begins as a qcow2 image does, and will be read as a raw disk`];
  }
  if (format === 'qcow2' && beginsAsQcow2 === false) {
    return [`"${shown}" does not begin as a qcow2 image does, and will be read as one`];
  }
  return [];
}
