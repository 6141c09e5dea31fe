/** Link to a run in the Temporal UI, where its address is known: by `TEMPORAL_UI_URL`, or in Temporal Cloud. */
export function runLink(
  env: NodeJS.ProcessEnv,
  run: { address: string; namespace: string; workflowId: string; runId: string },
): string | undefined {
  const base = env['TEMPORAL_UI_URL'] ?? (isCloud(run.address) ? 'https://cloud.temporal.io' : undefined);
  if (base === undefined || !URL.canParse(base)) return undefined;
  const parts = ['namespaces', run.namespace, 'workflows', run.workflowId, run.runId, 'history'];
  return `${base.replace(/\/+$/, '')}/${parts.map(encodeURIComponent).join('/')}`;
}

function isCloud(address: string): boolean {
  return /\.(tmprl\.cloud|api\.temporal\.io)(:\d+)?$/.test(address);
}
