/** What begins markup of GitHub's Markdown, its links without brackets, its emoji, formulas and references. */
const SPECIAL = /[&<>\\`*_[\]|~:@$#]|(?<=www)\./gi;

/**
 * One line of text as Markdown shows it. Numbers of characters stand for what could be markup: unlike backslashes they
 * hold in cells of tables, too.
 */
export function escapedMarkdown(text: string): string {
  return text.replace(SPECIAL, (character) => `&#${character.charCodeAt(0)};`);
}

/**
 * Text of strangers: nothing in it becomes a link, a picture, a mention or HTML. It holds no line breaks and no control
 * characters.
 */
export function foreignMarkdown(text: string): string {
  // GitHub looks for mail addresses after it has put characters for their numbers; the comment parts them.
  return `<code>${escapedMarkdown(text).replaceAll('&#64;', '&#64;<!-- -->')}</code>`;
}
