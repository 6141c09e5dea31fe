/** Names that are separated by commas. */
export function parseList(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}
