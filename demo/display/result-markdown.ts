import type { DemoResult } from '../result.ts';
import { efficacyRows, totalRows } from './result-table.ts';

/** The result as Markdown; the upgrade itself has a report of its own. */
export function resultMarkdown(result: DemoResult): string {
  const [head = [], ...rows] = efficacyRows(result);
  const sections = [
    `# Demo: ${result.ok ? 'nothing was lost, nothing was cut' : 'failed'}`,
    ...result.problems.map((problem) => `- ${problem}`),
    table(['', ''], totalRows(result)),
    table(head, rows),
    result.countsAgree
      ? 'Gateways and clients counted the same.'
      : 'Gateways and clients did not count the same.',
  ];
  return `${sections.join('\n\n')}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
