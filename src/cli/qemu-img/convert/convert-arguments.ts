/** The command line of `convert`. */
import { eachOption, type ArgvContext } from '../grammar/argv.js';
import { grammarOf } from '../grammar/command-options.js';
import { CONVERT } from '../messages/convert.js';
import type { Secrets } from '../grammar/option-strings.js';
import { checkOptionList } from '../create/new-image-options.js';
import { Refusal } from '../refusal.js';
import { byteCountOf } from '../grammar/size-argument.js';
import {
  SNAPSHOT_KEYS,
  parseSnapshotKeys,
  type SnapshotChoice,
} from '../grammar/snapshot-choice.js';
import { wholeNumber } from '../grammar/whole-number.js';

export interface ConvertRequest {
  readonly sources: readonly string[];
  readonly sourceFormat: string | undefined;
  readonly imageOpts: boolean;
  readonly forceShare: boolean;
  readonly sourceCache: string | undefined;
  readonly snapshot: SnapshotChoice | undefined;
  readonly salvage: boolean;
  readonly quiet: boolean;
  readonly secrets: Secrets;
  readonly context: ArgvContext;

  /** Undefined when there is but one operand. */
  readonly output: string | undefined;
  /** Undefined with --target-image-opts, which has it. */
  readonly outputFormat: string | undefined;
  readonly targetImageOpts: boolean;
  readonly targetIsZero: boolean;
  /** The output is there (-n). */
  readonly targetExists: boolean;
  readonly cache: string | undefined;
  readonly backing: string | undefined;
  readonly backingFormat: string | undefined;
  /** All of -o as one list. */
  readonly options: string | undefined;

  readonly compressed: boolean;
  readonly bitmaps: boolean;
  /** Bitmaps that were not saved properly are left out, not refused. */
  readonly skipBroken: boolean;
  /** Zeros at least this long are left out; 0: everything is written. */
  readonly sparseBytes: number;
  readonly progress: boolean;
}

const SECTOR_BYTES = 512;
const DEFAULT_SPARSE_BYTES = 4096;
const MAX_SPARSE_BYTES = 16 * 1024 * 1024;
const MAX_COROUTINES = 16;

/** What the options say, as they come. */
class Given {
  readonly values = new Map<string, string>();
  readonly lists: string[] = [];
  readonly snapshotIds = new Set<string>();
  readonly secrets: Secrets = new Map();
  sparseBytes: number | undefined;
  /** Wins over a bare word, whichever comes last. */
  snapshotByKeys: SnapshotChoice | undefined;

  has(name: string): boolean {
    return this.values.has(name);
  }
}

/** Options whose value is judged when its turn comes. */
const JUDGED_AT_ONCE: Readonly<
  Record<string, (value: string, given: Given, context: ArgvContext) => void>
> = {
  o: (value, { lists }) => {
    checkOptionList(value);
    lists.push(value);
  },
  l: (value, given, { warn }) => {
    if (!value.startsWith(SNAPSHOT_KEYS)) return;
    given.snapshotByKeys = parseSnapshotKeys(value, given.snapshotIds, warn);
  },
  S: (value, given, context) => {
    const bytes = Number(byteCountOf(value, CONVERT.sparseName, context));
    if (bytes % SECTOR_BYTES !== 0 || bytes > MAX_SPARSE_BYTES) {
      throw new Refusal(CONVERT.sparseBytes);
    }
    given.sparseBytes = bytes;
  },
  r: (value, _, context) => {
    byteCountOf(value, CONVERT.rateName, context);
  },
  m: (value, _, { behaviour }) => {
    const count = wholeNumber(value);
    if (!(count >= 1 && count <= MAX_COROUTINES)) {
      throw new Refusal(CONVERT.coroutines(value, isNaN(count), behaviour));
    }
  },
};

/**
 * @returns undefined when help was asked for.
 * @throws Refusal for wrong usage, in the order in which QEMU looks at it.
 */
export function parseConvertArguments(
  argv: readonly string[],
  context: ArgvContext,
): ConvertRequest | undefined {
  const given = new Given();
  const take = ({ name, value }: { name: string; value: string }): void => {
    // What 10.1 calls -b was -B before.
    given.values.set(name === 'b' ? 'B' : name, value);
    JUDGED_AT_ONCE[name]?.(value, given, context);
  };
  const operands = eachOption(
    argv,
    grammarOf('convert', context.behaviour),
    context,
    take,
    given.secrets,
  );
  if (operands === undefined) return undefined;
  refuseContradictions(given);
  return requestOf(operands, given, context);
}

function refuseContradictions(given: Given): void {
  const offload = given.has('C');
  const noSuch: readonly (readonly [isWrong: boolean, text: string])[] = [
    [offload && given.has('c'), CONVERT.offloadAndCompress],
    [offload && given.sparseBytes !== undefined, CONVERT.offloadAndSparse],
    [offload && given.has('salvage'), CONVERT.offloadAndSalvage],
    [given.has('target-image-opts') && !given.has('n'), CONVERT.targetOptsNeedN],
    [given.lists.length > 0 && given.has('n'), CONVERT.optionsWithN],
    [given.has('target-is-zero') && !given.has('n'), CONVERT.targetIsZeroNeedsN],
    [given.has('skip-broken-bitmaps') && !given.has('bitmaps'), CONVERT.skipNeedsBitmaps],
  ];
  const wrong = noSuch.find(([isWrong]) => isWrong);
  if (wrong !== undefined) throw new Refusal(wrong[1]);
}

function requestOf(
  operands: readonly string[],
  given: Given,
  context: ArgvContext,
): ConvertRequest {
  const { values } = given;
  const targetImageOpts = given.has('target-image-opts');
  const word = values.get('l');
  return {
    sources: operands.slice(0, -1),
    sourceFormat: values.get('format'),
    imageOpts: given.has('image-opts'),
    forceShare: given.has('force-share'),
    sourceCache: values.get('T'),
    snapshot: given.snapshotByKeys ?? (word === undefined ? undefined : { word }),
    salvage: given.has('salvage'),
    quiet: given.has('q'),
    secrets: given.secrets,
    context,
    output: operands.length > 1 ? operands.at(-1)! : undefined,
    outputFormat: values.get('O') ?? (targetImageOpts ? undefined : 'raw'),
    targetImageOpts,
    targetIsZero: given.has('target-is-zero'),
    targetExists: given.has('n'),
    cache: values.get('t'),
    backing: values.get('B'),
    backingFormat: values.get('F'),
    options: given.lists.length === 0 ? undefined : given.lists.join(','),
    compressed: given.has('c'),
    bitmaps: given.has('bitmaps'),
    skipBroken: given.has('skip-broken-bitmaps'),
    sparseBytes: given.sparseBytes ?? DEFAULT_SPARSE_BYTES,
    progress: given.has('p') && !given.has('q'),
  };
}
