/** Reads DFXML, and holds it to the schema of what qsnap writes. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { XmlDocument, XsdValidator } from 'libxml2-wasm';

const SCHEMA = readFileSync(fileURLToPath(new URL('dfxml.xsd', import.meta.url)), 'utf8');
const NAMES = { d: 'http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML' };

/** @returns by file name: the text of the other elements of a file object, by their names without prefix. */
export function fileObjectsOf(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  using schema = XmlDocument.fromString(SCHEMA);
  using validator = XsdValidator.fromDoc(schema);
  using document = XmlDocument.fromString(text);
  validator.validate(document);
  return new Map(
    document.find('/d:dfxml/d:fileobject', NAMES).map((object) => {
      const name = object.get('d:filename', NAMES)!.content;
      const children = object.find('*').map((child) => {
        return [child.eval('local-name()') as string, child.content] as const;
      });
      return [name, new Map(children)];
    }),
  );
}
