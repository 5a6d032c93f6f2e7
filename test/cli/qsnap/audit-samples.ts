/** Audits of all fixtures by all built-in policies, and messages that no image would bring: what writers of reports get. */
import {
  auditImage,
  findRule,
  memoryDevice,
  PROFILE_NAMES,
  profileOf,
  QsnapError,
} from '../../../src/index.js';
import type { AuditFinding, AuditPolicy } from '../../../src/index.js';
import type { Audited, AuditResult } from '../../../src/cli/qsnap/present/audited.js';
import { fixtureNames, loadFixture } from '../../support/fixture.js';

/** Seconds since the Epoch. */
const NOW = 1_790_000_000;

/** What any of the formats gives a meaning, and what none may let through. */
export const HOSTILE_PARTS = [
  ...['%0A%25', '::error file=x,title=y::z', '##[error]z', '\r\n::add-mask::z', 'a:b,c=d'],
  ...['{0}', '}{', '[x](https://example.org)', '[x\\](1)', '[x\\\\](1)', '![x](y)', '{{x}}'],
  ...['<script>alert(1)</script>', '<!-- x -->', ']]>', '<![CDATA[', '&amp;&#64;', '"\'`', '```'],
  ...['| x | \\| y \\\\|', '**x** _x_ ~~x~~', '# x', '#1', '@someone', 'x@example.org', ':tada:'],
  ...['www.example.org WWW.example.org https://example.org', '$x$', '- x', '1. x', '---', '\\'],
  ...['\0\x01\x08\t\n\v\f\r\x1b[31m\x7f\x85\x9b', '\u2028\u2029', '\u202e\u200b\ufeff'],
  ...['\ud800', '\udc00x', 'é 漢 😀', '\u{10ffff}', ' x '],
];
export const HOSTILE = HOSTILE_PARTS.join(' ');

/** What XML can not hold in any way, besides control characters. */
export const FOR_NO_XML = 'a\ufffeb\uffffc';

/** A violation of the rule `backing-file`, but for what is said otherwise. */
export function finding(changes: Partial<AuditFinding> = {}): AuditFinding {
  const message = 'the backing file "base" is not allowed';
  return { rule: findRule('backing-file')!, level: 'error', message, ...changes };
}

/** An image with these findings. */
export function audited(path: string, findings: readonly AuditFinding[]): Audited {
  return { path, report: { findings, excepted: [], unopened: undefined, isCorrupt: false } };
}

/** Audits of every fixture: as the profile says, and with all that it finds in two rules allowed. */
export async function fixtureAudits(profile: (typeof PROFILE_NAMES)[number]): Promise<Audited[]> {
  const policy = profileOf(profile);
  const exceptions = ['snapshots', 'vm-state'].map((name) => ({
    rule: findRule(name)!.id,
    images: undefined,
    reason: 'the installer needs it, <see> the ticket',
    until: NOW + 1,
  }));
  const results: Audited[] = [];
  for (const name of fixtureNames()) {
    results.push(await auditOf(name, policy));
    if (name === 'everything') results.push(await auditOf(name, { ...policy, exceptions }));
  }
  return results;
}

async function auditOf(name: string, policy: AuditPolicy): Promise<Audited> {
  const path = `images/${name}.qcow2`;
  const report = await auditImage(memoryDevice(loadFixture(name)), policy, { now: NOW, path });
  return { path, report };
}

export const NOT_READ: AuditResult = {
  path: 'images/gone.qcow2',
  error: new QsnapError('OPEN_FAILED', 'no such file'),
};
