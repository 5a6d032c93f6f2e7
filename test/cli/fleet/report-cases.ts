import { expect, test } from 'vitest';
import { XmlDocument } from 'libxml2-wasm';
import { reportFacts } from '../../../src/cli/fleet/questions/report-facts.js';
import { reportPage } from '../../../src/cli/fleet/present/report-page.js';
import type { Catalogs } from '../../support/catalogs.js';

const AT = new Date('2026-11-22T14:03:12.345Z');

export function reportCases(opened: () => Catalogs): void {
  test('the page is the same from every database, and loads nothing', async () => {
    const pages = await Promise.all(
      opened().all.map(async (database) => {
        await database.query(
          `update qsnap.disks set name = '<script>alert("1")</script>' where name like '=%'`,
        );
        return reportPage({ ...(await reportFacts(database, AT)), label: 'a <place>' });
      }),
    );
    const [page] = pages;
    for (const other of pages) expect(other).toBe(page);
    expect(page).toContain('a &lt;place&gt;');
    expect(page).toContain('&lt;script&gt;alert(&quot;1&quot;)');
    expect(page).not.toMatch(/<script|<img|<link|url\((?!#)|https?:|@import/);
    for (const [svg] of page!.matchAll(/<svg[^]*?<\/svg>/g)) {
      using document = XmlDocument.fromString(svg);
      expect(document.root.name).toBe('svg');
    }
  });

  test('the oldest bound of age frees least, and all frees most', async () => {
    const { ages } = await reportFacts(opened().all[0]!, AT);
    const freed = ages.map(({ freedBytes }) => freedBytes);
    expect(freed).toEqual(freed.toSorted((a, b) => a - b));
    expect(ages.at(-1)!.snapshots).toBeGreaterThan(50);
  });
}
