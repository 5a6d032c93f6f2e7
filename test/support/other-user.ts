/** Files that belong to a user without privileges: root may read every folder, whatever its mode. */
import { chownSync } from 'node:fs';

/** Debian and most others: the user "nobody". */
export const NOBODY = 65534;

/**
 * Hands the folder to another user, and does the work as that one. Whoever is not root does it as
 * himself: his folder's mode counts for him.
 */
export async function asNobody<Result>(
  folder: string,
  work: () => Promise<Result>,
): Promise<Result> {
  if (process.geteuid?.() !== 0) return work();
  chownSync(folder, NOBODY, NOBODY);
  process.seteuid!(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid!(0);
  }
}
