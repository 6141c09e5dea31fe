import { createHash } from 'node:crypto';

/**
 * What a reload must not lose. A process that was replaced is told no routes any more, but gets one more request on each
 * connection that was idle then (`option idle-close-on-response`): it passes them all to the process that came, so that
 * nothing goes by an old table (invariants 1, 2 and 7).
 *
 * Transactions are pushed to the new process by the one that goes, which purges its own then (`peers` section with the
 * local peer alone, configuration.txt 3.5). The new process serves before all has reached it: what it does not know yet
 * goes round once more, until it is known or everything must have arrived. Else a transaction under way would pass for
 * one that begins. What the old process notes only after that, it enters by itself (hand-on-script.ts).
 */

const PEERS = 'changeover';
/** Backend that leads to the process that listens now. */
const SUCCESSOR = 'changeover_successor';
/** The same after a moment. */
const LATER = 'changeover_later';
const WAITING = 'changeover_waiting';

/** One round of waiting, in milliseconds. Few long ones: what waits holds a connection for each round that it has made. */
const ROUND_MS = 250;
/**
 * So long after its first request of a transaction that it does not know a process waits for it, in milliseconds: 100,000
 * entries, which is a full table, take 300 ms to be handed over on two busy cores.
 */
const SETTLED_MS = 700;
/** Whoever is older than this, in milliseconds, has everything, also where no request came. */
const GROWN_MS = 10_000;

/** Of a stick table that a reload must not empty. */
export const HANDED_OVER = ` peers ${PEERS}`;

/** Whether there are entries of a kind, which a process hands to the one that replaces it. */
export interface HandedOver {
  readonly transactions: boolean;
  readonly accounts: boolean;
}

export function handoverGlobal({ transactions, accounts }: HandedOver): string[] {
  return [
    ...(transactions || accounts
      ? ['    # A reload hands its tables to the new process.', '    localpeer local']
      : []),
    ...(transactions
      ? ['    # It tells by its age whether all can have arrived.', '    set-var proc.started date(0,ms)']
      : []),
  ];
}

/** First of the rules of the frontend. */
export const HANDOVER_RULES = [
  '# After a reload the process that goes passes everything on to the one that came.',
  `http-request set-var(txn.hop) str(${SUCCESSOR}) if { stopping }`,
];

/** A transaction of which no server is known. */
const UNKNOWN = '{ var(txn.at) -m int eq 0 }';

/** Once `txn.at` is known to be the number of a transaction's server, 0, or unset. */
export const WAITING_RULES = [
  '# While transactions are handed over, one that is not known yet waits a moment.',
  `http-request set-var(proc.settling) date(0,ms) if ${UNKNOWN} !{ var(proc.settling) -m found }`,
  `http-request set-var(txn.hop) str(${LATER}) if ${UNKNOWN} !{ var(txn.hop) -m found } { date(0,ms),sub(proc.settling) lt ${SETTLED_MS} } { date(0,ms),sub(proc.started) lt ${GROWN_MS} }`,
];
export const HANDOVER_WAY = 'use_backend %[var(txn.hop)] if { var(txn.hop) -m found }';

/** Where processes of one HAProxy meet: abstract sockets, which a chroot does not hide, and nobody else's. */
function meetingPoint({ files, socket }: { files: string; socket: string }, what: string): string {
  const own = createHash('sha256').update(`${files}\n${socket}`).digest('hex').slice(0, 12);
  return `abns@changeover-${own}-${what}`;
}

export function handoverBind(where: { files: string; socket: string }): string[] {
  return [
    '    # What a process that was replaced still gets.',
    `    bind ${meetingPoint(where, 'next')} accept-proxy`,
  ];
}

export function handoverSections(
  where: { files: string; socket: string },
  { transactions, accounts }: HandedOver,
): string[] {
  const next = `    server next ${meetingPoint(where, 'next')}`;
  return [
    `backend ${SUCCESSOR}`,
    `${next} send-proxy-v2`,
    '',
    ...(transactions || accounts
      ? [`peers ${PEERS}`, `    peer local ${meetingPoint(where, 'peers')}`, '']
      : []),
    ...(transactions ? waitingSections(where, next) : []),
  ];
}

function waitingSections(where: { files: string; socket: string }, next: string): string[] {
  const later = meetingPoint(where, 'later');
  return [
    `backend ${LATER}`,
    '    # Each request waits: none may take a connection that has waited already.',
    '    option httpclose',
    `    server later ${later} send-proxy-v2`,
    '',
    `listen ${WAITING}`,
    '    # In TCP mode: of HTTP, a complete request would not be held.',
    '    mode tcp',
    '    no option idle-close-on-response',
    `    bind ${later}`,
    `    tcp-request inspect-delay ${ROUND_MS}ms`,
    '    tcp-request content accept if WAIT_END',
    next,
    '',
  ];
}
