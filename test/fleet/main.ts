/**
 * The long run: `npm run fleet -- --images 5000 --workers 4 --kills 40 --seed 1`. On a PostgreSQL server and on the
 * embedded database; `--only server` or `--only embedded` keeps to one. Exit code 1 where an answer differs.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { randomFrom } from '../support/model-random.js';
import { startPostgres } from '../support/postgres.js';
import { campaign, single, type CampaignOptions } from './campaign.js';
import { differences } from './differences.js';
import { writeImages } from './images.js';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '5000' },
    workers: { type: 'string', default: '4' },
    kills: { type: 'string', default: '40' },
    disturbed: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    /** Tells each kill. */
    verbose: { type: 'boolean', default: false },
  },
});

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const home = mkdtempSync(join(tmpdir(), 'qsnap-fleet-'));
let failures = 0;
try {
  for (const kind of ['server', 'embedded'] as const) {
    if (values.only !== undefined && values.only !== kind) continue;
    const server = kind === 'server' ? await startPostgres() : undefined;
    if (kind === 'server' && server === undefined) continue;
    try {
      const folder = join(home, kind);
      mkdirSync(folder);
      const paths = await writeImages(folder, Number(values.images));
      const options: CampaignOptions = {
        folder,
        paths,
        database: server ?? join(home, 'killed'),
        workers: Number(values.workers),
        kills: Number(values.kills),
        disturbed: Number(values.disturbed),
        random: randomFrom(Number(values.seed)),
        ...(values.verbose && { log: print }),
      };
      const { contents, disturbed, seconds } = await campaign(options);
      const wanted = await single(folder, join(home, `${kind}-single`));
      const found = differences(contents, wanted, disturbed);
      failures += found.length;
      for (const line of found.slice(0, 20)) print(`${kind}: ${line}`);
      print(
        `${kind}: ${paths.length} images, ${values.kills} kills, ${disturbed.size} images disturbed, ` +
          `${seconds.toFixed(1)} s, seed ${values.seed}: ${found.length} differences`,
      );
    } finally {
      await server?.stop();
    }
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}
if (failures > 0) process.exitCode = 1;
