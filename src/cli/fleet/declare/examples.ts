import { examples } from '../../qsnap/help-texts.js';

/** What the help of each command on a catalogue closes with. */
export const EXAMPLES = {
  catalog:
    examples([
      ['qsnap catalog add /srv/images', 'take in all images below a folder'],
      ['qsnap catalog refresh', 'read what changed since'],
      ['qsnap catalog query --largest', 'which snapshots cost most'],
    ]) + '\n\n`qsnap catalog COMMAND --help` has more.',
  add: examples([
    ['qsnap catalog add /srv/images', 'all images below a folder'],
    ['qsnap catalog add s3://bucket/vms/', 'all images of a bucket'],
    ['qsnap catalog add --profile evidence /mnt/case', 'judged by other rules'],
    ['qsnap catalog add --no-wait /srv/images', 'for workers to read'],
  ]),
  refresh: examples([
    ['qsnap catalog refresh', 'everything that changed'],
    ['qsnap catalog refresh --all /srv/images', 'every image of a place'],
  ]),
  status: examples([['qsnap catalog status', 'places, and how many images']]),
  remove: examples([['qsnap catalog remove /srv/images', 'no image is touched']]),
  worker: examples([
    ['qsnap worker --database postgres://db/fleet', 'until it is stopped'],
    ['qsnap worker --once', 'until no image waits'],
    ['qsnap worker --limit s3://bucket=4,10M', 'four at once, 10 MiB/s'],
  ]),
} as const;
