/** The layer law of ARCHITECTURE.md. Each comment is what a contributor reads when a rule fails. */
const layer = (name, allowed, comment) => ({
  name: `layer-${name}`,
  severity: 'error',
  comment,
  from: { path: `^src/${name}/` },
  to: { path: '^src/', pathNot: [`^src/(${[name, ...allowed].join('|')})/`, '^src/errors\\.ts$'] },
});

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'A cycle is two files pretending to be two modules.',
      from: {},
      // Types may refer to each other inside one folder of the format.
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    layer('base', [], 'base stands on nothing but the errors.'),
    layer('qcow2', ['base'], 'src/qcow2 is pure format code and may import only base.'),
    layer('refcount', ['base', 'qcow2'], 'src/refcount is pure: base and qcow2 only.'),
    layer('l1l2', ['base', 'qcow2', 'refcount'], 'src/l1l2 is pure: base, qcow2, refcount only.'),
    layer('io', ['base'], 'Devices know bytes, not the format.'),
    layer('image', ['base', 'qcow2', 'refcount', 'l1l2', 'io'], 'image gathers; it never writes.'),
    layer(
      'refs',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image'],
      'refs walks all that refers to clusters; what that means is for others to judge.',
    ),
    layer('tx', ['base', 'io'], 'tx carries out plans; it does not know the format.'),
    layer(
      'check',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image', 'refs'],
      'check judges an image; it never writes.',
    ),
    layer(
      'guest',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image', 'refs'],
      'guest reads virtual disks; it never writes.',
    ),
    layer(
      'make',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io'],
      'make writes new images; it knows none that exist.',
    ),
    layer(
      'copy',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image', 'refs', 'guest', 'make'],
      'copy moves guest data from a disk to a new image.',
    ),
    layer(
      'edit',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image', 'refs', 'check', 'tx'],
      'edit turns a new state into a plan; what the state is, is decided in snapshot.',
    ),
    layer(
      'snapshot',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image', 'refs', 'check', 'tx', 'edit'],
      'snapshot says what the new state is; edit plans it.',
    ),
    layer(
      'repair',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image', 'refs', 'check', 'tx', 'edit'],
      'repair mends what check finds, by the planner of all edits.',
    ),
    layer(
      'rescue',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image', 'refs', 'copy', 'repair'],
      'rescue finds what is left of an image, and writes it to a new one.',
    ),
    layer(
      'resize',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image', 'refs', 'check', 'tx', 'edit'],
      'resize says what the new state is; edit plans it.',
    ),
    layer(
      'node',
      ['base', 'qcow2', 'refcount', 'l1l2', 'io', 'image', 'refs', 'guest', 'make', 'copy'],
      'node gives the engine what only Node has.',
    ),
    layer(
      'web',
      ['base', 'qcow2', 'guest'],
      'web gives the engine what no platform has to have, in JavaScript.',
    ),
    {
      name: 'cli-front-door',
      severity: 'error',
      comment: 'The CLI uses the public API; what it lacks belongs in index.ts or node.ts.',
      from: { path: '^src/cli/' },
      to: { path: '^src/', pathNot: ['^src/cli/', '^src/(index|node)\\.ts$'] },
    },
    {
      name: 'node-at-the-edge',
      severity: 'error',
      comment: 'The engine runs in browsers: node built-ins only in io/node and cli.',
      from: {
        path: '^src/',
        pathNot: ['^src/io/node/', '^src/node/', '^src/cli/', '^src/node\\.ts$'],
      },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'engine-without-node-face',
      severity: 'error',
      comment: 'index.ts must not reach the file devices.',
      from: {
        path: '^src/',
        pathNot: ['^src/io/node/', '^src/node/', '^src/cli/', '^src/node\\.ts$'],
      },
      to: { path: '^src/(io/)?node/' },
    },
    {
      name: 'engine-without-packages',
      severity: 'error',
      comment: 'The engine has no runtime dependencies.',
      from: { path: '^src/', pathNot: ['^src/io/node/', '^src/node/', '^src/web/', '^src/cli/'] },
      to: { dependencyTypes: ['npm', 'npm-optional', 'npm-dev'] },
    },
    {
      name: 'engine-without-web',
      severity: 'error',
      comment: 'Who reads no guest data loads no ciphers: only web.ts reaches src/web.',
      from: { path: '^src/', pathNot: ['^src/web/', '^src/web\\.ts$'] },
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
  },
};
