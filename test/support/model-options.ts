/** Ways to create an image, and a sample of them in which every pair of choices occurs. */
import type { Random } from './model-random.js';

export interface ImageOptions {
  readonly compat: '0.10' | '1.1';
  readonly cluster: '512' | '4k' | '64k' | '2M';
  readonly refcountBits: 1 | 2 | 4 | 8 | 16 | 32 | 64;
  readonly extendedL2: boolean;
  readonly lazy: boolean;
  readonly compression: 'zlib' | 'zstd';
  readonly backing: boolean;
  readonly encryption: 'none' | 'luks' | 'aes';
  readonly bitmaps: boolean;
  readonly preallocation: 'off' | 'metadata' | 'falloc' | 'full';
}

const CHOICES: { readonly [Key in keyof ImageOptions]: readonly ImageOptions[Key][] } = {
  compat: ['1.1', '0.10'],
  cluster: ['64k', '512', '4k', '2M'],
  refcountBits: [16, 1, 2, 4, 8, 32, 64],
  extendedL2: [false, true],
  lazy: [false, true],
  compression: ['zlib', 'zstd'],
  backing: [false, true],
  encryption: ['none', 'luks', 'aes'],
  bitmaps: [false, true],
  preallocation: ['off', 'metadata', 'falloc', 'full'],
};
const KEYS = Object.keys(CHOICES) as (keyof ImageOptions)[];

export const CLUSTER_BYTES = { '512': 512, '4k': 4096, '64k': 65_536, '2M': 2 ** 21 } as const;

/** Whether QEMU can make such an image. */
function isPossible(options: ImageOptions): boolean {
  const { compat, refcountBits, extendedL2, lazy, compression, bitmaps, cluster } = options;
  const onlyV3 = refcountBits !== 16 || extendedL2 || lazy || compression === 'zstd' || bitmaps;
  if (compat === '0.10' && onlyV3) return false;
  if (extendedL2 && (cluster === '512' || cluster === '4k')) return false;
  return !(options.preallocation !== 'off' && options.backing);
}

/**
 * Holds back what rules other things out (version 2 most options, bitmaps every apply, refcounts of
 * one bit most snapshots, encryption compressed clusters) or takes long (large clusters, and LUKS, whose header QEMU makes in seconds).
 */
function isTurnOf(options: ImageOptions, index: number): boolean {
  if ((options.compat === '0.10') !== (index % 5 === 1)) return false;
  if (options.bitmaps && index % 4 !== 2) return false;
  if (options.cluster === '2M' && index % 7 !== 0) return false;
  if (options.refcountBits === 1 && index % 10 !== 3) return false;
  if (options.encryption === 'aes' && index % 3 !== 2) return false;
  return options.encryption !== 'luks' || index % 12 === 4;
}

function pairsOf(options: ImageOptions): readonly string[] {
  const words = KEYS.map((key) => `${key}=${options[key]}`);
  return words.flatMap((one, i) => words.slice(i + 1).map((other) => `${one} ${other}`));
}

/**
 * `count` ways to create an image: each is the one, of many drawn by chance, that shows the most
 * pairs of choices not seen before.
 *
 * @param allowed what the caller has a use for; it must leave ways of both versions.
 */
export function coveringOptions(
  random: Random,
  count: number,
  allowed: (options: ImageOptions) => boolean = () => true,
): readonly ImageOptions[] {
  const seen = new Set<string>();
  const chosen: ImageOptions[] = [];
  while (chosen.length < count) {
    let best: ImageOptions | undefined;
    let bestFresh = -1;
    for (let i = 0; i < 300; i++) {
      const drawn = Object.fromEntries(
        KEYS.map((key) => [key, random.pick<unknown>(CHOICES[key])]),
      ) as unknown as ImageOptions;
      if (!isPossible(drawn) || !isTurnOf(drawn, chosen.length) || !allowed(drawn)) continue;
      const fresh = pairsOf(drawn).filter((pair) => !seen.has(pair)).length;
      if (fresh > bestFresh) [best, bestFresh] = [drawn, fresh];
    }
    if (best === undefined) continue;
    for (const pair of pairsOf(best)) seen.add(pair);
    chosen.push(best);
  }
  return chosen;
}

/** The options as a test's name: what differs from the most common image. */
export function nameOfOptions(options: ImageOptions): string {
  const { compat, cluster, refcountBits, extendedL2, lazy, compression } = options;
  const words = [
    compat === '0.10' ? 'v2' : 'v3',
    cluster,
    `${refcountBits}-bit`,
    extendedL2 ? 'extended-l2' : '',
    lazy ? 'lazy' : '',
    compression === 'zstd' ? 'zstd' : '',
    options.backing ? 'backing' : '',
    options.encryption === 'none' ? '' : options.encryption,
    options.bitmaps ? 'bitmaps' : '',
    options.preallocation === 'off' ? '' : `preallocated-${options.preallocation}`,
  ];
  return words.filter((word) => word !== '').join(' ');
}

/** The size of the test disk: not a multiple of the cluster, several L2 tables where they are small. */
export function diskBytesOf(options: ImageOptions): number {
  return {
    '512': 300 * 1024 + 512,
    '4k': 3 * 2 ** 20 + 1024,
    '64k': 8 * 2 ** 20 + 512,
    '2M': 12 * 2 ** 20 + 4096,
  }[options.cluster];
}

/** The value of `-o` for qemu-img create. */
export function createArgument(options: ImageOptions): string {
  const { compat, cluster, refcountBits, extendedL2, lazy, compression, encryption } = options;
  const words = [`compat=${compat}`, `cluster_size=${cluster}`];
  if (compat === '1.1') {
    words.push(`refcount_bits=${refcountBits}`, `lazy_refcounts=${lazy ? 'on' : 'off'}`);
    words.push(`extended_l2=${extendedL2 ? 'on' : 'off'}`, `compression_type=${compression}`);
  }
  if (options.preallocation !== 'off') words.push(`preallocation=${options.preallocation}`);
  if (encryption !== 'none') words.push(`encrypt.format=${encryption},encrypt.key-secret=sec0`);
  if (encryption === 'luks') words.push('encrypt.iter-time=10');
  return words.join(',');
}
