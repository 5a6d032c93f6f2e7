/** All the ways in which a policy file can be wrong: the printed text, with line and column. */
import { describe, expect, test } from 'vitest';
import { mistakesIn } from './policy-harness.js';

/** A file, and the lines without its name. */
const MISTAKES: readonly (readonly [title: string, text: string, ...lines: string[]])[] = [
  [
    'an empty file',
    '',
    '1:1: a policy is a map with extends, rules, exceptions; this file is empty',
  ],
  [
    'comments alone',
    '# nothing\n\n',
    '1:1: a policy is a map with extends, rules, exceptions; this file is empty',
  ],
  [
    'a document without content',
    '---\n',
    '1:4: a policy is a map with extends, rules, exceptions; this file is empty',
  ],
  [
    'a text in place of a map',
    'rules',
    '1:1: a policy is a map with extends, rules, exceptions; found "rules"',
  ],
  [
    'a list in place of a map',
    '- rules\n',
    '1:1: a policy is a map with extends, rules, exceptions; found a list',
  ],
  [
    'an unknown key',
    'rule: {}\nexempt: []\n',
    '1:1: a policy has no key "rule"; did you mean "rules"?',
    '2:1: a policy has no key "exempt"; there is extends, rules, exceptions',
  ],
  [
    'an unknown rule',
    'rules:\n  snapshot: error\n  something-else: error\n  qs1101: error\n',
    '2:3: there is no rule "snapshot"; did you mean "snapshots"?',
    '3:3: there is no rule "something-else"',
    '4:3: there is no rule "qs1101"; did you mean "QS1101"?',
  ],
  [
    'rules that are a list',
    'rules: [snapshots]\n',
    '1:8: rules is a map, such as snapshots: error; found a list',
  ],
  [
    'a rule twice, by name and id',
    'rules:\n  snapshots: error\n  QS1101: note\n',
    '3:3: snapshots and QS1101 are one rule, and line 2 has it already',
  ],
  [
    'a key twice',
    'rules:\n  snapshots: error\n  snapshots: note\nrules: {}\n',
    '3:3: the key "snapshots" is in line 2 already',
    '4:1: the key "rules" is in line 1 already',
  ],
  [
    'a level that there is not',
    'rules:\n  snapshots: eror\n  leaks: true\n  dirty: [error]\n  slack:\n  vm-state: Error\n',
    '2:14: the level of snapshots is one of off, note, warning, error; found "eror"; did you mean "error"?',
    '3:10: the level of leaks is one of off, note, warning, error; found "true"',
    '4:10: the level of dirty is one of off, note, warning, error; found a list',
    '5:9: the level of slack is one of off, note, warning, error; found nothing',
    '6:13: the level of vm-state is one of off, note, warning, error; found "Error"; did you mean "error"?',
  ],
  [
    'no level',
    'rules:\n  disk-size: { max: 2T }\n',
    '2:3: the rule disk-size has no level; write { level: error, … }',
  ],
  [
    'a level that there is not, in a map',
    'rules:\n  disk-size: { level: fatal, max: 2T }\n',
    '2:23: the level of disk-size is one of off, note, warning, error; found "fatal"',
  ],
  [
    'an unknown option',
    'rules:\n  disk-size: { level: error, maxx: 2T }\n  snapshots: { level: error, colour: red }\n  leaks: { level: error, max: 1 }\n  vm-state: { level: error, max: 1 }\n',
    '2:30: the rule disk-size has no key "maxx"; did you mean "max"?',
    '3:30: the rule snapshots has no key "colour"; there is level, max',
    '4:26: the rule leaks has no key "max"; there is level, except',
    '5:29: the rule vm-state has no key "max"; there is level',
  ],
  [
    'a size that is none',
    'rules:\n  disk-size:\n    level: error\n    min: -1\n    max: 2X\n  file-size: { level: error, max: 99999P, min: [1] }\n',
    '4:10: min of disk-size is a size in bytes, such as 64k, 2T or 4096; found "-1"',
    '5:10: max of disk-size is a size in bytes, such as 64k, 2T or 4096; found "2X"',
    '6:35: max of file-size is a size in bytes, such as 64k, 2T or 4096; found "99999P"',
    '6:48: min of file-size is a size in bytes, such as 64k, 2T or 4096; found a list',
  ],
  [
    'a count that is none',
    'rules:\n  snapshots: { level: error, max: -1 }\n  fragmentation: { level: error, max: 1.5 }\n  luks-slots: { level: error, max: 99999999999999999 }\n',
    '2:35: max of snapshots is a whole number, such as 0 or 10; found "-1"',
    '3:39: max of fragmentation is a whole number, such as 0 or 10; found "1.5"',
    '4:36: max of luks-slots is a whole number, such as 0 or 10; found "99999999999999999"',
  ],
  [
    'an age that is none',
    'rules:\n  snapshot-age: { level: error, max: 30 }\n',
    '2:38: max of snapshot-age is an age, such as 12h, 30d, 8w or 1y; found "30"',
  ],
  [
    'an age of nothing',
    'rules:\n  snapshot-age: { level: error, max: 0d }\n',
    '2:38: max of snapshot-age is an age, such as 12h, 30d, 8w or 1y; found "0d"',
  ],
  [
    'a list that is none',
    'rules:\n  snapshot-names: { level: error, deny: tmp-*, allow: [] }\n',
    '2:41: deny of snapshot-names is a list in brackets, such as [a, b]; found "tmp-*"',
    '2:55: allow of snapshot-names is an empty list; write at least one, or leave it out',
  ],
  [
    'a list of something else',
    'rules:\n  snapshot-names: { level: error, deny: [a, [b], {c: d}, ~] }\n',
    '2:45: deny of snapshot-names is a list of texts; found a list',
    '2:50: deny of snapshot-names is a list of texts; found a map',
    '2:58: deny of snapshot-names is a list of texts; found nothing',
  ],
  [
    'a pattern that is none',
    "rules:\n  snapshot-names: { level: error, deny: [''] }\n",
    '2:42: deny of snapshot-names: a pattern has 1 to 1024 characters; found an empty one',
  ],
  [
    'a word that there is not',
    'rules:\n  readable-by: { level: error, readers: [libqcow, 7zip, nobody] }\n',
    '2:51: readers of readable-by can not be "7zip"; did you mean "7-zip"?',
    '2:57: readers of readable-by can not be "nobody"; there is openstack, nbdkit, 7-zip, libqcow, xmount, imago',
  ],
  [
    'least above most',
    'rules:\n  disk-size: { level: error, min: 2T, max: 1T }\n',
    '2:44: max of disk-size is 1099511627776, which is below min, 2199023255552',
  ],
  [
    'most below what is least by default',
    'rules:\n  cluster-size: { level: error, max: 1k }\n',
    '2:38: max of cluster-size is 1024, which is below min, 4096, which it is by default',
  ],
  [
    'exceptions that are a map',
    'exceptions: { rule: leaks }\n',
    '1:13: exceptions is a list, each begun with "-"; found a map',
  ],
  [
    'an exception that is no map',
    'exceptions: [leaks]\n',
    '1:14: an exception is a map with rule, reason and until; found "leaks"',
  ],
  [
    'an exception without all that it needs',
    'exceptions:\n  - rule: leaks\n  - {}\n',
    '2:5: this exception has no reason; write why it is allowed',
    '2:5: this exception has no until; write the last day on which it holds, such as 2026-12-31',
    '3:5: this exception has no rule; write the name or id of the rule',
    '3:5: this exception has no reason; write why it is allowed',
    '3:5: this exception has no until; write the last day on which it holds, such as 2026-12-31',
  ],
  [
    'an exception with empty parts',
    "exceptions:\n  - rule:\n    reason: ' '\n    until:\n    images: []\n",
    '2:10: rule is the name or id of a rule; found nothing',
    '3:13: reason says why it is allowed; found " "',
    '4:11: until is nothing; write a day, such as 2026-12-31',
    '5:13: images of an exception is an empty list; write at least one, or leave it out',
  ],
  [
    'an exception from an unknown rule',
    'exceptions:\n  - { rule: leeks, reason: x, until: 2026-12-31 }\n',
    '2:13: there is no rule "leeks"; did you mean "leaks"?',
  ],
  [
    'an exception with an unknown key',
    'exceptions:\n  - { rule: leaks, reason: x, until: 2026-12-31, image: [a] }\n',
    '2:50: an exception has no key "image"; did you mean "images"?',
  ],
  [
    'days that there are not',
    'exceptions:\n  - { rule: leaks, reason: x, until: 2026-02-30 }\n  - { rule: leaks, reason: x, until: 2026-13-01 }\n  - { rule: leaks, reason: x, until: tomorrow }\n  - { rule: leaks, reason: x, until: 2026-12-31T00:00:00Z }\n  - { rule: leaks, reason: x, until: [2026-12-31] }\n',
    '2:38: until is "2026-02-30"; there is no such day',
    '3:38: until is "2026-13-01"; there is no such day',
    '4:38: until is "tomorrow"; write a day, such as 2026-12-31',
    '5:38: until is "2026-12-31T00:00:00Z"; write a day, such as 2026-12-31',
    '6:38: until is a list; write a day, such as 2026-12-31',
  ],
  [
    'an unknown profile',
    'extends: [untrusted-uploads, base.yaml]\n',
    '1:11: "untrusted-uploads" is no profile; did you mean "untrusted-upload"?',
    '1:30: "base.yaml" is no profile; there is untrusted-upload, golden-image, evidence, host-backup, and a file is written "./…"',
  ],
  [
    'extends that is no list',
    'extends: evidence\n',
    '1:10: extends is a list in brackets, such as [a, b]; found "evidence"',
  ],
  [
    'a profile twice',
    'extends: [evidence, evidence]\n',
    '1:21: "evidence" is extended already, a second time changes nothing',
  ],
  [
    'a file that is not there',
    'extends: [./none.yaml, "./a\\0b"]\n',
    "1:11: \"./none.yaml\" can't be read: ENOENT: no such file or directory, lstat 'none.yaml'",
    "1:24: \"./a\\x00b\" can't be read: The argument 'path' must be a string, Uint8Array, or URL without null bytes. Received 'a\\x00b'",
  ],
  [
    'a file that extends itself',
    'extends: [./policy.yaml]\n',
    '1:11: "./policy.yaml" leads back to itself; no policy can extend itself',
  ],
  ['a folder', 'extends: [./]\n', '1:11: "./" is no regular file'],
  [
    'a tab',
    'rules:\n\tsnapshots: error\n\tleeks: error\n',
    '2:1: a tab indents nothing in YAML; write spaces',
    '3:1: a tab indents nothing in YAML; write spaces',
  ],
  [
    'an alias of nothing, as patterns without quotes are',
    'exceptions:\n  - { rule: leaks, images: [*.qcow2], reason: x, until: 2026-12-31 }\n',
    '2:29: "*.qcow2" stands for nothing before it; a text that begins with * is written in quotes',
  ],
  [
    'an alias alone',
    'rules:\n  snapshot-names: { level: error, deny: [*] }\n',
    '2:42: a text that begins with * is written in quotes',
  ],
  [
    'an alias within what it stands for',
    'rules: &r\n  snapshots: *r\n  disk-size: { level: error, max: *r }\n',
    '2:3: the rule snapshots has no key "snapshots"; there is level, max',
    '2:3: the rule snapshots has no level; write { level: error, … }',
    '2:3: max of disk-size is a size in bytes, such as 64k, 2T or 4096; found a map',
    '3:3: the rule snapshots has no key "disk-size"; there is level, max',
  ],
  [
    'a merged map',
    'rules:\n  disk-size: &d { level: error, max: 1T }\n  file-size: { <<: *d, min: 1M }\n',
    '3:3: the rule file-size has no level; write { level: error, … }',
    '3:16: the rule file-size has no key "<<"; there is level, min, max',
  ],
  [
    'a tag',
    'rules:\n  snapshots: !level error\n  leaks: !!int 5\n  slack: !!binary aGk=\n',
    '2:14: a policy has no tags; take the one that begins with "!" away',
    '3:10: a policy has no tags; take the one that begins with "!" away',
    '3:16: the level of leaks is one of off, note, warning, error; found "5"',
    '4:10: a policy has no tags; take the one that begins with "!" away',
    '4:19: the level of slack is one of off, note, warning, error; found "aGk="',
  ],
  [
    'a directive',
    '%FOO bar\n---\nrules: { leeks: error }\n',
    '1:1: a policy has no directives; take this line out',
    '3:10: there is no rule "leeks"; did you mean "leaks"?',
  ],
  [
    'several documents',
    'rules: { leaks: error }\n---\nrules: { leeks: error }\n',
    '2:1: a second document begins here; a policy is one document',
  ],
  [
    'a key that is no text',
    'rules:\n  ? [a]\n  : error\n  ? {b: c}\n  : error\n  : error\n',
    '2:5: a key is a text; found a list',
    '4:5: a key is a text; found a map',
    '6:1: a key is a text; found nothing',
  ],
  [
    'a map in a line',
    'rules: snapshots: error\n',
    '1:8: this is neither YAML nor JSON: nested mappings are not allowed in compact mappings',
  ],
  [
    'a list without its end',
    'extends: [evidence\nrules: {}\n',
    '2:1: this is neither YAML nor JSON: flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  [
    'a text without its end',
    'rules: { leaks: "error }\n',
    '2:1: this is neither YAML nor JSON: missing closing "quote',
  ],
  [
    'what YAML keeps for itself',
    'rules: { leaks: @error }\n',
    '1:17: no text begins with this character, unless it is written in quotes',
  ],
  [
    'two things in one line',
    'rules: {} {}\n',
    '1:11: this is neither YAML nor JSON: unexpected flow-map-start at node end',
    '1:12: this is neither YAML nor JSON: unexpected flow-map-end token in YAML stream: "}"',
  ],
  [
    'a wrong indent',
    'rules:\n   leaks: error\n  dirty: error\n',
    '3:1: this is neither YAML nor JSON: all mapping items must start at the same column',
  ],
  [
    'no space behind a colon',
    'rules:\n  leaks:error\n',
    '2:3: rules is a map, such as snapshots: error; found "leaks:error"',
  ],
  [
    'texts that a terminal must not be given',
    'rules:\n  "\\e[31m\\u202e\\n": error\n',
    '2:3: there is no rule "\\x1b[31m\\u{202e}\\n"',
  ],
  [
    'all mistakes at once',
    'rule: x\nrules:\n  leeks: error\n  disk-size: { level: bad, max: 2X }\nexceptions:\n  - rule: nothing\n',
    '1:1: a policy has no key "rule"; did you mean "rules"?',
    '3:3: there is no rule "leeks"; did you mean "leaks"?',
    '4:23: the level of disk-size is one of off, note, warning, error; found "bad"',
    '4:33: max of disk-size is a size in bytes, such as 64k, 2T or 4096; found "2X"',
    '6:5: this exception has no reason; write why it is allowed',
    '6:5: this exception has no until; write the last day on which it holds, such as 2026-12-31',
    '6:11: there is no rule "nothing"',
  ],
];

describe('a mistake', () => {
  test.each(MISTAKES)('%s', async (_, text, ...lines) => {
    const [head, ...told] = await mistakesIn(text);
    expect(told).toEqual(lines.map((line) => `policy.yaml:${line}`));
    const count = lines.length === 1 ? '1 mistake' : `${lines.length} mistakes`;
    expect(head).toBe(`qsnap: policy.yaml is no policy: ${count}`);
  });
});
