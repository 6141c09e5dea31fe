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
 *
 * What came in by TLS is handed on by TLS: a PROXY header can say that it did, but `ssl_fc`, by which owners redirect and
 * tell servers, asks the connection alone.
 */

const PEERS = 'changeover';
/** Backend that leads to the process that listens now. */
const SUCCESSOR = 'changeover_successor';
/** The same after a moment. */
const LATER = 'changeover_later';
const WAITING = 'changeover_waiting';
/** The same three for what came in by TLS have this behind their names. */
const BY_TLS = '_tls';
export const SUCCESSOR_BY_TLS = `${SUCCESSOR}${BY_TLS}`;
/** What the frontend's binds for what is handed over are called, to the owner's rules too (`so_name`). */
export const HANDOVER_BIND = 'handover';

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

export function handoverWays({ tls }: { tls: boolean }): string[] {
  const isHop = '{ var(txn.hop) -m found }';
  return [
    ...(tls ? [`use_backend %[var(txn.hop)]${BY_TLS} if ${isHop} { ssl_fc }`] : []),
    `use_backend %[var(txn.hop)] if ${isHop}`,
  ];
}

/** Where HAProxy runs, and whether TLS ends at it. */
export interface HandoverPlace {
  readonly files: string;
  readonly socket: string;
  readonly tlsCert?: string;
}

/** Where processes of one HAProxy meet: abstract sockets, which a chroot does not hide, and nobody else's. */
function meetingPoint(place: HandoverPlace, what: string): string {
  return `abns@changeover-${ownName(place)}-${what}`;
}

/** What no other HAProxy of the machine is called. */
export function ownName({ files, socket }: Pick<HandoverPlace, 'files' | 'socket'>): string {
  return createHash('sha256').update(`${files}\n${socket}`).digest('hex').slice(0, 12);
}

export function handoverBinds(place: HandoverPlace): string[] {
  const { tlsCert } = place;
  return [
    '    # What a process that was replaced still gets.',
    `    bind ${meetingPoint(place, 'next')} name ${HANDOVER_BIND} accept-proxy`,
    ...(tlsCert === undefined
      ? []
      : [
          '    # What came to it by TLS comes by TLS, and is TLS to all rules; a certificate of the client is not handed on.',
          `    bind ${meetingPoint(place, 'next-tls')} name ${HANDOVER_BIND} accept-proxy ssl crt ${tlsCert}`,
        ]),
  ];
}

export function handoverSections(place: HandoverPlace, { transactions, accounts }: HandedOver): string[] {
  const ways = place.tlsCert === undefined ? [''] : ['', BY_TLS];
  return [
    ...ways.flatMap((way) => [
      `backend ${SUCCESSOR}${way}`,
      `    server next ${meetingPoint(place, wayTo('next', way))}${passedOn(way)}`,
      '',
    ]),
    ...(transactions || accounts
      ? [`peers ${PEERS}`, `    peer local ${meetingPoint(place, 'peers')}`, '']
      : []),
    ...(transactions ? ways.flatMap((way) => waitingSections(place, way)) : []),
  ];
}

function wayTo(what: string, way: string): string {
  return way === BY_TLS ? `${what}-tls` : what;
}

/** Who comes after is the same HAProxy: there is nothing to verify. */
function passedOn(way: string): string {
  return way === BY_TLS ? ' ssl verify none sni ssl_fc_sni send-proxy-v2' : ' send-proxy-v2';
}

function waitingSections(place: HandoverPlace, way: string): string[] {
  const later = meetingPoint(place, wayTo('later', way));
  return [
    `backend ${LATER}${way}`,
    '    # Each request waits: none may take a connection that has waited already.',
    '    option httpclose',
    `    server later ${later}${passedOn(way)}`,
    '',
    `listen ${WAITING}${way}`,
    '    # In TCP mode: of HTTP, a complete request would not be held.',
    '    mode tcp',
    '    no option idle-close-on-response',
    `    bind ${later}`,
    `    tcp-request inspect-delay ${ROUND_MS}ms`,
    '    tcp-request content accept if WAIT_END',
    `    server next ${meetingPoint(place, wayTo('next', way))}`,
    '',
  ];
}
