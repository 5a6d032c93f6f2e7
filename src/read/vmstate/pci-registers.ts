import type { RamBlock } from '../../vmstate/stream.js';
import type { VmStateSource } from './source.js';
import { readDevice, type VmStateSurvey } from './survey.js';

/** Where bridges have their PAM registers among those of PCI. */
const PAM_PLACES = [
  ['/I440FX', 0x59],
  ['/mch', 0x90],
] as const;
const PAM_BYTES = 7;

/** Which firmware the host bridge of an i440FX or a Q35 has put RAM in the place of. */
export async function shadowRegisters(
  source: VmStateSource,
  survey: VmStateSurvey,
): Promise<Uint8Array | undefined> {
  for (const [bridge, at] of PAM_PLACES) {
    const data = await readDevice(source, survey, bridge);
    const config = data?.bytesOf('parent_obj/config[0]') ?? data?.bytesOf('parent_obj/config');
    if (config !== undefined && config.length >= at + PAM_BYTES) {
      return config.subarray(at, at + PAM_BYTES);
    }
  }
  return undefined;
}

/** The first region of a VGA device of PCI is its memory, once firmware has placed it and switched it on. */
export async function videoAddress(
  source: VmStateSource,
  survey: VmStateSurvey,
): Promise<{ block: RamBlock; address: number } | undefined> {
  const block = survey.blocks.find(({ name }) => name.endsWith('/vga.vram'));
  const vga = await readDevice(source, survey, '/vga');
  const config = vga?.bytesOf('dev/config[0]') ?? vga?.bytesOf('dev/config');
  if (block === undefined || config === undefined || config.length < 0x14) return undefined;
  const view = new DataView(config.buffer, config.byteOffset, config.length);
  const answersMemory = (view.getUint16(4, true) & 2) !== 0;
  const address = (view.getUint32(0x10, true) & ~0xf) >>> 0;
  return answersMemory && address !== 0 ? { block, address } : undefined;
}
