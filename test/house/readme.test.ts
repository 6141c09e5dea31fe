import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const README = await readFile(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');
const BLOCKS = [...README.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = '']) => text.split('\n'));

/** The ports of an embedded gateway's command, with those that it has unless it is told otherwise. */
function portsOf(command: string): string[] {
  const option = (name: string, otherwise: string): string =>
    new RegExp(` --${name} (\\S+)`).exec(command)?.[1] ?? otherwise;
  return [option('listen', '0.0.0.0:8080'), option('admin', '127.0.0.1:7080')].map(
    (address) => address.split(':')[1] ?? '',
  );
}

test('gateways that the README starts one after the other do not take each other’s ports', () => {
  const together = BLOCKS.map((lines) => lines.filter((line) => line.startsWith('changeover gateway ')));
  expect(together.some((commands) => commands.length > 1)).toBe(true);
  for (const commands of together) {
    const ports = commands.flatMap(portsOf);
    expect(ports).toEqual([...new Set(ports)]);
  }
});
