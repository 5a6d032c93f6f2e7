import type { OpenImage } from '../../image/image.js';

/** What is to become of one persistent bitmap. Names are stored as UTF-8; bytes are stored as they are. */
export type BitmapAction =
  | {
      readonly kind: 'add';
      readonly name: string | Uint8Array;
      /** Guest bytes that one bit stands for; without it the cluster size, but 4 to 64 KiB. */
      readonly granularityBytes?: number | undefined;
      /** Whether it tracks what a machine writes from now on; without it, it does. */
      readonly enabled?: boolean | undefined;
    }
  | {
      readonly kind: 'remove' | 'clear' | 'enable' | 'disable';
      readonly name: string | Uint8Array;
    }
  | { readonly kind: 'remove-all' }
  | {
      readonly kind: 'merge';
      readonly name: string | Uint8Array;
      /** The bitmap whose bits are added to those that are there. */
      readonly from: string | Uint8Array;
      /** The image that has it; without it the same one, as the actions before leave it. */
      readonly source?: OpenImage | undefined;
    };
