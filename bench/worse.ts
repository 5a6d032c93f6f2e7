/** What got worse since the last results: where qsnap is less far ahead of qemu-img than it was. */

/** Differences below this are those of one run to the next. */
const TENTH = 0.9;

/** How many times faster each operation is, by its name and image, as the tables of results say it. */
function ratiosOf(results: string): ReadonlyMap<string, number> {
  const row = /^\| (\S[^|]*?) +\| (\S[^|]*?) +\|[^|]*\|[^|]*\| ([\d.]+) +\|[^|]*\|$/gm;
  const rows = [...results.matchAll(row)];
  return new Map(rows.map(([, name, image, ratio]) => [`${name!}, ${image!}`, Number(ratio)]));
}

/** Lines of Markdown; `before` and `now` are results as the bench writes them. */
export function worseSince(before: string, now: string): string[] {
  const last = ratiosOf(before);
  const worse = [...ratiosOf(now)].flatMap(([name, ratio]) => {
    const was = last.get(name);
    return was !== undefined && ratio < was * TENTH ? [`- ${name}: ${ratio}, was ${was}`] : [];
  });
  if (worse.length === 0) return ['Nothing is less far ahead of qemu-img by more than a tenth.'];
  return ['Times faster than qemu-img, where it is less by more than a tenth:', '', ...worse];
}
