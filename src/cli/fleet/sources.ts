import { httpSource, type BlockSource } from '../../index.js';
import { openFile } from '../../node/index.js';

export const isUrl = (location: string): boolean => /^(https?|s3):\/\//.test(location);

export async function openSource(
  location: string,
  { forceShare }: { readonly forceShare: boolean },
): Promise<BlockSource & { readonly version?: string }> {
  return isUrl(location) ? httpSource(location) : openFile(location, { forceShare });
}

// eslint-disable-next-line @typescript-eslint/require-await -- replaced by the S3 source
export async function* listObjects(url: string): AsyncGenerator<{ readonly location: string }> {
  yield { location: url };
}
