import { backingName } from '../../image/image.js';
import { incompatibleFeatures, type IncompatibleFeature } from '../feature-bits.js';
import { textsOf } from '../options.js';
import type { AuditFacts, Rule, Violation } from '../rule.js';

/** Why a reader can't take an image: what it does then. */
type Outcome = 'refuses' | 'shows wrong data';

interface Hindrance {
  readonly outcome: Outcome;
  /** Completes "the image …". */
  readonly what: string;
  readonly at?: number;
}

/** A program that reads qcow2 without QEMU, as it was measured. */
interface Reader {
  readonly name: string;
  /** What was measured. */
  readonly version: string;
  readonly hindrances: (facts: AuditFacts) => readonly (Hindrance | false)[];
}

const FEATURES_AT = 72;
const METHOD_AT = 32;
const COUNT_AT = 60;

const backing = ({ image }: AuditFacts, outcome: Outcome = 'refuses'): Hindrance | false =>
  backingName(image) !== undefined && {
    outcome,
    what: 'has a backing file',
    at: image.header.backingName.at,
  };
const dataFile = ({ image }: AuditFacts, outcome: Outcome = 'refuses'): Hindrance | false =>
  image.header.externalDataFile && { outcome, what: 'has an external data file', at: FEATURES_AT };
const encrypted = ({ image }: AuditFacts, outcome: Outcome = 'refuses'): Hindrance | false =>
  image.header.encryption !== 'none' && { outcome, what: 'is encrypted', at: METHOD_AT };
const snapshots = ({ image }: AuditFacts): Hindrance | false =>
  image.header.snapshotTable.count > 0 && {
    outcome: 'refuses',
    what: 'has internal snapshots',
    at: COUNT_AT,
  };

/** Refuses images with an incompatible feature that is not among these. */
function features(
  { image }: AuditFacts,
  ...known: readonly IncompatibleFeature[]
): readonly Hindrance[] {
  const others = incompatibleFeatures(image.header).filter((name) => !known.includes(name));
  return others.map((name) => ({
    outcome: 'refuses',
    what: `has the feature "${name}"`,
    at: FEATURES_AT,
  }));
}

/** libqcow shows the start of the file where an entry has the zero flag. */
function zeroFlags({ zeroClusters = 0 }: AuditFacts): Hindrance | false {
  return (
    zeroClusters > 0 && {
      outcome: 'shows wrong data',
      what: `has ${zeroClusters} clusters that read as zeros by a flag`,
    }
  );
}

/** Ours: measured on valid images made by QEMU 11.1, against `qemu-img convert`. */
const READERS: readonly Reader[] = [
  {
    name: 'openstack',
    version: 'oslo.utils 10.2.0',
    hindrances: (facts) => [
      backing(facts),
      dataFile(facts),
      // Its list of known features ends before that of extended L2 entries.
      ...features(facts, 'dirty', 'corrupt', 'external data file', 'compression type'),
    ],
  },
  {
    name: 'nbdkit',
    version: 'nbdkit 1.48.1, filter qcow2dec',
    hindrances: (facts) => [
      snapshots(facts),
      backing(facts),
      encrypted(facts),
      ...features(facts, 'compression type'),
    ],
  },
  {
    name: '7-zip',
    version: '7-Zip 26.05',
    hindrances: (facts) => [
      backing(facts),
      encrypted(facts),
      dataFile(facts, 'shows wrong data'),
      ...features(facts, 'dirty', 'corrupt', 'external data file'),
    ],
  },
  {
    name: 'libqcow',
    version: 'libqcow 20240308',
    hindrances: (facts) => [
      encrypted(facts, 'shows wrong data'),
      zeroFlags(facts),
      ...features(facts, 'dirty'),
    ],
  },
  {
    name: 'xmount',
    version: 'xmount 1.3.1',
    hindrances: (facts) => [
      backing(facts, 'shows wrong data'),
      encrypted(facts),
      dataFile(facts, 'shows wrong data'),
      ...features(facts, 'dirty', 'corrupt', 'external data file'),
    ],
  },
  {
    name: 'imago',
    version: 'imago 0.2.2',
    hindrances: (facts) => [
      encrypted(facts, 'shows wrong data'),
      ...features(facts, 'external data file'),
    ],
  },
];

function ofReader(reader: Reader, facts: AuditFacts): readonly Violation[] {
  const hindrances = reader.hindrances(facts).filter((one) => one !== false);
  return hindrances.map(({ outcome, what, at }) => ({
    message: `the image ${what}: ${reader.name} (${reader.version}) ${outcome === 'refuses' ? 'refuses it' : outcome}`,
    at,
    facts: { reader: reader.name, outcome },
  }));
}

/** The rule about who can read an image. */
export const READER_RULES: readonly Rule[] = [
  {
    id: 'QS1801',
    name: 'readable-by',
    title: 'The readers that are named can read the active disk',
    reason: 'Some readers refuse what QEMU reads, and some hand out wrong data without a word.',
    needs: ['zero-clusters'],
    options: {
      readers: {
        kind: 'words',
        words: READERS.map(({ name }) => name),
        about: 'Those that are to read it',
      },
    },
    idleWithout: ['readers'],
    judge: (facts, options) => {
      const wanted = textsOf(options, 'readers');
      return READERS.filter(({ name }) => wanted.includes(name)).flatMap((reader) =>
        ofReader(reader, facts),
      );
    },
  },
];
