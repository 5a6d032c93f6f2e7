/**
 * Waits for everything that was begun, whichever of it fails: nothing goes on behind the back of who is
 * told of the failure. `Promise.all` does not wait.
 *
 * @returns what each resolves to, in the order given.
 * @throws the failure of the first in that order.
 */
export async function settled<T extends readonly unknown[]>(
  begun: readonly [...T],
): Promise<{ -readonly [Index in keyof T]: Awaited<T[Index]> }> {
  const ends = await Promise.allSettled(begun);
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  }) as { -readonly [Index in keyof T]: Awaited<T[Index]> };
}
