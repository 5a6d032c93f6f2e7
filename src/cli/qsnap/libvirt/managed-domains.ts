/** The domains of libvirt that have an image, by its files. */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { imagesInDefinition, snapshotIn, type KnownSnapshot } from './domain-xml.js';
import type { FoundPlace } from './places.js';

/** So much is looked at, of a host with very many machines a part. */
const LIMITS = { files: 5000, fileBytes: 2 ** 20, bytes: 2 ** 26 } as const;

/** A domain that has one of the images that were asked for. */
export interface ManagedDomain {
  readonly name: string;
  readonly uri: string | undefined;
  /** The paths that its definition has for disks. */
  readonly images: readonly string[];
  readonly snapshots: readonly KnownSnapshot[];
}

export interface ManagedDomains {
  readonly domains: readonly ManagedDomain[];
  /** Whether there was more than is looked at. */
  readonly isCut: boolean;
}

/** An image by all that it may be called in libvirt's files. */
export class ImageNames {
  readonly #identity: string;
  readonly #paths: ReadonlySet<string>;
  readonly #lastParts: ReadonlySet<string>;

  constructor(file: string) {
    const [absolute, real] = [path.resolve(file), realpathSync(file)];
    this.#identity = identityOf(real);
    this.#paths = new Set([absolute, real]);
    this.#lastParts = new Set([absolute, real].map((one) => path.basename(one)));
  }

  /** Whether a path is that of this image, by another folder too. */
  isAt(one: string): boolean {
    if (this.#paths.has(one)) return true;
    // Only what may be the image is looked for: a folder of a server that is away would take long.
    if (!this.#lastParts.has(path.basename(one))) return false;
    try {
      return identityOf(one) === this.#identity;
    } catch {
      return false;
    }
  }

  /** Whether a text may name the image. XML has other forms for some characters. */
  mayBeIn(text: string): boolean {
    return [...this.#lastParts].some((part) => !/^[\w. -]+$/.test(part) || text.includes(part));
  }
}

function identityOf(file: string): string {
  const { dev, ino } = statSync(file, { bigint: true });
  return `${dev}:${ino}`;
}

/** The domains with snapshots that have, or had, one of the images. What can't be read is passed over. */
export function managedDomains(
  places: readonly FoundPlace[],
  images: readonly ImageNames[],
): ManagedDomains {
  const reader = new Reader(images);
  const domains = places.flatMap((place) =>
    place.domains.flatMap((name) => {
      const snapshots = reader.snapshots(path.join(place.snapshots, name));
      if (snapshots.length === 0) return [];
      const definition = path.join(place.definitions, `${name}.xml`);
      const inDefinition = reader.parsed(definition, imagesInDefinition) ?? [];
      const all = [...inDefinition, ...snapshots.flatMap((snapshot) => snapshot.images)];
      if (!all.some((one) => images.some((image) => image.isAt(one)))) return [];
      return { name, uri: place.uri, images: inDefinition, snapshots };
    }),
  );
  return { domains, isCut: reader.isCut };
}

/** Reads files of a bounded number and size. */
class Reader {
  readonly #images: readonly ImageNames[];
  #files = 0;
  #bytes = 0;
  isCut = false;

  constructor(images: readonly ImageNames[]) {
    this.#images = images;
  }

  /** The snapshots of a folder, if any file in it may name an image. As libvirt, it takes any name without a dot first. */
  snapshots(folder: string): readonly KnownSnapshot[] {
    const names = attempt(() => readdirSync(folder)) ?? [];
    const files = names.filter((name) => !name.startsWith('.'));
    const texts = files.flatMap((name) => this.#text(path.join(folder, name)) ?? []);
    const isNamed = texts.some((text) => this.#images.some((image) => image.mayBeIn(text)));
    if (!isNamed) return [];
    return texts.flatMap((text) => attempt(() => snapshotIn(text)) ?? []);
  }

  parsed<Result>(file: string, parse: (text: string) => Result): Result | undefined {
    const text = this.#text(file);
    return text === undefined ? undefined : attempt(() => parse(text));
  }

  #text(file: string): string | undefined {
    const status = attempt(() => statSync(file));
    // Opening a pipe would wait.
    if (status?.isFile() !== true) return undefined;
    this.#files += 1;
    this.#bytes += status.size;
    const isMore = this.#files > LIMITS.files || this.#bytes > LIMITS.bytes;
    if (isMore || status.size > LIMITS.fileBytes) {
      this.isCut = true;
      return undefined;
    }
    return attempt(() => readFileSync(file, 'utf8'));
  }
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
