import type { ConfigLine, ConfigProblem, Section } from './config-sections.ts';
import { HANDOVER_BIND, SUCCESSOR_BY_TLS } from './handover.ts';

/** Where TLS ends at a frontend: what it gets of clients by TLS, not what is handed over. */
export function tlsBindOf(frontend: Section | undefined): ConfigLine | undefined {
  return frontend?.lines.find(
    ({ words }) => words.startsWith('bind ') && !words.startsWith('bind abns@') && hasWord(words, 'ssl'),
  );
}

/** Without it, a reload would leave requests that came by TLS without an answer. */
export function checkTlsHandover(
  sections: readonly Section[],
  frontend: Section | undefined,
): ConfigProblem[] {
  const tls = tlsBindOf(frontend);
  if (frontend === undefined || tls === undefined) return [];
  return [...checkBind(sections, frontend, tls), ...checkClientCertificates(frontend)];
}

function checkBind(sections: readonly Section[], frontend: Section, tls: ConfigLine): ConfigProblem[] {
  const way = sections.find(({ kind, name }) => kind === 'backend' && name === SUCCESSOR_BY_TLS);
  const address = way?.lines.find(({ words }) => words.startsWith('server '))?.words.split(' ')[2];
  if (address === undefined) return [];
  const bind = frontend.lines.find(({ words }) => words.startsWith(`bind ${address} `));
  const certificates = tls.words.match(/\bcrt(?:-list)? \S+/g) ?? ['crt …'];
  const write = `bind ${address} name ${HANDOVER_BIND} accept-proxy ssl ${certificates.join(' ')}`;
  const parts = ['ssl', 'accept-proxy', HANDOVER_BIND];
  if (bind === undefined || parts.some((part) => !hasWord(bind.words, part))) {
    const missing = `nobody takes by TLS what a reload hands to ${address}`;
    return [{ line: bind?.number ?? tls.number, missing, write }];
  }
  if (!/ verify (required|optional)( |$)/.test(bind.words)) return [];
  const missing = `by \`${bind.words}\` nothing is taken that a reload hands over: no certificate of a client comes with it`;
  return [{ line: bind.number, missing, write }];
}

/** Of a request that was handed over, the process before had the client's certificate, and this one has none. */
function checkClientCertificates({ lines }: Section): ConfigProblem[] {
  return lines
    .filter(
      ({ words }) =>
        /^(http-request|use_backend) .*\bssl_(c_\w+|fc_has_crt)\b/.test(words) && !words.includes('so_name'),
    )
    .map(({ number, words }) => ({
      line: number,
      missing: `\`${words}\` finds no certificate of the client in what a reload hands over`,
      write: `give it a condition by which it does nothing where { so_name ${HANDOVER_BIND} } holds: the process before has done it`,
    }));
}

function hasWord(words: string, word: string): boolean {
  return words.split(' ').includes(word);
}
