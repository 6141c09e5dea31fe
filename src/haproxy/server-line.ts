import type { ConfigLine, ConfigProblem, Section } from './config-sections.ts';

/** Options of a server with a value behind them (configuration.txt 5.2); `source` aside they have one. */
const WITH_VALUE = new Set(
  (
    'addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-proto check-sni ciphers ciphersuites ' +
    'cookie crl-file crt downinter error-limit fall fastinter id init-addr inter interface log-proto max-reuse maxconn ' +
    'maxqueue minconn namespace observe on-error on-marked-down on-marked-up pool-low-conn pool-max-conn ' +
    'pool-purge-delay port proto proxy-v2-options redir resolve-net resolve-opts resolve-prefer resolvers rise shard ' +
    'slowstart sni socks4 source ssl-max-ver ssl-min-ver tcp-ut track usesrc verify verifyhost weight ws'
  ).split(' '),
);

/** Value of each option; empty where it has none. */
type ServerOptions = ReadonlyMap<string, string>;

/** Those of a server are what its `default-server` lines say, and what its own line says. */
function optionsOf(lines: readonly string[][]): ServerOptions {
  const options = new Map<string, string>();
  for (const words of lines) {
    for (let index = 0; index < words.length; index += 1) {
      const word = words[index] ?? '';
      if (WITH_VALUE.has(word)) {
        index += 1;
        options.set(word, words[index] ?? '');
      } else if (word === 'enabled') options.delete('disabled');
      else if (word.startsWith('no-')) options.delete(word.slice('no-'.length));
      else options.set(word, '');
    }
  }
  return options;
}

/** What differs from the rendered line in that which upgrades need of a server; what else it says is its owner's. */
export function checkServer(
  section: Section,
  rendered: string,
  inherited: readonly ConfigLine[],
): ConfigProblem[] {
  const [, name = '', address = '', ...renderedOptions] = rendered.split(' ');
  const line = section.lines.find(({ words }) => words.startsWith(`server ${name} `));
  if (line === undefined)
    return [{ line: section.line, missing: `the server ${name} is missing`, write: rendered }];
  const byDefault = [...inherited, ...section.lines.filter(({ number }) => number < line.number)].filter(
    ({ words }) => words.startsWith('default-server '),
  );
  const [, , heldAddress, ...own] = line.words.split(' ');
  const held = optionsOf([...byDefault.map(({ words }) => words.split(' ').slice(1)), own]);
  const wanted = optionsOf([renderedOptions]);
  const differs: string[] = [];
  if (heldAddress !== address) differs.push(`has another address, ${heldAddress}, than ${address}`);
  if (held.get('id') !== wanted.get('id')) differs.push(`has another id than ${wanted.get('id')}`);
  if (wanted.has('check') && !held.has('check'))
    differs.push('has no `check`: it would get requests while it is down');
  if (wanted.has('ssl') && !held.has('ssl')) differs.push('has no `ssl`: it would get plain text');
  if (!wanted.has('ssl') && held.has('ssl')) differs.push('has `ssl`, and takes none');
  if (wanted.has('send-proxy-v2') && !held.has('send-proxy-v2'))
    differs.push('has no `send-proxy-v2`: addresses of clients would be lost at a reload');
  if (
    wanted.get('id') === undefined &&
    !wanted.has('send-proxy-v2') &&
    [...held.keys()].some((word) => word.startsWith('send-proxy'))
  )
    differs.push('has `send-proxy…`, where a PROXY header is there already');
  if (held.has('disabled')) differs.push('is `disabled`, which wins over the server-state file');
  if (held.has('backup')) differs.push('is `backup`: it would get nothing while others are there');
  if (/^0+%?$/.test(held.get('weight') ?? '')) differs.push('has `weight 0`: it would get nothing');
  return differs.map((what) => ({
    line: line.number,
    missing: `the server ${name} ${what}`,
    write: rendered,
  }));
}
