/** Calls that no file of the program makes, since each went wrong once. */
import ts from 'typescript';
import { expect, test } from 'vitest';
import { filesBelow, placesOf } from './source-tree.js';

const SRC = filesBelow('src');

const places = (rule: (node: ts.Node) => boolean): string[] =>
  SRC.flatMap((path) => placesOf(path, rule));

test('what is parsed from JSON is of no known type: nobody calls it what it should be', () => {
  const believed = (node: ts.Node): boolean =>
    ts.isAsExpression(node) && /^JSON\.parse\(/.test(node.expression.getText());
  expect(places(believed)).toEqual([]);
});

test('bytes are compared by words: a call for each byte takes twenty times as long', () => {
  const slow = (node: ts.Node): boolean =>
    ts.isCallExpression(node) &&
    /\.(every|some)\(\(byte(, \w+)?\) => byte [!=]== (0|\w+\[\w+\])\)$/.test(node.getText());
  expect(places(slow)).toEqual([]);
});

/** Where nobody is hurt by what goes on after a failure: the system is asked about files, and that is all. */
const LEFT_ALONE: Readonly<Record<string, string>> = {
  'src/node/files/host-room.ts': 'how much room there is',
  'src/node/files/identity.ts': 'which file has the name',
  'src/node/files/proc-locks.ts': 'who has which lock',
};

test('what is begun together is waited for together, whichever fails', () => {
  const unsettled = (node: ts.Node): boolean =>
    ts.isPropertyAccessExpression(node) && /^Promise\.(all|race|any)$/.test(node.getText());
  const users = SRC.filter((path) => placesOf(path, unsettled).length > 0);
  expect(users.toSorted()).toEqual(Object.keys(LEFT_ALONE).toSorted());
});
