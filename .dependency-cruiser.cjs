/** The layer law of ARCHITECTURE.md. Each comment is what a contributor reads when a rule fails. */
const layer = (name, allowed, comment) => ({
  name: `layer-${name}`,
  severity: 'error',
  comment,
  from: { path: `^src/${name}/` },
  to: { path: '^src/', pathNot: [`^src/(${[name, ...allowed].join('|')})/`, '^src/errors\\.ts$'] },
});

const FORMAT = ['base', 'qcow2', 'refcount', 'l1l2'];
const IMAGE = [...FORMAT, 'io', 'image', 'refs'];

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'A cycle, be it of types alone, is two files pretending to be two modules.',
      from: {},
      to: { circular: true },
    },
    layer('base', [], 'base stands on nothing but the errors.'),
    layer('qcow2', ['base'], 'src/qcow2 is pure format code and may import only base.'),
    layer('refcount', ['base', 'qcow2'], 'src/refcount is pure: base and qcow2 only.'),
    layer('l1l2', ['base', 'qcow2', 'refcount'], 'src/l1l2 is pure: base, qcow2, refcount only.'),
    layer('vmstate', ['base'], 'src/vmstate is pure format code and may import only base.'),
    layer('io', ['base'], 'Devices know bytes, not the format.'),
    layer('image', [...FORMAT, 'io'], 'image opens an image; it never writes.'),
    layer(
      'refs',
      [...FORMAT, 'io', 'image'],
      'refs walks all that refers to clusters; what that means is for others to judge.',
    ),
    layer('read/check', IMAGE, 'check judges an image; it never writes.'),
    layer(
      'read/sharing',
      [...IMAGE, 'read/diff', 'read/guest'],
      'sharing tells what disks have in common; it never writes.',
    ),
    layer(
      'read/dump',
      [...IMAGE, 'read/check', 'read/locate'],
      'dump shows what is stored, right or wrong; it never writes.',
    ),
    layer(
      'read/locate',
      [...IMAGE, 'read/check', 'read/guest'],
      'locate tells what lies where; it never writes.',
    ),
    layer(
      'read/timeline',
      [...IMAGE, 'read/sharing'],
      'timeline tells the dates of an image and what is odd about them; it never writes.',
    ),
    layer(
      'read/hash',
      [...IMAGE, 'read/guest'],
      'hash hashes the disks of an image in one pass; it never writes.',
    ),
    layer('read/guest', IMAGE, 'guest reads virtual disks; it never writes.'),
    layer(
      'read/scan',
      [...IMAGE, 'vmstate', 'read/guest'],
      'scan looks through clusters that nothing refers to for what is left in them; it never writes.',
    ),
    layer(
      'read/vmstate',
      [...IMAGE, 'vmstate', 'read/guest'],
      'vmstate reads saved machines; it never writes.',
    ),
    layer(
      'read/diff',
      [...IMAGE, 'read/guest'],
      'diff tells where disks of one image differ; it never writes.',
    ),
    layer(
      'luks',
      [...FORMAT, 'read/guest'],
      'luks makes keys of passphrases, and says what is written in which order; it never writes.',
    ),
    layer(
      'edit/tables',
      FORMAT,
      'tables makes tables of values; it knows neither images nor plans.',
    ),
    layer(
      'edit/tx',
      ['base', 'io', 'edit/tables'],
      'tx carries out plans; all that it knows of the format is who makes tables.',
    ),
    layer(
      'edit/plan',
      [...IMAGE, 'read/check', 'edit/tables', 'edit/tx'],
      'plan turns a new state into a plan; what the state is, is decided in snapshot and resize.',
    ),
    layer(
      'edit/snapshot',
      [...IMAGE, 'read/check', 'edit/tables', 'edit/tx', 'edit/plan'],
      'snapshot says what the new state is; edit/plan plans it.',
    ),
    layer(
      'edit/resize',
      [
        ...[...IMAGE, 'read/check', 'edit/tables', 'edit/tx', 'edit/plan'],
        ...['edit/header', 'edit/bitmaps'],
      ],
      'resize says what the new state is; edit/plan plans it, edit/bitmaps knows the bitmaps that go with it.',
    ),
    layer(
      'edit/write',
      [...IMAGE, 'edit/tables', 'edit/tx', 'edit/plan', 'edit/header', 'edit/bitmaps'],
      'write says what the tables become; edit/plan finds the places, edit/bitmaps notes it, and what is read comes from the caller.',
    ),
    layer(
      'edit/header',
      [...IMAGE, 'edit/tx', 'edit/plan'],
      'header changes the first cluster alone; edit/plan says what no edit may touch.',
    ),
    layer(
      'edit/version',
      [...IMAGE, 'edit/tables', 'edit/tx', 'edit/plan', 'edit/header'],
      'version says what the new state is; edit/header lays the first cluster, edit/plan plans the rest.',
    ),
    layer(
      'edit/bitmaps',
      [...IMAGE, 'edit/tx', 'edit/plan', 'edit/header'],
      'bitmaps says which persistent bitmaps there are to be; edit/plan plans it, edit/header knows the first cluster.',
    ),
    layer(
      'edit/keys',
      [...IMAGE, 'edit/tx', 'edit/plan'],
      'keys writes key slots where they lie, in the order that luks says.',
    ),
    layer(
      'edit/strip',
      [...IMAGE, 'read/vmstate', 'edit/tables', 'edit/tx', 'edit/plan', 'edit/snapshot'],
      'strip says which VM state stays; read/vmstate tells where a stream ends.',
    ),
    layer(
      'edit/trim',
      [...IMAGE, 'read/check', 'edit/tables', 'edit/tx', 'edit/plan'],
      'trim says what may go and what moves; edit/plan plans it.',
    ),
    layer(
      'edit/scrub',
      [...IMAGE, 'read/check', 'edit/tables', 'edit/tx', 'edit/plan', 'edit/trim'],
      'scrub says which bytes nothing refers to; it finds free clusters as trim does.',
    ),
    layer(
      'edit/repair',
      [...IMAGE, 'read/check', 'edit/tables', 'edit/tx', 'edit/plan'],
      'repair mends what check finds, by the placer of all edits.',
    ),
    layer('make/new', [...FORMAT, 'io'], 'new writes images; it knows none that exist.'),
    layer(
      'make/copy',
      [...IMAGE, 'read/guest', 'make/new'],
      'copy moves guest data from a disk to a new image.',
    ),
    layer(
      'make/rescue',
      [...IMAGE, 'read/scan', 'make/new', 'make/copy', 'edit/repair'],
      'rescue finds what is left of an image, and writes it to a new one.',
    ),
    layer(
      'make/compact',
      [...IMAGE, 'read/check', 'read/guest', 'make/new', 'make/copy'],
      'compact writes the disks of a sound image to a new one.',
    ),
    layer(
      'make/dehydrate',
      [...IMAGE, 'read/check', 'read/guest'],
      'dehydrate writes the metadata of an image to a new one, and a pattern where data lay.',
    ),
    layer(
      'chain',
      [...IMAGE, 'read/guest', 'edit'],
      'chain moves guest data between the files of a chain; edit writes it.',
    ),
    layer(
      'audit',
      [...IMAGE, 'read/check', 'read/guest'],
      'audit judges an image by a policy; it never writes, and opens no file that the image names.',
    ),
    layer(
      'api',
      [...IMAGE, 'read', 'edit', 'make'],
      'api puts the engine together for programs; it stands on all but the faces.',
    ),
    layer(
      'node',
      [...IMAGE, 'read/guest', 'make/new', 'make/copy', 'api'],
      'node gives the engine what only Node has.',
    ),
    layer(
      'web',
      ['base', 'qcow2', 'io', 'read/guest'],
      'web gives the engine what it needs where there is no Node.',
    ),
    {
      name: 'cli-front-door',
      severity: 'error',
      comment:
        'The CLI uses the public API; what it lacks belongs in index.ts, node/index.ts or internal.ts.',
      from: { path: '^src/cli/' },
      to: { path: '^src/', pathNot: ['^src/cli/', '^src/((node/)?index|internal)\\.ts$'] },
    },
    {
      name: 'node-at-the-edge',
      severity: 'error',
      comment: 'The engine runs in browsers: node built-ins only in node and cli.',
      from: {
        path: '^src/',
        pathNot: ['^src/node/', '^src/cli/'],
      },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'engine-without-node-face',
      severity: 'error',
      comment: 'index.ts must not reach the file devices.',
      from: {
        path: '^src/',
        pathNot: ['^src/node/', '^src/cli/'],
      },
      to: { path: '^src/node/' },
    },
    {
      name: 'engine-without-packages',
      severity: 'error',
      comment: 'The engine has no runtime dependencies.',
      from: { path: '^src/', pathNot: ['^src/node/', '^src/web/', '^src/cli/'] },
      to: { dependencyTypes: ['npm', 'npm-optional', 'npm-dev'] },
    },
    {
      name: 'engine-without-web',
      severity: 'error',
      comment: 'Who reads no guest data loads no ciphers: only its own entry reaches src/web.',
      from: { path: '^src/', pathNot: ['^src/web/'] },
      to: { path: '^src/web/' },
    },
    {
      name: 'nothing-from-test',
      severity: 'error',
      comment: 'Shipped code must not import test code.',
      from: { path: '^(src|bin)/' },
      to: { path: '^(test|bench|fixtures)/' },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      comment: 'A file that nobody imports is dead, or an entry that is not named here.',
      from: { orphan: true, path: '^src/', pathNot: ['\\.d\\.ts$'] },
      to: {},
    },
    {
      name: 'resolvable',
      severity: 'error',
      comment: 'Every import leads somewhere.',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    // Packages that say themselves which of their files a name stands for.
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
};
