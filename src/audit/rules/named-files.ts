import { printableText } from '../../base/text.js';
import { backingFormat, backingName, dataFileName } from '../../image/image.js';
import type { AuditFacts, Rule, Violation } from '../rule.js';

/** A file that the image names. */
interface NamedFile {
  readonly what: 'backing file' | 'data file';
  readonly name: string;
  readonly at: number;
  readonly length: number;
}

function namedFiles({ image }: AuditFacts): readonly NamedFile[] {
  const files: NamedFile[] = [];
  const { header, extensions } = image;
  const backing = backingName(image);
  if (backing !== undefined) {
    const { at, bytes } = header.backingName;
    files.push({ what: 'backing file', name: backing, at, length: bytes });
  }
  const data = dataFileName(image);
  if (data !== undefined) {
    const extension = extensions.find(({ kind }) => kind === 'data-file-name')!;
    const [at, length] = [extension.at, extension.bytes.length + 8];
    files.push({ what: 'data file', name: data, at, length });
  }
  return files;
}

/** One violation for each file of which `saying` has something to say. */
function ofFiles(
  facts: AuditFacts,
  saying: (file: NamedFile) => string | undefined,
): readonly Violation[] {
  return namedFiles(facts).flatMap((file): readonly Violation[] => {
    const said = saying(file);
    if (said === undefined) return [];
    const message = `the ${file.what} "${printableText(file.name)}" ${said}`;
    return [{ message, at: file.at, length: file.length, facts: { name: file.name } }];
  });
}

const only =
  (what: NamedFile['what'], said: string) =>
  (file: NamedFile): string | undefined =>
    file.what === what ? said : undefined;

/** What QEMU takes for the name of a protocol: all that lies before the first colon and has no slash. */
function protocolOf(name: string): string | undefined {
  return /^([^/:]*):/.exec(name)?.[1];
}

const FORGED =
  'A file that a stranger made may name any file of the host, such as /etc/shadow, and whoever opens it reads that.';

/** Rules about the files that an image names. They are never opened. */
export const NAMED_FILE_RULES: readonly Rule[] = [
  {
    id: 'QS1201',
    name: 'backing-file',
    title: 'The image has no backing file',
    reason: FORGED,
    needs: [],
    options: {},
    judge: (facts) => ofFiles(facts, only('backing file', 'is not allowed')),
  },
  {
    id: 'QS1202',
    name: 'data-file',
    title: 'The guest data lies in the image, not in an external data file',
    reason: `${FORGED} Some readers ignore the data file and hand out zeros.`,
    needs: [],
    options: {},
    judge: (facts) => {
      const named = ofFiles(facts, only('data file', 'is not allowed'));
      // The bit counts, named or not: a name may come from whoever opens the image.
      if (named.length > 0 || !facts.image.header.externalDataFile) return named;
      return [{ message: 'the image wants an external data file', at: 72, length: 8 }];
    },
  },
  {
    id: 'QS1203',
    name: 'absolute-name',
    title: 'No file is named by an absolute path',
    reason:
      'On another host, or after a move of the folder, an absolute path leads nowhere or to a file of somebody else.',
    needs: [],
    options: {},
    judge: (facts) =>
      ofFiles(facts, ({ name }) => {
        const path = name.startsWith('file:') ? name.slice('file:'.length) : name;
        return path.startsWith('/') ? 'is named by an absolute path' : undefined;
      }),
  },
  {
    id: 'QS1204',
    name: 'remote-name',
    title: 'No file is reached over a protocol',
    reason:
      'A name such as nbd://host/disk or https://… makes QEMU open a connection to whom the image says.',
    needs: [],
    options: {},
    judge: (facts) =>
      ofFiles(facts, ({ name }) => {
        const protocol = protocolOf(name);
        if (protocol === undefined || protocol === 'file' || protocol === 'json') return undefined;
        return `is reached by the protocol "${printableText(protocol)}"`;
      }),
  },
  {
    id: 'QS1205',
    name: 'json-name',
    title: 'No name is a json: description',
    reason: 'A json: name may describe any tree of drivers, files and hosts that QEMU then opens.',
    needs: [],
    options: {},
    judge: (facts) =>
      ofFiles(facts, ({ name }) =>
        name.startsWith('json:') ? 'is a json: description' : undefined,
      ),
  },
  {
    id: 'QS1206',
    name: 'backing-format',
    title: 'The format of the backing file is recorded',
    reason:
      'Without it QEMU guesses from the first bytes, which the guest of a raw backing file may write: it can make the ' +
      'file look like an image that names others.',
    needs: [],
    options: {},
    judge: (facts) => {
      if (backingFormat(facts.image) !== undefined) return [];
      return ofFiles(facts, only('backing file', 'is named without its format'));
    },
  },
];
