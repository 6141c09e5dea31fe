/** Where an upgrade stands, in the words of its way (DESIGN: "The way of an upgrade"). */
export const PHASES = [
  'preflight',
  'closingIngress',
  'draining',
  'staging',
  'deploying',
  'reportingReady',
  'applyingRoutes',
  'trial',
  /** There is a winner; the plan wants a person to approve it. */
  'awaitingApproval',
  /** The trial ended inconclusive; the operator decides. */
  'awaitingDecision',
  'promoting',
  'rollingBack',
  /** Servers were left out; the operator mends them or accepts that. */
  'awaitingOperator',
  'finishing',
  'done',
] as const;
export type Phase = (typeof PHASES)[number];

export const OUTCOMES = ['promoted', 'rolledBack', 'incomplete'] as const;
/** `incomplete`: the operator accepted that some servers were left out; never called a success. */
export type Outcome = (typeof OUTCOMES)[number];
