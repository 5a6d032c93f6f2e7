import { expect, test } from 'vitest';
import { QueryError, askOwn } from '../../../src/cli/fleet/questions/own-sql.js';
import {
  READY_QUESTIONS,
  askReady,
  type ReadyName,
} from '../../../src/cli/fleet/questions/ready.js';
import type { ImageRecord } from '../../../src/cli/fleet/examine/record.js';
import { answerCsv, answerJsonLines } from '../../../src/cli/fleet/present/answer-data.js';
import { answerLines, plainText } from '../../../src/cli/fleet/present/answer-text.js';
import { queryFailureLines } from '../../../src/cli/fleet/present/query-failure.js';
import { failedRecord } from '../../../src/cli/fleet/examine/failed-record.js';
import type { Database } from '../../../src/cli/fleet/database/database.js';
import { examined, keepRecord, type Catalogs } from '../../support/catalogs.js';
import { temporaryDirectory } from '../../support/directories.js';
import { copyFixture } from '../../support/fixture.js';

const NAMES = Object.keys(READY_QUESTIONS) as ReadyName[];

/** A backing file that is there, one that failed, one that is gone, one that nobody knows, and one of another kind. */
const BACKINGS = ['/b/there', '/b/failed', '/b/gone', '/b/nowhere', 'json:{}'] as const;

async function fill(catalogs: Catalogs): Promise<void> {
  const five = await examined(copyFixture('five-snapshots', temporaryDirectory()), true);
  const keep = (location: string, record: ImageRecord): Promise<void> =>
    keepRecord(catalogs, location, record);
  await keep('/b/there', five);
  await keep('/b/failed', failedRecord('HEADER_INVALID', 'no\u001b[31m header'));
  await keep('/b/gone', failedRecord('OPEN_FAILED', 'there is no such file', true));
  for (const [i, backingName] of BACKINGS.entries()) {
    await keep(`/o/${i}`, {
      ...five,
      facts: { ...five.facts!, backingName, backingFormat: 'qcow2' },
    });
  }
  const odd = { ...five.disks[1]!, name: '=cmd|x', takenNanoseconds: 2 ** 32 - 1 };
  await keep('/odd\n\u202ename', {
    ...five,
    disks: [five.disks[0]!, odd],
    unmeasured: { code: 'IMAGE_DAMAGED', message: 'an entry is no offset' },
    findings: [
      { rule: 'QS2', ruleName: 'b', level: 'warning', at: 8, length: 8, message: 'less' },
      { rule: 'QS1', ruleName: 'a', level: 'error', at: 2 ** 45, length: 8, message: 'worse' },
      {
        rule: 'QS3',
        ruleName: 'c',
        level: 'note',
        at: undefined,
        length: undefined,
        message: 'no',
      },
    ],
  });
  await keepRecord(catalogs, '/b/there', { ...five, facts: { ...five.facts!, isDirty: true } }, 2);
}

async function rowsOf(database: Database, name: ReadyName): Promise<readonly string[]> {
  const answer = await askReady(database, name, undefined);
  return answer.rows.map((row) => row.map(plainText).join(' | '));
}

export function questionCases(opened: () => Catalogs): void {
  test('every database answers alike, in every form', async () => {
    await fill(opened());
    for (const name of NAMES) {
      const forms = await Promise.all(
        opened().all.map(async (database) => {
          const answer = await askReady(database, name, undefined);
          expect(answer.rows.length, name).toBeGreaterThan(0);
          return [
            answerLines(answer).join('\n'),
            answerJsonLines(answer),
            answerCsv(answer, false),
          ];
        }),
      );
      for (const form of forms) expect(form, name).toEqual(forms[0]);
    }
  });

  test('what is asked for is found', async () => {
    for (const database of opened().all) {
      expect(await rowsOf(database, 'orphans')).toEqual(
        expect.arrayContaining([
          'failed | /o/1 | /b/failed | qcow2',
          'gone | /o/2 | /b/gone | qcow2',
          'not in the catalogue | /o/3 | /b/nowhere | qcow2',
          'no name of a file | /o/4 | json:{} | qcow2',
        ]),
      );
      expect((await rowsOf(database, 'orphans')).join('\n')).not.toContain('/o/0');
      const violations = await rowsOf(database, 'violations');
      expect(violations.findIndex((row) => row.startsWith('warning'))).toBeGreaterThan(
        violations.findLastIndex((row) => row.startsWith('error')),
      );
      expect(violations).toContain('error | QS1 | /odd\n\u202ename | worse');
      expect(violations.join('\n')).not.toContain('note');
      const failed = await rowsOf(database, 'failed');
      expect(failed).toContain('not read | HEADER_INVALID | /b/failed | no\u001b[31m header');
      expect(failed).toContain('not measured |  | /odd\n\u202ename | an entry is no offset');
      expect((await rowsOf(database, 'drift'))[0]).toMatch(
        / \| dirty \| false \| true \| \/b\/there$/,
      );
      const equal = await askReady(database, 'duplicates', 3);
      expect(equal.hasMore).toBe(true);
      expect(equal.rows[0]!.slice(0, 2).map(Number)[1]).toBeGreaterThan(5);
    }
  });

  test('the oldest and the largest come first, and no more than wanted', async () => {
    const [database] = opened().all;
    const oldest = await askReady(database!, 'oldest', undefined);
    const dates = oldest.rows.map(([date]) => plainText(date!));
    expect(dates).toEqual(dates.toSorted());
    const largest = await askReady(database!, 'largest', 7);
    const sizes = largest.rows.map(([size]) => Number(size));
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
    expect(largest).toMatchObject({ hasMore: true, rows: { length: 7 } });
  });

  test('people get safe lines, and programs whole values', async () => {
    const answer = await askReady(opened().all[0]!, 'failed', undefined);
    const text = answerLines(answer).join('\n');
    expect(text).toContain('/odd\\n\\u{202e}name');
    expect(text).toContain('no\\x1b[31m header');
    const lines = answerJsonLines(answer).trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { location: string }).location)).toContain(
      '/odd\n\u202ename',
    );
    expect(answerCsv(answer, false)).toContain('"/odd\n\u202ename"');
    expect(answerCsv(answer, true)).not.toContain('\u202e');
    const names = await askOwn(
      opened().all[0]!,
      `select name, -1 from snapshots where name like '=%'`,
    );
    expect(answerCsv(names, false)).toBe("name,?column?\n'=cmd|x,-1\n");
  });

  test('SQL of one’s own: any columns, short names of tables', async () => {
    const sql = `select 1 as a, 'x' as a, null, true, 1.50::numeric, array[1, 2], '{"b": 1}'::jsonb,
      9007199254740993, count(*) > 5 from images`;
    for (const database of opened().all) {
      const answer = await askOwn(database, sql);
      expect(answerCsv(answer, false).split('\n')[1]).toBe(
        '1,x,,true,1.50,"{1,2}","{""b"":1}",9007199254740993,true',
      );
      expect(answerJsonLines(answer)).toMatch(/^\{"a":1,"a_2":"x","\?column\?":null,/);
    }
  });

  test.each([
    ['delete from images', 'a question can only read'],
    [
      'with gone as (delete from images returning 1) select * from gone',
      'a question can only read',
    ],
    ["copy images to '/tmp/x'", 'a question can only read'],
    ['commit', 'a question can only read'],
    ['', 'a question can only read'],
    ['select 1; delete from images', 'one statement at a time'],
    ['select lokation from images', 'column "lokation" does not exist'],
  ])('%s: %s', async (sql, message) => {
    for (const database of opened().all) {
      const error = await askOwn(database, sql).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(QueryError);
      expect((error as QueryError).message).toBe(message);
      expect((await askOwn(database, 'select 1 from images')).rows.length).toBeGreaterThan(5);
    }
  });

  test('the place of a fault is marked', async () => {
    const sql = "select 1,\n\t'ä𝄞', lokation\nfrom images";
    for (const database of opened().all) {
      const error = await askOwn(database, sql).catch((thrown: unknown) => thrown);
      expect(queryFailureLines(error as QueryError, sql).slice(0, 3)).toEqual([
        'column "lokation" does not exist',
        "  \\x09'ä𝄞', lokation",
        '            ^',
      ]);
    }
  });
}
