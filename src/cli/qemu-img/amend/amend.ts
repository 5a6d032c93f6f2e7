/** `amend`: other options for an image that is there. */
import {
  eachOption,
  fileRequest,
  type ArgvContext,
  type FileRequest,
  type GivenOption,
} from '../grammar/argv.js';
import type { Secrets } from '../grammar/option-strings.js';
import { readSecrets } from '../disks/secrets.js';
import { masterKeyOf } from './key-slots.js';
import { amendImage } from './amend-image.js';
import { parseAmendOptions } from './amend-options.js';
import { isCacheMode } from '../grammar/cache-mode.js';
import { grammarOf } from '../grammar/command-options.js';
import { isOtherFormat } from '../disks/formats.js';
import type { QemuImgIo } from '../disks/io.js';
import { guessedRawWarning } from '../messages.js';
import { AMEND, AMEND_HELP } from '../messages/amend.js';
import { NEW_IMAGE } from '../messages/create.js';
import { USAGE } from '../messages/usage.js';
import { asksForHelp, checkOptionList } from '../create/new-image-options.js';
import { withEditableImage } from '../disks/opened.js';
import { percentLines } from '../percent-lines.js';
import { Refusal, UsageError } from '../refusal.js';
import type { Run } from '../run-command.js';
import { refuseUnwritable, warnAboutBitmaps, warnAboutLock } from '../snapshot.js';
import { targetOf } from '../disks/target.js';

interface AmendRequest extends FileRequest {
  readonly format: string | undefined;
  /** All of `-o`. */
  readonly options: string;
  readonly progress: boolean;
  readonly secrets: Secrets;
  readonly force: boolean;
  readonly context: ArgvContext;
}

/** Parses the arguments of `amend`. */
export function parseAmend(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const options: string[] = [];
  const secrets: Secrets = new Map();
  const grammar = grammarOf('amend', context.behaviour);
  const take = ({ name, value }: GivenOption): void => {
    if (name !== 'o') values.set(name, value);
    else {
      checkOptionList(value);
      options.push(value);
    }
  };
  const operands = eachOption(argv, grammar, context, take, secrets);
  if (operands === undefined) return undefined;
  if (options.length === 0) throw new UsageError(AMEND.optionsNeeded);
  const format = values.get('format');
  const progress = values.has('p') && !values.has('q');
  if (format !== undefined && asksForHelp(options.join(','))) {
    return (io) => Promise.resolve(printHelp(format, progress, io));
  }
  const [operand] = operands;
  // QEMU: no word on where help is.
  if (operand === undefined || operands.length !== 1) throw new Refusal(USAGE.oneFile);
  const file = fileRequest(operand, values);
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const cache = values.get('t');
  if (cache !== undefined && !isCacheMode(cache)) throw new Refusal(AMEND.cache(cache));
  const given = { format, options: options.join(','), progress, secrets };
  const request = { ...file, ...given, force: values.has('force'), context };
  return (io) => runAmend(request, io);
}

function printHelp(format: string, wantsProgress: boolean, io: QemuImgIo): number {
  const progress = percentLines(io, wantsProgress, 1);
  try {
    if (format === 'raw' || isOtherFormat(format))
      throw new Refusal(AMEND.unsupportedFormat(format));
    if (format !== 'qcow2') throw new Refusal(NEW_IMAGE.unknownFormat(format));
    io.printLines(AMEND_HELP);
  } finally {
    progress.end();
  }
  return 0;
}

const NO_SECRETS: ReadonlyMap<string, Uint8Array> = new Map();

async function runAmend(request: AmendRequest, io: QemuImgIo): Promise<number> {
  const { options, context } = request;
  const target = targetOf(request.operand, request.imageOpts, request.format);
  const progress = percentLines(io, request.progress, 1);
  const asksForKeys = options.includes('encrypt.');
  const secrets = asksForKeys ? readSecrets(request.secrets) : NO_SECRETS;
  try {
    await withEditableImage(target, async ({ file, ...opened }) => {
      warnAboutLock(file, io);
      if (opened.kind === 'raw') {
        if (opened.guessed) io.printError(`${guessedRawWarning(target.shown)}\n`);
        throw new Refusal(AMEND.unsupportedFormat('raw'));
      }
      refuseUnwritable(opened.image, target);
      warnAboutBitmaps(opened.image, io);
      if (asksForHelp(options)) {
        io.printLines(AMEND_HELP);
        return;
      }
      const masterKey = asksForKeys ? await masterKeyOf(opened.image, target, secrets) : undefined;
      const wanted = parseAmendOptions(options, opened.image, context);
      const keyring = { secrets, masterKey, force: request.force };
      await amendImage(file, wanted, { target, keyring, io, progress });
      progress.at(100);
    });
  } finally {
    progress.end();
  }
  return 0;
}
