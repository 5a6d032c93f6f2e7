/** Digital Forensics XML: what all documents of it have in common. Elements of qsnap's own are in a namespace of theirs. */
import { oneSafeLine } from '../../text.js';
import { escapedXml } from './svg.js';

/**
 * The schema that the documents keep to: the order of elements is that of its types. Those of qsnap's own come last in a
 * file object, which 1.1.1, 1.2.0 and 2.0.0-beta.0 all allow.
 */
const DFXML_VERSION = '1.1.1';

const NAMESPACES = [
  'xmlns="http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML"',
  'xmlns:dc="http://purl.org/dc/elements/1.1/"',
  'xmlns:qsnap="urn:qsnap:dfxml:1"',
].join(' ');

/** An element with text, or none where there is nothing to say. */
export function element(
  name: string,
  value: string | number | bigint | undefined,
  attributes: Readonly<Record<string, string | number>> = {},
): string {
  if (value === undefined) return '';
  return `<${name}${attributesText(attributes)}>${safe(String(value))}</${name}>`;
}

/** An element of other elements, a line for each. */
export function parent(
  name: string,
  children: readonly string[],
  attributes: Readonly<Record<string, string | number>> = {},
): string {
  const lines = children.filter((child) => child !== '');
  const inside = lines.flatMap((child) => child.split('\n')).map((line) => `  ${line}\n`);
  return `<${name}${attributesText(attributes)}>\n${inside.join('')}</${name}>`;
}

/** What stands before the file objects. `type` says what the document is, `version` is that of qsnap. */
export function dfxmlBegin(type: string, version: string): string {
  const metadata = parent('metadata', [element('dc:type', type)]);
  const program = [element('program', 'qsnap'), element('version', version)];
  const creator = parent('creator', program, { version: '1.0' });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<dfxml ${NAMESPACES} version="${DFXML_VERSION}">`,
    ...[metadata, creator].flatMap((one) => one.split('\n')).map((line) => `  ${line}`),
    '',
  ].join('\n');
}

export const DFXML_END = '</dfxml>\n';

/** One file object, with a line break at its end. */
export function fileObject(children: readonly string[]): string {
  const lines = parent('fileobject', children).split('\n');
  return lines.map((line) => `  ${line}\n`).join('');
}

function attributesText(attributes: Readonly<Record<string, string | number>>): string {
  return Object.entries(attributes)
    .map(([name, value]) => ` ${name}="${safe(String(value))}"`)
    .join('');
}

function safe(text: string): string {
  return escapedXml(oneSafeLine(text));
}
