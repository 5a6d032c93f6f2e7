/** Characters that no XML document may hold, not even as a reference. XML 1.0, section 2.2. */
const FORBIDDEN = /[\u{fffe}\u{ffff}]/gu;

/** Text as XML has it, between tags and in attributes. It holds no control characters. */
export function escapedXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(FORBIDDEN, '\ufffd');
}
