/** Texts of --help and --version. */
import { VERSION } from '../../version.js';
import type { Behaviour, Version } from '../version/behaviour.js';
import { grammarOf } from './command-options.js';

/** The number that is printed for a version: the last one that was measured, else the first of its line. */
const NUMBERS: Readonly<Record<Version, string>> = {
  '7.2': '7.2.22',
  '8.2': '8.2.0',
  '9.0': '9.0.0',
  '10.0': '10.0.0',
  'debian-10.0': '10.0.13',
  '10.1': '10.1.0',
  '11.1': '11.1.3',
};

/** What scripts read for a version, and whose it is. */
export function versionText({ version }: Behaviour): string {
  return `qemu-img version ${NUMBERS[version]} (qsnap ${VERSION})`;
}

export function helpText(program: string, behaviour: Behaviour): string {
  const commands = Object.entries(COMMANDS).map(([name, { summary }]) =>
    behaviour.namedOptions ? `  ${name} - ${summary}` : usageLine(name, behaviour),
  );
  const formats = behaviour.namedOptions
    ? 'Supported image formats:\n\n  qcow2 raw'
    : 'Supported formats: qcow2 raw';
  return `${versionText(behaviour)}
Checks, copies and edits qcow2 images and their snapshots, with the arguments,
output and exit codes of qemu-img.  Usage:

  ${program} [standard options] COMMAND [--help | command options]

Standard options:
  -h, --help
     print this help and exit
  -V, --version
     print the version and exit
  -T, --trace TRACE
     accepted and ignored
  --qemu-version VERSION
     do as this version of qemu-img does, such as 7.2 or 11.1 (default:
     QSNAP_QEMU_VERSION, else the installed one, else the newest known)

Commands (${program} COMMAND --help tells more):

${commands.join('\n')}

${formats}

What differs from qemu-img is listed in docs/parity.md. 'qsnap' does the same
with more care for people, and more.`;
}

/** All options of a command in a line: before 10.1 scripts look into the help for what qemu-img can do. */
function usageLine(command: string, behaviour: Behaviour): string {
  const { short, long } = grammarOf(command, behaviour);
  const options = [
    ...Object.keys(short).map((letter) => `-${letter}`),
    ...Object.keys(long).flatMap((name) => (typeof long[name] === 'string' ? [] : `--${name}`)),
  ].map((name) => `[${name}]`);
  const operands = COMMANDS[command]!.operands.replaceAll(/\bFILE\b/g, 'filename').toLowerCase();
  return `  ${command} ${options.join(' ')} ${operands}`;
}

/** What `--help` of a command says: its options are those of the version that is followed. */
export function commandHelp(program: string, command: string, behaviour: Behaviour): string {
  const { operands, summary, options = {} } = COMMANDS[command]!;
  const { short, long } = grammarOf(command, behaviour);
  const lines = [...Object.keys(short), ...Object.keys(long)].flatMap((name) => {
    if (typeof long[name] === 'string') return [];
    const [value, text] = options[name] ?? COMMON[name] ?? ['', ''];
    const longNames = Object.keys(long).filter((other) => long[other] === name);
    const own = short[name] === undefined ? `--${name}` : `-${name}`;
    const names = [own, ...longNames.map((other) => `--${other}`)].join(', ');
    return [`  ${names}${value === '' ? '' : ` ${value}`}`, `     ${text}`];
  });
  if (command === 'commit' || command === 'rebase') {
    lines.push(
      '  --force',
      '     although the overlay has snapshots, which will show something else',
    );
  }
  const usage = `Usage:\n  ${program} ${command} [options] ${operands}`;
  return [usage, '', `${summary}.`, '', 'Options:', ...lines].join('\n');
}

type OptionHelp = readonly [value: string, text: string];

interface CommandHelp {
  readonly operands: string;
  readonly summary: string;
  /** Those that mean something else here than elsewhere, or are only here. */
  readonly options?: Readonly<Record<string, OptionHelp>>;
}

/** Options that mean the same in several commands. */
const COMMON: Readonly<Record<string, OptionHelp>> = {
  f: ['FMT', 'qcow2 or raw (default: found out)'],
  h: ['', 'print this help and exit'],
  q: ['', 'print nothing but errors and findings'],
  p: ['', 'show progress'],
  s: ['', ''],
  t: ['CACHE', 'accepted, and changes nothing'],
  T: ['CACHE', 'accepted, and changes nothing'],
  U: ['', 'read the image although another process may be writing to it'],
  o: ['OPTIONS', 'options of the new image (-o help lists them)'],
  O: ['FMT', 'format of the new image: qcow2 or raw (default)'],
  object: ['OBJECT', 'a secret: commands that read the disk decrypt with it'],
  output: ['FORMAT', 'human (default) or json'],
  'image-opts': ['', 'FILE is driver=qcow2,file.filename=PATH'],
};

const FILE = 'FILE';

const COMMANDS: Readonly<Record<string, CommandHelp>> = {
  amend: {
    operands: FILE,
    summary: 'Changes options that an image was made with',
    options: {
      o: ['OPTIONS', 'the options, such as compat=1.1: have to be given (-o help lists them)'],
      force: ['', 'accepted, and changes nothing'],
    },
  },
  bench: {
    operands: FILE,
    summary: 'Tells how long a number of reads takes',
    options: {
      c: ['COUNT', 'how many reads (default: 75000)'],
      d: ['DEPTH', 'how many at a time (default: 64)'],
      i: ['AIO', 'accepted, and changes nothing'],
      n: ['', 'accepted, and changes nothing'],
      o: ['OFFSET', 'where the first one begins'],
      q: ['', 'accepted, and changes nothing'],
      s: ['SIZE', 'how much each reads (default: 4k)'],
      w: ['', 'refused: nothing is written over what is on the disk'],
      S: ['SIZE', 'how far one begins behind the other (default: SIZE of -s)'],
      pattern: ['BYTE', 'only for writes'],
      'flush-interval': ['COUNT', 'only for writes'],
      'no-drain': ['', 'only for writes'],
    },
  },
  bitmap: {
    operands: 'FILE BITMAP',
    summary: 'Changes persistent bitmaps: all that is asked for is done, or nothing',
    options: {
      b: ['FILE', 'the image that has the bitmap to merge'],
      F: ['FMT', 'format of that image (default: found out)'],
      g: ['SIZE', 'how much of the disk one bit of a new bitmap stands for'],
      add: ['', 'make BITMAP, which records what is written from now on'],
      remove: ['', 'remove BITMAP'],
      'remove-all': ['', 'remove all bitmaps: alone, without BITMAP'],
      clear: ['', 'forget what BITMAP has recorded'],
      enable: ['', 'record what is written from now on'],
      disable: ['', 'record nothing from now on'],
      merge: ['SOURCE', 'add what the bitmap SOURCE has recorded'],
    },
  },
  check: {
    operands: FILE,
    summary: 'Counts all references of an image, and repairs what it is told to',
    options: {
      r: [
        'leaks|all',
        'leaks and refcounts too low, or all that loses no data: no snapshot is dropped',
      ],
    },
  },
  commit: {
    operands: FILE,
    summary: 'Writes what an overlay says into the file below it, and makes the overlay empty',
    options: {
      b: ['BASE', 'into this file of the chain; the overlay stays as it is (default: the next)'],
      d: ['', 'leave the overlay as it is'],
      r: ['RATE', 'accepted, and changes nothing'],
    },
  },
  compare: {
    operands: 'FILE1 FILE2',
    summary: 'Tells whether two disks hold the same',
    options: {
      f: ['FMT', 'format of FILE1 (default: found out)'],
      F: ['FMT', 'format of FILE2 (default: found out)'],
      s: ['', 'sizes and allocation must be the same, too'],
    },
  },
  convert: {
    operands: 'FILE [FILE...] TARGET',
    summary: 'Copies disks, one behind the other, to another image',
    options: {
      b: ['FILE', 'the backing file of TARGET: what it holds is not copied'],
      B: ['FILE', 'the backing file of TARGET: what it holds is not copied'],
      F: ['FMT', 'format of the backing file'],
      c: ['', 'compress clusters (qcow2 only)'],
      l: ['SNAPSHOT', 'copy this snapshot, at the size that it had'],
      m: ['COUNT', 'accepted, and changes nothing'],
      n: ['', 'TARGET is there, and keeps its options and snapshots'],
      r: ['RATE', 'accepted, and changes nothing'],
      C: ['', 'accepted, and changes nothing'],
      S: ['SIZE', 'how long zeros must be to be left out (default: 4k; 0: none are)'],
      W: ['', 'accepted, and changes nothing'],
      'target-image-opts': ['', 'TARGET is driver=qcow2,file.filename=PATH'],
      'target-is-zero': ['', 'TARGET holds zeros already'],
      salvage: ['', 'take what can not be read for zeros'],
      bitmaps: ['', 'copy the bitmaps of the disk, too: not with -l'],
      'skip-broken-bitmaps': ['', 'leave out those that were not saved properly'],
    },
  },
  create: {
    operands: 'FILE [SIZE]',
    summary: 'Makes a new image',
    options: {
      b: ['FILE', 'the backing file'],
      B: ['FMT', 'format of the backing file'],
      F: ['FMT', 'format of the backing file'],
      f: ['FMT', 'format of the new image: qcow2 or raw (default)'],
      u: ['', 'do not look at the backing file'],
    },
  },
  dd: {
    operands: '[bs=SIZE] [count=BLOCKS] [skip=BLOCKS] if=FILE of=TARGET',
    summary: 'Copies a disk, or a part of it, to a new image',
    options: {
      f: ['FMT', 'format of FILE (default: found out)'],
    },
  },
  info: {
    operands: FILE,
    summary: 'Tells what an image says of itself',
    options: {
      'backing-chain': ['', 'tell of the backing files, too'],
      limits: ['', 'tell how the file wants to be read and written'],
    },
  },
  map: {
    operands: FILE,
    summary: 'Tells where in which file the guest data lies',
    options: {
      s: ['OFFSET', 'begin here, not at the start'],
      l: ['LENGTH', 'end after so many bytes'],
    },
  },
  measure: {
    operands: '(--size SIZE | FILE)',
    summary: 'Tells how long the file of a new image becomes',
    options: {
      l: ['SNAPSHOT', 'measure this snapshot, at the size that it had'],
      s: ['SIZE', 'measure an empty disk of this size'],
      size: ['SIZE', 'measure an empty disk of this size'],
    },
  },
  rebase: {
    operands: FILE,
    summary: 'Puts another backing file under an image, whose content stays',
    options: {
      b: ['FILE', 'the backing file; an empty name: none'],
      B: ['FMT', 'format of the backing file'],
      c: ['', 'refused: what is copied is not compressed'],
      F: ['FMT', 'format of the backing file'],
      u: ['', 'change the name alone: nothing is copied'],
    },
  },
  resize: {
    operands: 'FILE [+-]SIZE',
    summary: 'Gives a disk another size, in bytes or with one of k, M, G, T, P and E',
    options: {
      preallocation: ['MODE', 'off (default), metadata, falloc or full'],
      shrink: ['', 'take a smaller size, too: what lies behind the new end is lost'],
    },
  },
  snapshot: {
    operands: FILE,
    summary: 'Lists, creates, applies and deletes snapshots',
    options: {
      a: [
        'SNAPSHOT',
        'apply this one: the disk goes back to it; ID, name, snapshot.id=… or snapshot.name=…',
      ],
      c: ['NAME', 'create one'],
      d: ['NAME', 'delete this one, by its name alone'],
      l: ['', 'list all'],
      apply: ['', 'refused: use -a'],
      create: ['', 'refused: use -c'],
      delete: ['', 'refused: use -d'],
    },
  },
};
