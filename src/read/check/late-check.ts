import type { BlockSource } from '../../io/device.js';
import type { CheckOptions, CheckReport } from './report.js';

/**
 * `checkImage`, loaded with its first use. Few edits look for lost data by a whole check, and without it they load
 * a quarter less code.
 *
 * @throws QsnapError what `checkImage` throws.
 */
export async function checkLate(source: BlockSource, options: CheckOptions): Promise<CheckReport> {
  const { checkImage } = await import('./check-image.js');
  return checkImage(source, options);
}
