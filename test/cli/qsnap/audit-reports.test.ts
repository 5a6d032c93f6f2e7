/** Reports of audits for other programs: of all fixtures, and of messages that would break out of their format. */
import { beforeAll, describe, expect, test } from 'vitest';
import { PROFILE_NAMES, QsnapError } from '../../../src/index.js';
import { auditGithub } from '../../../src/cli/qsnap/present/audit-github.js';
import { auditJunit } from '../../../src/cli/qsnap/present/audit-junit.js';
import { auditMarkdown } from '../../../src/cli/qsnap/present/audit-markdown.js';
import { auditSarif } from '../../../src/cli/qsnap/present/audit-sarif.js';
import type { Audited, AuditResult } from '../../../src/cli/qsnap/present/audited.js';
import { hexText, jsonText, oneSafeLine } from '../../../src/cli/text.js';
import { githubOf, junitOf, markdownOf, sarifOf, shownMessage, URI } from './audit-readers.js';
import {
  audited,
  finding,
  fixtureAudits,
  FOR_NO_XML,
  HOSTILE,
  HOSTILE_PARTS,
  NOT_READ,
} from './audit-samples.js';
import { helpOfRule } from '../../../src/cli/qsnap/rule-help.js';
import { VERSION } from '../../../src/cli/version.js';

describe.each(PROFILE_NAMES)('audits of all fixtures by %s', (profile) => {
  let audits: readonly Audited[];
  beforeAll(async () => {
    audits = await fixtureAudits(profile);
  });
  const all = (): Audited['report']['findings'] => audits.flatMap(({ report }) => report.findings);

  test('are valid SARIF', () => {
    const run = sarifOf([...audits, NOT_READ]);
    const findings = audits.flatMap(({ report }) => [...report.findings, ...report.excepted]);
    expect(findings.length).toBeGreaterThan(10);
    expect(run.results.map(({ ruleId, level }) => [ruleId, level])).toEqual(
      findings.map(({ rule, level }) => [rule.id, level]),
    );
    for (const [i, { ruleId, ruleIndex, message, locations }] of run.results.entries()) {
      expect(run.tool.driver.rules[ruleIndex]!.id).toBe(ruleId);
      expect(shownMessage(message.text)).toBe(findings[i]!.message);
      expect(locations[0]!.physicalLocation.region?.['byteOffset']).toBe(findings[i]!.at);
    }
    const prints = run.results.map(({ partialFingerprints }) => partialFingerprints);
    const isTwice = audits.filter(({ path }) => path === 'images/everything.qcow2').length === 2;
    expect(isTwice).toBe(true);
    expect(new Set(prints.map((one) => one['qsnapFinding/v1'])).size).toBeGreaterThan(10);
  });

  test('are valid JUnit, with a case for each broken rule', () => {
    const suites = junitOf([...audits, NOT_READ]);
    expect(suites.map(({ attributes }) => attributes['name'])).toEqual(
      [...audits, NOT_READ].map(({ path }) => path),
    );
    for (const [i, { report }] of audits.entries()) {
      const broken = new Set(report.findings.map(({ rule }) => `${rule.id} ${rule.name}`));
      const allowed = new Set(report.excepted.map(({ rule }) => `${rule.id} ${rule.name}`));
      const names = [...(broken.size === 0 ? ['audit'] : broken), ...allowed];
      expect(suites[i]!.children.map(({ attributes }) => attributes['name'])).toEqual(names);
      const text = suites[i]!.text;
      for (const { message } of [...report.findings, ...report.excepted]) {
        expect(text).toContain(message);
      }
    }
  });

  test('are a summary with a table for each image', () => {
    for (const one of audits) {
      const blocks = markdownOf([one]);
      const rows = blocks.filter((block) => typeof block !== 'string').slice(1);
      const { findings } = one.report;
      expect(blocks[1]).toBe(one.path);
      expect(rows).toHaveLength(Math.min(findings.length, 20));
      for (const [level, rule, message, offset] of rows) {
        const found = findings.find((other) => {
          const isRule = `${other.rule.id} ${other.rule.name}` === rule;
          const place = other.at === undefined ? '' : hexText(other.at);
          return isRule && other.message === message && place === offset;
        });
        expect(found?.level).toBe(level);
      }
    }
  });

  test('are a workflow command for each finding', () => {
    const names = { error: 'error', warning: 'warning', note: 'notice' };
    const commands = githubOf([...audits, NOT_READ]);
    expect(commands.slice(0, -1).map(({ name, data }) => [name, data.split('\n')[1]])).toEqual(
      all().map(({ level, rule }) => [names[level], helpOfRule(rule).remedy]),
    );
    for (const [i, { message }] of all().entries()) expect(commands[i]!.data).toContain(message);
  });

  test('give the same bytes again', () => {
    const texts = (results: readonly AuditResult[]): string[] => [
      ...[jsonText(auditSarif(results, VERSION)), auditJunit(results)],
      ...[auditMarkdown(results), auditGithub(results)],
    ];
    expect(texts(structuredCopy(audits))).toEqual(texts(audits));
  });
});

/** The same results with the members of their facts in another order. */
function structuredCopy(audits: readonly Audited[]): readonly Audited[] {
  return audits.map(({ path, report }) => ({
    path,
    report: {
      ...report,
      findings: report.findings.map((one) => {
        const { facts } = one;
        if (facts === undefined) return one;
        return { ...one, facts: Object.fromEntries(Object.entries(facts).reverse()) };
      }),
    },
  }));
}

describe.each([
  ['all that means anything anywhere', HOSTILE],
  ['characters that XML does not have', FOR_NO_XML],
])('%s', (_, message) => {
  const shown = oneSafeLine(message);
  const results: readonly AuditResult[] = [
    audited(message, [finding({ message, facts: { name: message } })]),
    { path: message, error: new QsnapError('OPEN_FAILED', message) },
  ];

  test('comes through SARIF', () => {
    const run = sarifOf(results);
    const [result, notification] = [
      run.results[0]!,
      run.invocations[0]!.toolExecutionNotifications[0]!,
    ];
    // Where a link would be, a backslash more or less.
    const plain = (text: string): string => text.replaceAll(/\\*\]\(/g, '](');
    for (const { message: found, locations } of [result, notification]) {
      expect(plain(shownMessage(found.text))).toBe(plain(shown));
      const { uri } = locations[0]!.physicalLocation.artifactLocation;
      expect(uri).toMatch(URI);
      expect(decodeURIComponent(uri)).toBe(message.toWellFormed().replaceAll('//', '/'));
    }
  });

  test('comes through JUnit', () => {
    const xml = shown.replaceAll(/[\ufffe\uffff]/g, '\ufffd');
    const [suite, failed] = junitOf(results);
    expect(suite!.attributes['name']).toBe(xml);
    const { attributes, children } = suite!.children[0]!;
    expect(attributes['classname']).toBe(xml);
    expect(children[0]!.attributes['message']).toBe(xml);
    expect(children[0]!.text.split('\n')[0]).toBe(`error: ${xml}`);
    expect(failed!.children[0]!.children[0]!.text).toBe(xml);
  });

  test('comes through Markdown, as far as it is shown', () => {
    const plain = shown.replaceAll(/[\ufffe\uffff]/g, '\ufffd');
    const cut = plain.length <= 300 ? plain : `${Array.from(plain).slice(0, 300).join('')}…`;
    expect(markdownOf(results)).toEqual([
      '2 images: 1 error, 0 warnings, 0 notes; 1 image could not be audited',
      cut,
      ['Level', 'Rule', 'Message', 'Offset'],
      ['error', 'QS1201 backing-file', cut, ''],
      cut,
      `Could not be audited (OPEN_FAILED): ${cut}`,
    ]);
  });

  test('comes through workflow commands', () => {
    const [one, failed, ...others] = githubOf(results);
    expect(others).toEqual([]);
    expect(one!.properties).toEqual({ file: shown, title: 'QS1201 backing-file' });
    expect(one!.data.split('\n')[0]).toBe(shown);
    expect(failed!.properties).toEqual({ file: shown, title: 'not audited (OPEN_FAILED)' });
    expect(failed!.data).toBe(shown);
  });
});

test.each(HOSTILE_PARTS)('%j comes through a cell of a table as it is', (message) => {
  const row = markdownOf([audited('a', [finding({ message, at: 60 })])]).at(-1);
  expect(row).toEqual(['error', 'QS1201 backing-file', oneSafeLine(message), '0x3c']);
});
