import { pino } from 'pino';
import { expect, it } from 'vitest';
import { UnreadProcesses } from '../../src/haproxy/unread-processes.ts';
import { readProcessStat } from '../../src/os/process-stat.ts';
import { requireComponent } from '../support/require-component.ts';

it('takes a process with the number of one that was read to its end for another one (invariant 2)', async (test) => {
  const own = readProcessStat(process.pid);
  requireComponent('/proc of Linux', own !== undefined, test);
  if (own === undefined) return;
  const unread = new UnreadProcesses(pino({ level: 'silent' }));
  expect(await unread.portsOf([own], [])).toHaveLength(1);
  expect(await unread.portsOf([own], [own.pid])).toEqual([]);
  unread.finished(own);
  expect(await unread.portsOf([own], [])).toEqual([]);
  expect(await unread.portsOf([{ ...own, started: own.started + 1 }], [])).toHaveLength(1);
});
