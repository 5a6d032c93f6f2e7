/**
 * Waits for reads that were begun together, whichever of them fails: their memory is used again then.
 *
 * @throws the failure of the first that failed, in their order.
 */
export async function readAll(begun: readonly Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(begun)) {
    if (end.status === 'rejected') throw end.reason;
  }
}
