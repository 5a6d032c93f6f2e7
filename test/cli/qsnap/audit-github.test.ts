/** Workflow commands of audits. */
import { expect, test } from 'vitest';
import { auditGithub } from '../../../src/cli/qsnap/present/audit-github.js';
import { findRule } from '../../../src/index.js';
import { audited, finding, NOT_READ } from './audit-samples.js';

test('as text: one line for each finding that counts', () => {
  const rule = findRule('slack')!;
  const exception = { rule: rule.id, images: undefined, reason: 'known', until: 5 };
  const findings = [
    finding({ message: '100%, a:b', at: 60 }),
    finding({ rule, level: 'warning', message: 'two\nlines' }),
    finding({ rule, level: 'note', message: 'small' }),
  ];
  const { report } = audited('', findings);
  const excepted = [{ ...finding(), exception }];
  const results = [{ path: 'a,b:c%.qcow2', report: { ...report, excepted } }, NOT_READ];
  expect(auditGithub(results)).toMatchInlineSnapshot(`
    "::error file=a%2Cb%3Ac%25.qcow2,title=QS1201 backing-file::100%25, a:b (at 0x3c)%0Aqsnap-img convert -O qcow2 OLD NEW where the chain is to be trusted; else refuse the image
    ::warning file=a%2Cb%3Ac%25.qcow2,title=QS1702 slack::two\\nlines%0Aqsnap scrub IMAGE
    ::notice file=a%2Cb%3Ac%25.qcow2,title=QS1702 slack::small%0Aqsnap scrub IMAGE
    ::error file=images/gone.qcow2,title=not audited (OPEN_FAILED)::no such file
    "
  `);
});

test('there is nothing to say of images without flaws', () => {
  expect(auditGithub([audited('a', [])])).toBe('');
});
