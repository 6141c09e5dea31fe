import { applyRoutes } from './apply-routes.ts';
import { awaitDrain } from './await-drain.ts';
import { checkPlan } from './check-plan.ts';
import { closeIngress } from './close-ingress.ts';
import { collectMetrics } from './collect-metrics.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { excludeGateway } from './exclude-gateway.ts';
import { finishUpgrade } from './finish-upgrade.ts';
import { preflight } from './preflight.ts';
import { promoteOptimal } from './promote-optimal.ts';
import { pushUpgradeParams } from './push-upgrade-params.ts';
import { reportReady } from './report-ready.ts';
import { stageRoutes } from './stage-routes.ts';

/** The activities of an upgrade, on top of ports. The workflow knows their types only. */
export function createActivities(dependencies: ActivityDependencies) {
  return {
    checkPlan: checkPlan(),
    preflight: preflight(dependencies),
    closeIngress: closeIngress(dependencies),
    awaitDrain: awaitDrain(dependencies),
    stageRoutes: stageRoutes(dependencies),
    pushUpgradeParams: pushUpgradeParams(dependencies),
    reportReady: reportReady(dependencies),
    applyRoutes: applyRoutes(dependencies),
    collectMetrics: collectMetrics(dependencies),
    promoteOptimal: promoteOptimal(dependencies),
    excludeGateway: excludeGateway(dependencies),
    finishUpgrade: finishUpgrade(dependencies),
  };
}

export type Activities = ReturnType<typeof createActivities>;
