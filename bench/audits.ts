/** Audits of many images in one call, against a call of qemu-img for each. */
import { copyOf, mapped } from './images.js';
import { qemuImg, qsnap, seconds, type Duel } from './timing.js';

const SMALL = 1000;
const LARGE = 20;

/** The time that one command takes for all images, one after the other. */
const ofEach = (images: readonly string[], ...words: readonly string[]): number =>
  images.reduce((sum, image) => sum + seconds(qemuImg(...words, image)), 0);

const copiesOf = (image: string, count: number, name: string): readonly string[] =>
  Array.from({ length: count }, (_, i) => copyOf(image, `${name}-${i}.qcow2`));

/** What a stranger hands in, by the header alone, against `qemu-img info` of each. */
export function smallAudits(folder: string): Duel {
  const images = copiesOf(mapped(folder, 'upload', '64M'), SMALL, 'upload');
  return {
    ours: () => seconds(qsnap('audit', '--quiet', '--profile', 'untrusted-upload', ...images)),
    theirs: () => ofEach(images, 'info', '--output=json'),
  };
}

/** A whole check of each, with a look for what was left behind, against `qemu-img check` of each. */
export function largeAudits(folder: string): Duel {
  const images = copiesOf(mapped(folder, 'golden', '64G'), LARGE, 'golden');
  return {
    ours: () => seconds(qsnap('audit', '--quiet', '--profile', 'golden-image', ...images)),
    theirs: () => ofEach(images, 'check', '-q'),
  };
}
