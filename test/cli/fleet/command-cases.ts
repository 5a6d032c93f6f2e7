import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Catalogs } from '../../support/catalogs.js';
import { temporaryDirectory } from '../../support/directories.js';
import { leaveOut } from '../../support/left-out.js';
import { parsed, qsnap, type Ran, type RunOptions } from '../qsnap/harness.js';

export function commandCases(opened: () => Catalogs): void {
  /** On the server, since the folder is held by this process. */
  const ask = (argv: readonly string[], options: RunOptions = {}): Promise<Ran> =>
    qsnap(['catalog', ...argv], { ...options, env: { QSNAP_DATABASE: opened().url! } });

  const onServer = (name: string, run: () => Promise<void>): void => {
    test(name, async () => {
      if (opened().url === undefined) leaveOut('commands on a server: PostgreSQL is not installed');
      else await run();
    });
  };

  onServer('people get 20 rows, and are told of more', async () => {
    const { code, stdout, stderr } = await ask(['query', '--oldest']);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'There are more; --limit 200 shows more of them.\n',
    });
    expect(stdout.split('\n').length).toBe(1 + 20 + 1);
    expect((await ask(['query', '--oldest', '-q'])).stderr).toBe('');
  });

  onServer('programs get all, or as many as they want', async () => {
    const all = await ask(['query', '--oldest', '--json']);
    expect(parsed('catalog-query', all.stdout)).toMatchObject({ 'has-more': false });
    expect((JSON.parse(all.stdout) as { rows: unknown[] }).rows.length).toBeGreaterThan(100);
    const some = await ask(['query', '--oldest', '--json', '--limit', '3']);
    expect(parsed('catalog-query', some.stdout)).toMatchObject({
      'has-more': true,
      rows: { length: 3 },
    });
    const lines = await ask([
      'query',
      '--what-if',
      'prune',
      '--keep-last',
      '1',
      '--format',
      'jsonl',
    ]);
    for (const line of lines.stdout.trim().split('\n')) {
      const { gone, gone_count: count } = JSON.parse(line) as {
        gone: unknown[];
        gone_count: number;
      };
      expect(gone.length).toBe(count);
    }
  });

  onServer('the totals of a prune are of all images', async () => {
    const argv = ['query', '--what-if', 'prune', '--keep-last', '1', '--limit', '1'];
    const { stdout } = await ask(argv);
    expect(stdout).toMatch(/\n\d+ snapshots of \d\d images would go, which frees [\d.]+ \w+/);
    const document = parsed('catalog-query', (await ask([...argv, '--json'])).stdout) as {
      totals: { images: number };
    };
    expect(document.totals.images).toBeGreaterThan(10);
  });

  onServer('SQL that is wrong is a failure with its place', async () => {
    const { code, stdout, stderr } = await ask(['query', '--json', 'select lokation from images']);
    expect(code).toBe(1);
    expect(stderr).toContain('\n  select lokation from images\n         ^\nhint: ');
    expect(parsed('catalog-query', stdout)).toMatchObject({ error: { position: 8 } });
  });

  onServer('rules that say nothing are refused', async () => {
    const { code, stdout, stderr } = await ask(['query', '--json', '--what-if', 'prune']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^qsnap: no rule says which snapshots stay; wanted: /);
    expect(parsed('catalog-query', stdout)).toMatchObject({
      error: { code: 'PRUNE_RULES_INVALID' },
    });
  });

  test.each([
    [['query'], 'no question'],
    [['query', '--oldest', '--largest'], 'several questions'],
    [['query', '--oldest', 'select 1'], 'several questions'],
    [['query', '--oldest', '--keep-last', '3'], 'which snapshots stay is for --what-if prune'],
    [['query', '--oldest', '--json', '--format', 'csv'], '--json and --format'],
    [['query', '--what-if', 'delete'], 'Write prune.'],
    [['query', '--oldest', '--limit', '0'], 'Write a number from 1.'],
    [['export', '-o', 'x', '--table', 'images'], 'the name tells no format'],
    [['export', '-o', 'x.csv', '--table', 'places'], 'Write images, snapshots'],
    [['report'], '--output <file>'],
  ])('%j is wrong usage', async (argv, message) => {
    const { code, stderr } = await qsnap(['catalog', ...argv], {
      env: { QSNAP_DATABASE: '/none' },
    });
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });

  onServer('files are new, and whole', async () => {
    const folder = temporaryDirectory();
    const table = path.join(folder, 'disks.csv');
    const first = await ask(['export', '--table', 'disks', '-o', table]);
    expect(first).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Exported \d+ rows of disks/) as string,
    });
    const second = await ask(['export', '--table', 'images', '-o', table]);
    expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining('exists') as string });
    expect(readFileSync(table, 'utf8')).toMatch(/^image_id,position,/);
    const toStdout = await ask(['export', '--table', 'disks', '--format', 'csv', '-o', '-']);
    expect(toStdout.stdout).toBe(readFileSync(table, 'utf8'));
    const page = path.join(folder, 'page.html');
    expect(await ask(['report', '-o', page])).toEqual({
      code: 0,
      stdout: `Wrote the report to ${page}.\n`,
      stderr: '',
    });
    expect(await ask(['report', '-o', page])).toMatchObject({ code: 1 });
    expect(readFileSync(page, 'utf8')).toMatch(/^<!doctype html>[^]*<\/html>\n$/);
  });

  test.each(['query', 'export', 'report'])('%s --help', async (name) => {
    const { code, stdout } = await qsnap(['catalog', name, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\nExamples:\n {2}qsnap /);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
}
