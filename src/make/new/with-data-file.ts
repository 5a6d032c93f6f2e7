import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { settled } from '../../io/settled.js';
import { viewOf } from '../../io/view.js';

interface DataRequest extends WriteRequest {
  readonly isGuestData: true;
}

/** Marks a write as one to the external data file. */
export function dataRequest({ at, bytes }: WriteRequest): DataRequest {
  return { at, bytes, isGuestData: true };
}

/** The image's file, and beside it the file that marked writes go to. */
export function withDataFile(device: BlockDevice, data: BlockDevice | undefined): BlockDevice {
  if (data === undefined) return device;
  const writeBatch = async (requests: readonly WriteRequest[]): Promise<void> => {
    const [own, guest] = [false, true].map((isGuest) => {
      return requests.filter((request) => 'isGuestData' in request === isGuest);
    });
    await settled([device.writeBatch(own!), data.writeBatch(guest!)]);
  };
  const flush = async (): Promise<void> => {
    await settled([data.flush(), device.flush()]);
  };
  return viewOf(device, new Map<string, unknown>(Object.entries({ writeBatch, flush })));
}
