import type { QemuImgIo } from './disks/io.js';

/** Does what the arguments asked for; resolves to the exit code. */
export type Run = (io: QemuImgIo) => Promise<number>;
