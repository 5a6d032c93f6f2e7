/** Summaries of audits: totals, order, and what is cut. */
import { expect, test } from 'vitest';
import { auditMarkdown } from '../../../src/cli/qsnap/present/audit-markdown.js';
import { findRule } from '../../../src/index.js';
import { markdownOf } from './audit-readers.js';
import { audited, finding, NOT_READ } from './audit-samples.js';

test('as text: the gravest first, exceptions counted, an image without flaws, one that could not be read', () => {
  const exception = { rule: 'QS1201', images: undefined, reason: 'known', until: 5 };
  const note = finding({ rule: findRule('slack')!, level: 'note', message: 'a | b', at: 300 });
  const { report } = audited('a.qcow2', [note, finding({ message: 'it names "x@example.org"' })]);
  const excepted = [{ ...finding(), exception }];
  const results = [
    { path: 'a.qcow2', report: { ...report, excepted } },
    audited('c.qcow2', []),
    NOT_READ,
  ];
  expect(markdownOf(results)[0]).toBe(
    '3 images: 1 error, 0 warnings, 1 note; 1 image could not be audited',
  );
  expect(auditMarkdown(results)).toMatchInlineSnapshot(`
    "**3 images: 1 error, 0 warnings, 1 note; 1 image could not be audited**

    ### <code>a.qcow2</code>

    | Level | Rule | Message | Offset |
    | --- | --- | --- | ---: |
    | error | QS1201 backing-file | <code>it names "x&#64;<!-- -->example.org"</code> |  |
    | note | QS1702 slack | <code>a &#124; b</code> | 0x12c |

    1 finding allowed by exceptions of the policy

    ### <code>c.qcow2</code>

    No rule is broken.

    ### <code>images/gone.qcow2</code>

    Could not be audited (OPEN_FAILED): <code>no such file</code>
    "
  `);
});

test('a long list is cut behind the gravest, and says how many are left', () => {
  const notes = Array.from({ length: 30 }, () => finding({ level: 'note' }));
  const blocks = markdownOf([audited('a', [...notes, finding()])]);
  expect(blocks.filter((block) => typeof block !== 'string')).toHaveLength(21);
  expect(blocks[3]).toEqual(['error', 'QS1201 backing-file', finding().message, '']);
  expect(blocks.at(-1)).toBe('and 11 more findings');
});

test('hostile images can not make the summary too long for a page: the others are counted', () => {
  const long = audited('a'.repeat(9000), Array(50).fill(finding({ message: '@'.repeat(65_536) })));
  const text = auditMarkdown(Array(40).fill(long));
  expect(Buffer.byteLength(text)).toBeLessThan(600 * 1024);
  expect(text).toMatch(/\nand \d+ more images\n$/);
  expect(text).toMatch(/^\*\*40 images: 2000 errors, /);
});
