export { upgradeWorkflow } from './upgrade-workflow.ts';
