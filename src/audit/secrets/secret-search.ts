import { KiB } from '../../base/units.js';
import type { FindSecrets, RemainsPlace, SecretMatch, SecretsLeft } from './secret.js';

/** A secret that is longer may be told as shorter where a batch of reads ends in it. Ours. */
const SECRET_BYTES = 4 * KiB;
/** Secrets of one pattern that are listed, and that are counted. Ours. */
const LISTED_MAX = 20;
const COUNTED_MAX = 1000;

interface Found {
  readonly listed: SecretsLeft['listed'][number][];
  count: number;
  /** Offset behind the last one that counted. */
  end: number;
}

/** Looks for secrets in bytes that come piece by piece, be it that one lies across pieces. */
export class SecretSearch {
  readonly #find: FindSecrets;
  readonly #found = new Map<string, Found>();
  #where: RemainsPlace = 'free-clusters';
  /** The last bytes of what was looked through, and their offset in the file. */
  #kept = new Uint8Array(0);
  #keptAt = 0;
  /** What begins before this offset has been told. */
  #told = 0;

  constructor(find: FindSecrets) {
    this.#find = find;
  }

  /** Looks through some bytes of the file. Those of one place come in ascending order. */
  add(where: RemainsPlace, at: number, bytes: Uint8Array): void {
    if (where !== this.#where || at !== this.#keptAt + this.#kept.length) {
      this.#finish();
      [this.#where, this.#kept, this.#keptAt, this.#told] = [where, new Uint8Array(0), at, at];
      for (const found of this.#found.values()) found.end = 0;
    }
    const whole = new Uint8Array(this.#kept.length + bytes.length);
    whole.set(this.#kept);
    whole.set(bytes, this.#kept.length);
    // What begins in the last bytes may go on in the next ones.
    this.#look(whole, this.#keptAt + whole.length - SECRET_BYTES);
    // As many again are kept before those, so that it is seen whether a word begins there.
    const from = Math.max(0, whole.length - 2 * SECRET_BYTES);
    this.#kept = whole.slice(from);
    this.#keptAt += from;
  }

  /** What was found, by ascending name of the pattern. */
  end(): readonly SecretsLeft[] {
    this.#finish();
    return [...this.#found]
      .map(([pattern, { listed, count }]) => {
        return { pattern, listed, count, isFull: count === COUNTED_MAX };
      })
      .sort((a, b) => (a.pattern < b.pattern ? -1 : 1));
  }

  #finish(): void {
    this.#look(this.#kept, Infinity);
    this.#kept = new Uint8Array(0);
  }

  /** Tells what begins before `until`, and was not told yet. */
  #look(bytes: Uint8Array, until: number): void {
    if (until <= this.#told || bytes.length === 0) return;
    for (const match of this.#find(bytes, (pattern) => this.#wants(pattern))) {
      const at = this.#keptAt + match.at;
      if (at >= this.#told && at < until && this.#wants(match.pattern)) this.#tell(match, at);
    }
    this.#told = until;
  }

  #wants(pattern: string): boolean {
    return (this.#found.get(pattern)?.count ?? 0) < COUNTED_MAX;
  }

  #tell({ pattern, length }: SecretMatch, at: number): void {
    const found = this.#found.get(pattern) ?? { listed: [], count: 0, end: 0 };
    this.#found.set(pattern, found);
    if (at < found.end) return;
    if (found.count < LISTED_MAX) found.listed.push({ pattern, where: this.#where, at, length });
    found.count += 1;
    found.end = at + length;
  }
}
