import {
  DOMImplementation,
  DOMParser,
  XMLSerializer,
  type Document,
  type Element,
} from '@xmldom/xmldom';

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

/** The elements that a path of names leads to, child by child. */
export function childrenAt(parent: Document | Element, ...names: readonly string[]): Element[] {
  return names.reduce<(Document | Element)[]>(
    (level, name) => level.flatMap((one) => childrenOf(one, name)),
    [parent],
  ) as Element[];
}

function childrenOf(parent: Document | Element, name: string): readonly Element[] {
  const found: Element[] = [];
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) {
    if (node.nodeName === name) found.push(node as Element);
  }
  return found;
}

/** An element with a text, as XML has it. */
export function elementText(name: string, text: string): string {
  const document = new DOMImplementation().createDocument(null, name);
  document.documentElement!.textContent = text;
  return new XMLSerializer().serializeToString(document);
}
