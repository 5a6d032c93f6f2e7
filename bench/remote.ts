/** A check of an image on a server, against the same check of the file. */
import { linkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { removeDirectories } from '../test/support/directories.js';
import { startNginx } from '../test/support/nginx.js';
import { mapped } from './images.js';
import { fight, qsnap, ratio, seconds, shown } from './timing.js';

const HEAD = [
  ...['operation', 'image', 'from nginx on this machine, s', 'from the file, s'],
  ...['times as long', 'wanted'],
];

/** Both are qsnap: what the way to the server costs. */
export async function remote(
  folder: string,
  rounds: number,
  print: (line?: string) => void,
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => void,
): Promise<void> {
  print('## An image on a server');
  print();
  table(HEAD, await rowsOf(folder, rounds));
}

async function rowsOf(folder: string, rounds: number): Promise<string[][]> {
  const image = mapped(folder, 'remote', '1T');
  const server = await startNginx();
  try {
    linkSync(image, join(server.folder, basename(image)));
    const address = `${server.url}/${basename(image)}`;
    const [outcome] = fight(
      [
        {
          ours: () => seconds(qsnap('check', '--quiet', address)),
          theirs: () => seconds(qsnap('check', '--quiet', image)),
        },
      ],
      rounds,
    );
    const { ours, theirs } = outcome!;
    const times = (1 / ratio(outcome!)).toFixed(1);
    return [['check', '1T, mapped', shown(ours), shown(theirs), times, '1.5']];
  } finally {
    await server.stop();
    removeDirectories();
  }
}
