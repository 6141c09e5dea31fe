import { formatDuration } from '../domain/duration.ts';
import { laggardsOf, type GatewayStanding, type GatewaysView } from '../domain/gateway-standing.ts';

/** More gateways than this are not listed one by one in a terminal, but for those with something to say. */
const MAX_LISTED = 12;

/** Who has which route table, since when, by push or by pull, and who lags behind and why. */
export function gatewaysBlock(view: GatewaysView, nowMs: number): string[] {
  const { list, wanted } = view;
  const laggards = new Set(laggardsOf(list, wanted).map(({ name }) => name));
  const waitedFor = list.filter(({ excluded }) => excluded === undefined).length;
  const head = `  gateways: ${waitedFor - laggards.size} of ${waitedFor} have route table ${wanted}`;
  const told = list.filter(
    ({ name, problem, excluded }) => laggards.has(name) || problem !== null || excluded !== undefined,
  );
  const shown = list.length <= MAX_LISTED ? list : told;
  const width = Math.max(0, ...shown.map(({ name }) => name.length));
  const lines = shown.map(
    (one) => `    ${one.name.padEnd(width)}  ${standingText(one, view, laggards.has(one.name), nowMs)}`,
  );
  const rest = list.length - shown.length;
  return [head, ...lines, ...(rest === 0 ? [] : [`    and ${rest} more, each with --json`])];
}

function standingText(
  { acknowledged, acknowledgedAt, acknowledgedBy, problem, problemSince, excluded }: GatewayStanding,
  { wanted, since }: GatewaysView,
  isBehind: boolean,
  nowMs: number,
): string {
  const ago = (at: string) => formatDuration(Math.max(0, nowMs - Date.parse(at)));
  const how = acknowledgedBy === undefined ? '' : ` by ${acknowledgedBy}`;
  const has = acknowledgedAt === null ? '' : ` since ${acknowledgedAt}${how}`;
  const lateSince = problemSince ?? since;
  const late = lateSince === undefined ? '' : ` for ${ago(lateSince)}`;
  return [
    `table ${acknowledged}${has}`,
    ...(isBehind ? [`behind${late}, ${wanted} is wanted`] : []),
    ...(problem === null ? [] : [problem]),
    ...(excluded === undefined
      ? []
      : [`declared gone by ${excluded.by} at ${excluded.at}: ${excluded.reason}`]),
  ].join('; ');
}
