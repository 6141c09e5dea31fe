import { isSlot } from './layout.ts';
import { readColumns, readServerStats, type ServerStat } from './runtime-answers.ts';
import type { RuntimeConnection } from './runtime-api.ts';

/** The backends themselves: of the columns of `show stat` there is no choice, of its lines there is. */
const BACKENDS = 'show stat -1 2 -1';

/**
 * The servers of a service's slots, those left out of which there is nothing to say: nobody has the slot, and nobody was
 * ever sent to it. Each slot has all servers, so that with thousands of them the empty slots would be most of the answer.
 *
 * @param inUse - slots that a release has, by the names of their backends.
 * @throws ChangeoverError `GatewayUnreachable`
 */
export async function readSlots(
  connection: RuntimeConnection,
  { service, inUse }: { service: string; inUse: ReadonlyMap<string, string> },
): Promise<ServerStat[]> {
  const [backends = ''] = await connection.send([BACKENDS]);
  const asked = readColumns(backends, ['pxname', 'iid', 'stot', 'scur', 'qcur'])
    .filter(([backend, id]) => isSlot(service, { backend, backendId: Number(id) }))
    .filter(([name, , ...numbers]) => inUse.has(name) || numbers.some((number) => Number(number) > 0));
  const answers = await connection.send(asked.map(([name]) => `show stat ${name} 4 -1`));
  return answers.flatMap(readServerStats);
}
