import { DOMParser, type Document, type Element } from '@xmldom/xmldom';

/** @throws Error where it is no XML. */
export function parseXml(text: string): Document {
  const parser = new DOMParser({
    onError: (level, message) => {
      if (level !== 'warning') throw new Error(message);
    },
  });
  return parser.parseFromString(text, 'text/xml');
}

/** Elements of this name, however deep they lie. */
export function elementsIn(parent: Document | Element, name: string): readonly Element[] {
  return [...parent.getElementsByTagName(name)];
}

/** The text of the first element of this name. */
export function textIn(parent: Document | Element, name: string): string | undefined {
  return elementsIn(parent, name)[0]?.textContent ?? undefined;
}
