/** Images that QEMU makes: created, then used by a guest, with snapshots in between. */
import { qemuImg, qemuIo, type ToolResult } from './qemu.js';

/** What a guest does in one session (commands of qemu-io), one command alone, or `snapshot NAME`. */
export type Use = string | readonly string[];

/** `qemu-img create` of a qcow2 image; files are named from the folder `cwd`. */
export function createImage(args: readonly string[], cwd?: string): Promise<ToolResult> {
  const options = cwd === undefined ? {} : { cwd };
  return qemuImg(['create', '-q', '-f', 'qcow2', ...args], options);
}

/** Uses an image, one thing after the other. */
export async function use(image: string, ...uses: readonly Use[]): Promise<void> {
  for (const one of uses) {
    const commands = typeof one === 'string' ? [one] : one;
    const [, name] = /^snapshot (.*)$/.exec(commands[0] ?? '') ?? [];
    if (name !== undefined) await qemuImg(['snapshot', '-c', name, image]);
    else if (commands.length > 0) await qemuIo(image, commands);
  }
}

/** An image with a history. `options` are those of `qemu-img create -o`; '' for none. */
export async function makeImage(
  image: string,
  size: string,
  options: string,
  ...uses: readonly Use[]
): Promise<void> {
  await createImage([...(options === '' ? [] : ['-o', options]), image, size]);
  await use(image, ...uses);
}
