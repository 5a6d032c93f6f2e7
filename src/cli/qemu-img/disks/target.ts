/** The file that a command line means. */
import { textOf } from '../grammar/bytes.js';
import { isOtherFormat, isOtherProtocol } from './formats.js';
import { OPEN_REASONS, couldNotOpen } from '../messages.js';
import { parseImageOptions } from '../grammar/option-strings.js';

export interface Target {
  /** The operand as typed: what messages about opening name. */
  readonly operand: string;
  /** The path as a byte string: what everything else shows. */
  readonly shown: string;
  /** The path to open. */
  readonly path: string;
  /** The format that was asked for; undefined: to be found out. */
  readonly format: 'qcow2' | 'raw' | undefined;
  /** Id of the secret that opens an encrypted image, where one is named. */
  readonly keySecret?: string | undefined;
  /** How the image is said to be encrypted. */
  readonly keyFormat?: string | undefined;
}

/** The protocol that a file name begins with: what stands before a colon, if no slash does. */
export function protocolOf(name: string): string | undefined {
  return /^([^:/]*):/.exec(name)?.[1];
}

/** @throws Refusal when the operand means something else than a file of the host. */
export function targetOf(operand: string, imageOpts: boolean, format?: string): Target {
  if (imageOpts) {
    const options = parseImageOptions(operand);
    const { format: named, keySecret, keyFormat } = options;
    const path = pathOf(operand, options.path);
    return { operand, ...path, format: named, keySecret, keyFormat };
  }
  const asked = askedFormat(operand, format);
  const protocol = protocolOf(operand);
  if (protocol === undefined) return { operand, ...pathOf(operand, operand), format: asked };
  if (protocol === 'file') {
    const name = operand.slice('file:'.length);
    // A name that begins like a protocol is shown as a path, which means the same file.
    const plain = protocolOf(name) === undefined ? name : `./${name}`;
    return { operand, ...pathOf(operand, plain), format: asked };
  }
  const known = isOtherProtocol(protocol);
  throw couldNotOpen(
    operand,
    known ? OPEN_REASONS.unsupportedProtocol(protocol) : OPEN_REASONS.unknownProtocol(protocol),
  );
}

function askedFormat(operand: string, format: string | undefined): Target['format'] {
  if (format === undefined || format === 'qcow2' || format === 'raw') return format;
  const known = isOtherFormat(format);
  throw couldNotOpen(
    operand,
    known ? OPEN_REASONS.unsupportedFormat(format) : OPEN_REASONS.unknownDriver(format),
  );
}

function pathOf(operand: string, shown: string): { shown: string; path: string } {
  if (shown === '') throw couldNotOpen(operand, OPEN_REASONS.noFileName);
  const path = textOf(shown);
  if (path === undefined) throw couldNotOpen(operand, OPEN_REASONS.pathNotUtf8);
  return { shown, path };
}

/**
 * The path of a backing file as QEMU would open it: relative names start from the folder of the
 * image that names them.
 */
export function fullBackingName(imagePath: string, backingName: string): string {
  const isWhole = backingName.startsWith('/') || protocolOf(backingName) !== undefined;
  if (isWhole || backingName === '') return backingName;
  return imagePath.slice(0, imagePath.lastIndexOf('/') + 1) + backingName;
}
