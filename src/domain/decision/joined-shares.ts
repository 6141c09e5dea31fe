/** Joins the names of versions whose share is known only of all together: no version has a blank in it. */
const TOGETHER = ' + ';

export function together(versions: readonly string[]): string {
  return versions.join(TOGETHER);
}

/** Units of versions, added up where their share is that of several together. */
export function unitsByShare(
  units: Readonly<Record<string, number>>,
  shares: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const sumOf = (joined: string): number =>
    joined.split(TOGETHER).reduce((sum, version) => sum + (units[version] ?? 0), 0);
  return Object.fromEntries(Object.keys(shares).map((joined) => [joined, sumOf(joined)]));
}
