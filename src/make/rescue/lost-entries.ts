/** Runs of lost entries by table: the first entry and how many, pair after pair. */
export type LostEntries = ReadonlyMap<number, Uint32Array>;
