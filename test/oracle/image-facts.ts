/** What qemu-img says of an image, without what two equal ones may differ in. */
import { qemuImg } from '../support/qemu.js';

/** What `info` says but for names and room on the medium. */
export async function infoOf(image: string): Promise<unknown> {
  const { stdout } = await qemuImg(['info', '--output=json', image]);
  const info = JSON.parse(stdout) as Record<string, unknown>;
  const { 'actual-size': _, filename: __, 'full-backing-filename': ___, ...rest } = info;
  return rest;
}

/** Where there is what, without the places in the file. */
export async function mapOf(image: string): Promise<unknown> {
  const { stdout } = await qemuImg(['map', '--output=json', image]);
  interface Entry {
    start: number;
    length: number;
    offset?: number;
    zero: boolean;
    data: boolean;
  }
  const entries = (JSON.parse(stdout) as Entry[]).map(({ offset: _, ...rest }) => ({
    ...rest,
    // Zeros in clusters of their own may be holes of the one file and written in the other.
    zero: rest.zero && !rest.data,
  }));
  // Neighbours may be apart in one file and together in the other.
  const joined: Entry[] = [];
  const kind = ({ start: _, length: __, ...rest }: Entry): string => JSON.stringify(rest);
  for (const entry of entries) {
    const last = joined.at(-1);
    if (last !== undefined && kind(last) === kind(entry)) last.length += entry.length;
    else joined.push(entry);
  }
  return joined;
}
