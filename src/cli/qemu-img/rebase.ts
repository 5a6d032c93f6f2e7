/** `rebase -u`: another name of the backing file, and nothing else. */
import { isQsnapError, type QsnapError } from '../../index.js';
import { setBacking } from '../../internal.js';
import { eachOption, fileRequest, oneOperand, type ArgvContext, type FileRequest } from './argv.js';
import { bytesOf } from './bytes.js';
import { isCacheMode } from './cache-mode.js';
import { grammarOf } from './command-options.js';
import { isOtherFormat } from './formats.js';
import type { QemuImgIo } from './io.js';
import { guessedRawWarning, sentenceOf } from './messages.js';
import { USAGE } from './messages-usage.js';
import { REBASE } from './messages-rebase.js';
import { withEditableImage } from './opened.js';
import { percentLines } from './percent-lines.js';
import { Refusal } from './refusal.js';
import type { Run } from './run-command.js';
import { refuseUnwritable, warnAboutBitmaps, warnAboutLock } from './snapshot.js';
import { targetOf } from './target.js';

interface RebaseRequest extends FileRequest {
  readonly format: string | undefined;
  /** Undefined where nobody said: none, as for an empty name. */
  readonly backing: string | undefined;
  readonly backingFormat: string | undefined;
  readonly progress: boolean;
}

/** Parses the arguments of `rebase`. */
export function parseRebase(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const grammar = grammarOf('rebase', context.behaviour);
  const operands = eachOption(argv, grammar, context, ({ name, value }) => {
    // What 10.1 calls -B was -F before, and is still taken.
    values.set(name === 'B' ? 'F' : name, value);
  });
  if (operands === undefined) return undefined;
  const file = fileRequest(oneOperand(operands), values);
  const format = values.get('format');
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const [cache, sourceCache] = [values.get('t'), values.get('T')];
  if (cache !== undefined && !isCacheMode(cache)) throw new Refusal(REBASE.cache(cache));
  if (sourceCache !== undefined && !isCacheMode(sourceCache)) {
    throw new Refusal(REBASE.sourceCache(sourceCache));
  }
  if (!values.has('u')) throw new Refusal(REBASE.unsafeOnly);
  const request: RebaseRequest = {
    ...file,
    format,
    backing: values.get('b'),
    backingFormat: values.get('F'),
    progress: values.has('p') && !values.has('q'),
  };
  return (io) => runRebase(request, io);
}

const isFormat = (name: string): boolean =>
  name === 'qcow2' || name === 'raw' || isOtherFormat(name);

async function runRebase(request: RebaseRequest, io: QemuImgIo): Promise<number> {
  const { backing = '', backingFormat } = request;
  const target = targetOf(request.operand, request.imageOpts, request.format);
  const progress = percentLines(io, request.progress, 1);
  try {
    await withEditableImage(target, async (opened) => {
      warnAboutLock(opened.file, io);
      if (opened.kind === 'raw') {
        if (opened.guessed) io.printError(`${guessedRawWarning(target.shown)}\n`);
        // QEMU: printf's word for no name at all.
        throw failed(request.backing ?? '(null)', REBASE.notSupported);
      }
      refuseUnwritable(opened.image, target);
      warnAboutBitmaps(opened.image, io);
      if (backingFormat !== undefined && !isFormat(backingFormat)) {
        throw new Refusal(REBASE.invalidFormat(backingFormat));
      }
      if (backing !== '' && backingFormat === undefined) throw failed(backing, REBASE.formatNeeded);
      const named = { name: bytesOf(backing), format: backingFormat };
      await io.interruptible((signal) =>
        setBacking(opened.file, backing === '' ? undefined : named, { signal }),
      );
    });
    progress.at(100);
  } catch (error) {
    throw isQsnapError(error) ? failed(backing, reasonOf(error)) : error;
  } finally {
    progress.end();
  }
  return 0;
}

const failed = (name: string, reason: string): Refusal => new Refusal(REBASE.failed(name, reason));

function reasonOf(error: QsnapError): string {
  if (error.code === 'NAME_INVALID') return REBASE.invalid;
  return error.details.structure === 'header extensions' ? REBASE.noRoom : sentenceOf(error);
}
