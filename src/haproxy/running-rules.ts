import type { Logger } from 'pino';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import { MARKS, type Marks, marksOf } from './layout.ts';
import type { RuntimeConnection } from './runtime-api.ts';

/** Rules are text of the configuration: a table that counts by others must not be executed as if it were the same. */
export async function refuseOtherRules(
  connection: RuntimeConnection,
  table: RouteTable,
  logger: Logger,
): Promise<void> {
  const names = Object.keys(MARKS) as (keyof Marks)[];
  const answers = await connection.send(names.map((name) => `show env ${MARKS[name]}`));
  const wanted = marksOf({
    key: table.split?.key ?? { from: 'header', name: '-' },
    policy: table.split?.policy.kind ?? 'tail',
    transactions: table.transactions,
    measure: table.measure,
  });
  const differing = names.filter((name, index) => {
    const running = /=(.*)$/m.exec(answers[index] ?? '')?.[1]?.trim() ?? '';
    return decodeURIComponent(running) !== wanted[name];
  });
  if (differing.length === 0) return;
  if (table.split === null) {
    // Without a trial nothing is decided by them, and a plan's rules come into effect with its trial.
    logger.debug({ differing }, 'the configuration has other rules than these routes');
    return;
  }
  throw new ChangeoverError(
    'InvalidRequest',
    `HAProxy's configuration was rendered for another ${differing.join(', ')} than these routes have; run \`changeover haproxy render\` for the plan and reload it (\`changeover haproxy check\` shows what differs).`,
  );
}
