import type { Logger } from 'pino';
import { AMOUNT_DECIMALS } from '../domain/amount.ts';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import {
  ACCOUNT_KEPT_MS,
  accountOf,
  MARKS,
  type Marks,
  marksOf,
  RULES_VERSION,
  UNIT_KEPT_MS,
} from './layout.ts';
import type { RuntimeConnection } from './runtime-api.ts';

/** Data of this companion means something else to rules of another version, whatever the table says. */
export async function refuseRulesOfAnother(connection: RuntimeConnection): Promise<void> {
  const [answer = ''] = await connection.send([`show env ${MARKS.rules}`]);
  refuseVersion(markIn(answer));
}

function refuseVersion(running: string): void {
  if (running === RULES_VERSION) return;
  throw new ChangeoverError(
    'InvalidRequest',
    `HAProxy's configuration was rendered by another Changeover: its rules are of version ${running === '' ? 'none' : running}, this one's of ${RULES_VERSION}. Render it anew (\`changeover haproxy render\`), bring its files up to date (\`changeover haproxy sync\`), and reload it.`,
  );
}

function markIn(answer: string): string {
  return decodeURIComponent(/=(.*)$/m.exec(answer)?.[1]?.trim() ?? '');
}

/** Rules are text of the configuration: a table that counts by others must not be executed as if it were the same. */
export async function refuseOtherRules(
  connection: RuntimeConnection,
  table: RouteTable,
  logger: Logger,
): Promise<void> {
  const names = Object.keys(MARKS) as (keyof Marks)[];
  const answers = await connection.send(names.map((name) => `show env ${MARKS[name]}`));
  refuseVersion(markIn(answers[names.indexOf('rules')] ?? ''));
  const wanted = marksOf({
    key: table.split?.key ?? { from: 'header', name: '-' },
    policy: table.split?.policy.kind ?? 'tail',
    ...(table.split === null ? {} : accountOf(table.split)),
    transactions: table.transactions,
    measure: table.measure,
    unit: table.split?.counting?.unit ?? 'request',
  });
  const differing = names.filter((name, index) => {
    if (name === 'units' && table.split?.counting === undefined) return false;
    return markIn(answers[index] ?? '') !== wanted[name];
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

/** A time-out that leaves half of what is kept for a companion that is away. */
const LONGEST_TIMEOUT_MS = UNIT_KEPT_MS / 2;
/** A day before HAProxy may forget an account, the companion takes it out. */
const LONGEST_WINDOW_MS = ACCOUNT_KEPT_MS - 86_400_000;
/** Above it, a 65,536th of a capped amount passes what HAProxy computes with. */
const HIGHEST_CAP = 1e10;

/**
 * What the rules cannot count must not be counted wrongly instead.
 *
 * @throws ChangeoverError `InvalidRequest`
 */
export function refuseUncountable({ split }: RouteTable): void {
  if (split?.counting === undefined) return;
  const { unit, cap, timeoutMs, windowMs } = split.counting;
  if (unit === 'account') {
    if (windowMs + timeoutMs <= LONGEST_WINDOW_MS) return;
    throw new ChangeoverError(
      'InvalidRequest',
      `HAProxy keeps an account for at most ${LONGEST_WINDOW_MS / 86_400_000} days, the plan's window and time-out are ${windowMs} and ${timeoutMs} ms; write shorter ones.`,
    );
  }
  if (timeoutMs > LONGEST_TIMEOUT_MS) {
    throw new ChangeoverError(
      'InvalidRequest',
      `HAProxy waits at most ${LONGEST_TIMEOUT_MS / 60_000} minutes for the outcome of a request, the plan's time-out is ${timeoutMs} ms; write a shorter one.`,
    );
  }
  const smallest = 10 ** -AMOUNT_DECIMALS;
  if (cap !== undefined && !(cap >= smallest && cap <= HIGHEST_CAP)) {
    throw new ChangeoverError(
      'InvalidRequest',
      `HAProxy caps amounts between ${smallest} and ${HIGHEST_CAP}, the plan's cap is ${cap}; write one between.`,
    );
  }
}
