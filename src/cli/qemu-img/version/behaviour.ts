/** What qemu-img does otherwise from one version to the next. */

/** Versions whose ways are known, oldest first. Debian's 10.0 has early forms of what came with 10.1. */
export const VERSIONS = ['7.2', '8.2', '9.0', '10.0', 'debian-10.0', '10.1', '11.1'] as const;

export type Version = (typeof VERSIONS)[number];

/**
 * Since when qemu-img does so; of the versions above the first. Measured on 7.2.22, 10.0.13 of Debian and 11.1.3; between
 * them from QEMU's changelogs and manuals. Of `newSizes`, `detectedFormatEndsLine`, `objectIsUsage` and `benchStaysInside` it is not known in
 * which version between the measured ones they came.
 */
const SINCE = {
  /** Failures of `snapshot` without the number of the C library's error. */
  unnumberedErrors: '8.2',
  /** `info` tells of the file below the format, too. */
  childNodes: '8.2',
  /** `map --output=json` says which ranges are compressed. */
  compressedInMap: '8.2',
  /** The snapshot table has other columns, and `--` where no icount was recorded. */
  underscoredTable: '9.0',
  /** `info` of a LUKS image says whether its header lies in a file of its own. */
  detachedHeader: '9.0',
  /** A line ends behind the format that was detected of a backing file. */
  detectedFormatEndsLine: '9.0',
  /** `snapshot FILE` lists, and opens the image for reading. */
  snapshotLists: 'debian-10.0',
  /** A LUKS header may name SM4 as its cipher. */
  sm4: '9.0',
  /** The same for the hash SM3. */
  sm3: '10.0',
  /** Every option has a long name, every command a `--help` of its own; wrong options are told as the C library does. */
  namedOptions: 'debian-10.0',
  /** A size may begin with a point, is out of range below 0, and takes no unit where it is hexadecimal. */
  newSizes: '8.2',
  /** A number of bytes that is none is told as it was typed. */
  quotedByteCounts: 'debian-10.0',
  /** Long options may stand for letters that take a value everywhere, `-B` names a format in `create` and `rebase`. */
  settledOptions: '10.1',
  /** A wrong `--object` of `compare` is wrong usage, not a disk that can't be opened. */
  objectIsUsage: '10.1',
  /** `info --limits` and `info -t`. */
  limits: '11.1',
  /** `bench` goes back to the start where a request would not lie on the disk as a whole. */
  benchStaysInside: '11.1',
  /** `create -o keep_data_file`. */
  keepDataFile: '11.1',
} as const satisfies Readonly<Record<string, Version>>;

/** How one version behaves. */
export type Behaviour = Readonly<Record<keyof typeof SINCE, boolean>> & {
  readonly version: Version;
};

export function behaviourOf(version: Version): Behaviour {
  const age = VERSIONS.indexOf(version);
  const has = Object.entries(SINCE).map(([name, since]) => [name, VERSIONS.indexOf(since) <= age]);
  return { ...(Object.fromEntries(has) as Record<keyof typeof SINCE, boolean>), version };
}

/** The newest known one, for where no QEMU is installed. */
export const NEWEST: Version = VERSIONS.at(-1)!;

/** The version that somebody names: one of those above, or any, which counts as the newest known before it. */
export function versionNamed(text: string): Version | undefined {
  return VERSIONS.find((version) => version === text) ?? versionOfNumber(text, false);
}

/** Debian's packages of these have the options of 10.1 early. */
const DEBIAN_FROM = 9.2;

/** Of what `qemu-img --version` prints; undefined where it is no such line, or our own. */
export function versionPrinted(text: string): Version | undefined {
  if (text.includes('qsnap')) return undefined;
  const [, number, rest = ''] = /^qemu-img version (\d+\.\d+)(.*)/.exec(text) ?? [];
  return number === undefined ? undefined : versionOfNumber(number, rest.includes('(Debian'));
}

function versionOfNumber(text: string, isDebian: boolean): Version | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined || minor === undefined) return undefined;
  const number = orderOf(text);
  if (isDebian && number >= orderOf(String(DEBIAN_FROM)) && number < orderOf('10.1')) {
    return 'debian-10.0';
  }
  const plain = VERSIONS.filter((version) => version !== 'debian-10.0');
  return plain.findLast((version) => orderOf(version) <= number) ?? plain[0];
}

/** Versions in their order: 9.2 comes before 10.0. */
function orderOf(version: string): number {
  const [major, minor] = version.split('.').map(Number);
  return major! * 1000 + minor!;
}
