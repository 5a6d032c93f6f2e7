/** Longer words are no slips of the hand. */
const LENGTH_MAX = 40;

/** `; did you mean "snapshots"?`, or nothing where no word is near. */
export function didYouMean(word: string, words: readonly string[]): string {
  const near = nearWord(word, words);
  return near === undefined ? '' : `; did you mean "${near}"?`;
}

/** The word that takes the fewest slips to become the one that was written; undefined where that takes too many. */
function nearWord(written: string, words: readonly string[]): string | undefined {
  if (written.length > LENGTH_MAX) return undefined;
  let least = Math.floor(Math.max(written.length, 3) / 3) + 1;
  let nearest: string | undefined;
  for (const word of words) {
    if (Math.abs(written.length - word.length) >= least) continue;
    const slips = slipsBetween(written.toLowerCase(), word.toLowerCase());
    if (slips < least) [least, nearest] = [slips, word];
  }
  return nearest;
}

/** Letters that are wrong, missing, too many, or in the place of their neighbours. */
function slipsBetween(a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const wrong = a[i - 1] === b[j - 1] ? 0 : 1;
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwapped ? before[j - 2]! + 1 : Infinity;
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + wrong, swapped));
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}
