/** Audits of many images in one call, against a call of qemu-img for each. */
import { copyOf, mapped } from './images.js';
import { SHARING_HEAD } from './sharing.js';
import { fight, qemuImg, qsnap, ratio, seconds, shown, type Duel } from './timing.js';

const SMALL = 1000;
const LARGE = 20;

const copiesOf = (image: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => copyOf(image, `audited-${count}-${i}.qcow2`));

/** An audit of all images, against qemu-img for one after the other. */
function duelOf(profile: string, images: readonly string[], ...theirs: readonly string[]): Duel {
  return {
    ours: () => seconds(qsnap('audit', '--quiet', '--profile', profile, ...images)),
    theirs: () => images.reduce((sum, image) => sum + seconds(qemuImg(...theirs, image)), 0),
  };
}

/** Prints the part. */
export function audits(
  folder: string,
  rounds: number,
  print: (line?: string) => void,
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => void,
): void {
  print('## Audits');
  print();
  table(SHARING_HEAD, auditRows(folder, Math.min(3, rounds)));
}

/** What a stranger hands in, by its header alone, and a whole check with a look for what was left behind. */
function auditRows(folder: string, rounds: number): string[][] {
  const small = copiesOf(mapped(folder, 'upload', '64M'), SMALL);
  const large = copiesOf(mapped(folder, 'golden', '64G'), LARGE);
  const outcomes = fight(
    [
      duelOf('untrusted-upload', small, 'info', '--output=json'),
      duelOf('golden-image', large, 'check', '-q'),
    ],
    rounds,
  );
  return [
    ['audit by untrusted-upload', `${SMALL} images`, 'qemu-img info of each', '8 times as fast'],
    [
      'audit by golden-image',
      `${LARGE} of 64G, mapped`,
      'qemu-img check of each',
      '3 times as fast',
    ],
  ].map(([name, images, against, wanted], i) => {
    const { ours, theirs } = outcomes[i]!;
    const result = `${ratio(outcomes[i]!).toFixed(1)} times as fast`;
    return [name!, images!, shown(ours), against!, shown(theirs), result, wanted!];
  });
}
