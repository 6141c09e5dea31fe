import { ChangeoverError } from '../errors.ts';
import type { Package } from '../upgrade-params.ts';
import { softwareOf } from './arm-names.ts';
import type { Plan } from './schema.ts';

/**
 * The package of a version for an OS type.
 *
 * @throws ChangeoverError `InvalidPlan`; a plan that was checked has it.
 */
export function packageFor(
  plan: Pick<Plan, 'baseline' | 'candidates'>,
  version: string,
  os: Package['os'],
): Package {
  const release = [plan.baseline, ...plan.candidates].find((one) => one.version === version);
  const found = release?.packages.find((one) => one.os === os);
  if (found === undefined)
    throw new ChangeoverError('InvalidPlan', `The plan has no package of ${version} for ${os}.`);
  return { ...found, version: softwareOf(version) };
}
