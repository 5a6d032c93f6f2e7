/** JUnit of audits: what fails, what passes with output, what is skipped, and what is an error. */
import { expect, test } from 'vitest';
import { auditJunit } from '../../../src/cli/qsnap/present/audit-junit.js';
import { findRule } from '../../../src/index.js';
import { junitOf } from './audit-readers.js';
import { audited, finding, NOT_READ } from './audit-samples.js';

const slack = findRule('slack')!;
const exception = { rule: slack.id, images: undefined, reason: 'known until spring', until: 5 };

test('as text: errors, warnings, exceptions, an image without flaws and one that could not be read', () => {
  const findings = [
    finding({ at: 60 }),
    finding({ message: 'another "one"' }),
    finding({ rule: slack, level: 'warning', message: 'a < b' }),
  ];
  const excepted = [{ ...finding({ rule: slack, at: 9, message: 'left over' }), exception }];
  const { report } = audited('a & b', findings);
  const results = [{ path: 'a & b', report: { ...report, excepted } }, audited('c', []), NOT_READ];
  expect(junitOf(results)).toHaveLength(3);
  expect(auditJunit(results)).toMatchInlineSnapshot(`
    "<?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="qsnap audit" tests="5" failures="1" errors="1">
      <testsuite name="a &amp; b" tests="3" failures="1" errors="0" skipped="1">
        <testcase classname="a &amp; b" name="QS1201 backing-file">
          <failure type="QS1201" message="the backing file &quot;base&quot; is not allowed, and 1 more">error at 0x3c: the backing file &quot;base&quot; is not allowed
    error: another &quot;one&quot;
    qsnap-img convert -O qcow2 OLD NEW where the chain is to be trusted; else refuse the image</failure>
        </testcase>
        <testcase classname="a &amp; b" name="QS1702 slack">
          <system-out>warning: a &lt; b
    qsnap scrub IMAGE</system-out>
        </testcase>
        <testcase classname="a &amp; b" name="QS1702 slack">
          <skipped>error at 0x9: left over
    allowed: known until spring</skipped>
        </testcase>
      </testsuite>
      <testsuite name="c" tests="1" failures="0" errors="0" skipped="0">
        <testcase classname="c" name="audit"/>
      </testsuite>
      <testsuite name="images/gone.qcow2" tests="1" failures="0" errors="1" skipped="0">
        <testcase classname="images/gone.qcow2" name="audit">
          <error type="OPEN_FAILED" message="no such file">no such file</error>
        </testcase>
      </testsuite>
    </testsuites>
    "
  `);
});

test('no image is no suite', () => {
  expect(junitOf([])).toEqual([]);
});

test('an image whose findings are all allowed passes, and says what is allowed', () => {
  const { report } = audited('a', []);
  const excepted = [{ ...finding({ rule: slack, message: 'left over' }), exception }];
  const [suite] = junitOf([{ path: 'a', report: { ...report, excepted } }]);
  expect(suite!.attributes).toMatchObject({ tests: '2', failures: '0', errors: '0', skipped: '1' });
  expect(suite!.children.map(({ attributes }) => attributes['name'])).toEqual([
    'audit',
    'QS1702 slack',
  ]);
});
