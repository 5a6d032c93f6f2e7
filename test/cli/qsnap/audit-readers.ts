/** Reads what the writers of audit reports wrote, each with a parser of its format, and holds it to the format. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sarif from '@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json' with { type: 'json' };
import Ajv from 'ajv-draft-04';
import { XmlDocument, XmlElement, XsdValidator } from 'libxml2-wasm';
import { marked } from 'marked';
import { expect } from 'vitest';
import { auditGithub } from '../../../src/cli/qsnap/present/audit-github.js';
import { auditJunit } from '../../../src/cli/qsnap/present/audit-junit.js';
import { auditMarkdown } from '../../../src/cli/qsnap/present/audit-markdown.js';
import { auditSarif } from '../../../src/cli/qsnap/present/audit-sarif.js';
import type { AuditResult } from '../../../src/cli/qsnap/present/audited.js';
import { jsonText } from '../../../src/cli/text.js';
import { VERSION } from '../../../src/cli/version.js';

interface Result {
  readonly ruleId: string;
  readonly ruleIndex: number;
  readonly level: string;
  readonly message: { readonly text: string };
  readonly locations: readonly {
    readonly physicalLocation: {
      readonly artifactLocation: { readonly uri: string };
      readonly region?: Readonly<Record<string, number>>;
    };
  }[];
  readonly partialFingerprints: Readonly<Record<string, string>>;
  readonly suppressions: readonly Readonly<Record<string, string>>[];
  readonly properties?: Readonly<Record<string, number>>;
}

interface Run {
  readonly tool: { readonly driver: { readonly version: string; readonly rules: Rules } };
  readonly invocations: readonly {
    readonly executionSuccessful: boolean;
    readonly toolExecutionNotifications: readonly Pick<Result, 'level' | 'message' | 'locations'>[];
  }[];
  readonly results: readonly Result[];
}
type Rules = readonly {
  readonly id: string;
  readonly help: { readonly text: string; readonly markdown: string };
  readonly defaultConfiguration: { readonly level: string };
}[];

/** RFC 3986, and no more. */
export const URI = /^(?:[\w\-.~:/?#[\]@!$&'()*+,;=]|%[\dA-F]{2})*$/;

// The schema is the one before the first edition, rtm.5. The last one, with errata, differs in this: a region has to
// begin somewhere, and languages have stricter names. `sarifOf` looks at regions.
const validate = new Ajv.default({
  strict: false,
  unicodeRegExp: false,
  allErrors: true,
  formats: { uri: URI, 'uri-reference': URI, 'date-time': /^never$/ },
}).compile(sarif);

/** The run, as a reader gets it from the file. */
export function sarifOf(results: readonly AuditResult[]): Run {
  const log = JSON.parse(jsonText(auditSarif(results, VERSION))) as {
    readonly runs: readonly Run[];
  };
  expect(validate(log) ? [] : validate.errors).toEqual([]);
  expect(log.runs).toHaveLength(1);
  for (const { locations } of log.runs[0]!.results) {
    const { region } = locations[0]!.physicalLocation;
    if (region !== undefined) expect(region).toHaveProperty('byteOffset');
  }
  return log.runs[0]!;
}

/** A message as a reader shows it that takes links and places of arguments as SARIF has them. */
export function shownMessage(text: string): string {
  expect(text.replaceAll(/\{\{|\}\}/g, '')).not.toMatch(/[{}]/);
  expect(text).not.toMatch(/\[(?:[^\\[\]]|\\[\\[\]])*\]\([^)]*\)/);
  return text.replaceAll('{{', '{').replaceAll('}}', '}');
}

/** An element of XML: its name, its attributes, its elements, and its text where it has none. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
  readonly text: string;
}

function xmlOf(text: string, look: (document: XmlDocument) => void = () => undefined): Element {
  const document = XmlDocument.fromString(text);
  try {
    look(document);
    return elementOf(document.root);
  } finally {
    document.dispose();
  }
}

function elementOf(element: XmlElement): Element {
  const children: Element[] = [];
  for (let node = element.firstChild; node !== null; node = node.next) {
    if (node instanceof XmlElement) children.push(elementOf(node));
  }
  const attributes = Object.fromEntries(element.attrs.map(({ name, value }) => [name, value]));
  return { name: element.name, attributes, children, text: element.content };
}

const JUNIT = readFileSync(fileURLToPath(new URL('junit.xsd', import.meta.url)), 'utf8');

/** The suites, after their shape and their counts have been looked at. */
export function junitOf(results: readonly AuditResult[]): readonly Element[] {
  const root = xmlOf(auditJunit(results), (document) => {
    const grammar = XmlDocument.fromString(JUNIT);
    const validator = XsdValidator.fromDoc(grammar);
    validator.validate(document);
    validator.dispose();
    grammar.dispose();
  });
  for (const suite of [...root.children, { ...root, children: root.children.flatMap(casesOf) }]) {
    const has = (name: string): number =>
      suite.children.filter((one) => one.children.some((child) => child.name === name)).length;
    const { tests, failures, errors } = suite.attributes;
    expect([tests, failures, errors].map(Number)).toEqual([
      suite.children.length,
      has('failure'),
      has('error'),
    ]);
    if (suite.name === 'testsuite') expect(suite.attributes['skipped']).toBe(`${has('skipped')}`);
  }
  return root.children;
}

const casesOf = ({ children }: Element): readonly Element[] => children;

/** All elements that a summary may have: none that leads anywhere, shows anything or runs. */
const PLAIN = ['summary', 'p', 'strong', 'h3', 'code', 'table', 'thead', 'tbody', 'tr', 'th', 'td'];

/** A summary as a page shows it: its paragraphs, headings and rows, those with the texts of their cells. */
export function markdownOf(results: readonly AuditResult[]): readonly (string | string[])[] {
  const html = marked.parse(auditMarkdown(results), { async: false, gfm: true });
  const blocks: (string | string[])[] = [];
  const visit = (element: Element): void => {
    expect(PLAIN).toContain(element.name);
    expect(Object.keys(element.attributes).filter((name) => name !== 'align')).toEqual([]);
    if (element.name === 'tr') blocks.push(element.children.map(({ text }) => text));
    else if (element.name === 'p' || element.name === 'h3') blocks.push(element.text);
    element.children.forEach(visit);
  };
  visit(xmlOf(`<summary>${html.replaceAll(/[\ufffe\uffff]/g, '\ufffd')}</summary>`));
  return blocks;
}

/** A workflow command. */
export interface Command {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly data: string;
}

/** Commands as GitHub's runner takes them from its output, line by line. */
export function githubOf(results: readonly AuditResult[]): readonly Command[] {
  const text = auditGithub(results);
  if (text === '') return [];
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split(/\r\n|\r|\n/)
    .map((line) => {
      const [, name, properties, data] = /^::(\w+) (.*?)::(.*)$/su.exec(line)!;
      const pairs = properties!.split(',').map((pair) => {
        const [key, ...value] = pair.split('=');
        return [key!, unescaped(value.join('='), '%0D', '%0A', '%3A', '%2C', '%25')] as const;
      });
      const shown = unescaped(data!, '%0D', '%0A', '%25');
      return { name: name!, properties: Object.fromEntries(pairs), data: shown };
    });
}

/** One after the other, the percent sign last, as the runner does it. */
function unescaped(text: string, ...codes: readonly string[]): string {
  return codes.reduce((all, code) => all.replaceAll(code, decodeURIComponent(code)), text);
}
