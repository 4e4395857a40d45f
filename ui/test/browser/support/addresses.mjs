// The pages of the app and their tabs, each with something that appears when it is complete.

const heading = (name) => (page) => page.getByRole('heading', { level: 1, name }).waitFor();
const role = (role, name) => (page) => page.getByRole(role, { name }).waitFor();
const text = (wanted) => (page) => page.getByText(wanted).first().waitFor();

/** Pages of a hub with the orders of `shop`. */
export const PAGES = [
  { name: 'overview', address: '#/', ready: text('Waiting longest') },
  { name: 'instances', address: '#/instances', ready: text('order-failed') },
  { name: 'instances-live', address: '#/instances?live=1&cols=name,status,created,duration,output,tags', ready: text('order-failed') },
  { name: 'instance-waiting', address: '#/instances/order-waiting', ready: text('Why is it waiting?') },
  { name: 'instance-failed', address: '#/instances/order-failed', ready: text('Why did it fail?') },
  { name: 'instance-history', address: '#/instances/order-done?tab=history', ready: text('Activity completed') },
  { name: 'instance-event', address: '#/instances/order-done?tab=history&event=0', ready: role('complementary', 'Chosen event') },
  { name: 'instance-travel', address: '#/instances/order-waiting?tab=travel&turn=1', ready: text('Open after this turn') },
  { name: 'instance-data', address: '#/instances/order-done?tab=data', ready: text('paid_cents') },
  { name: 'instance-children', address: '#/instances/order-done?tab=children', ready: text('No sub-orchestrations') },
  { name: 'instance-messages', address: '#/instances/order-done?tab=messages', ready: role('listbox', 'Messages') },
  { name: 'instance-missing', address: '#/instances/no-such-order', ready: text('there is no orchestration'), missing: true },
  { name: 'entities', address: '#/entities', ready: text('lamp') },
  { name: 'entity', address: '#/entities/stock/lamp', ready: text('"free"') },
  { name: 'entity-missing', address: '#/entities/stock/chair', ready: text('This entity has no state.') },
  { name: 'activities', address: '#/activities', ready: text('take_payment') },
  { name: 'activity', address: '#/activities?name=take_payment', ready: text('No attempt of take_payment') },
  { name: 'locks', address: '#/locks', ready: text('No entity is locked') },
  { name: 'schedules', address: '#/schedules', ready: text('stock-taking') },
  { name: 'problems', address: '#/problems', ready: text('OrderError') },
  { name: 'problems-stopped', address: '#/problems?tab=stopped', ready: text('No orchestration is stopped') },
  { name: 'problems-quarantine', address: '#/problems?tab=quarantine', ready: text('No entity is quarantined') },
  { name: 'problems-dead-letters', address: '#/problems?tab=dead-letters', ready: text('There are no dead letters') },
  { name: 'batches', address: '#/batches', ready: heading('Batches') },
  { name: 'settings', address: '#/settings', ready: text('Clock behind') },
];

/** Pages of a hub with the troubles of `trouble.mjs`. */
export const TROUBLED = [
  { name: 'overview-troubled', address: '#/', ready: text('Quarantined') },
  { name: 'locks-cycle', address: '#/locks', ready: text('A cycle:') },
  { name: 'problems-stopped-some', address: '#/problems?tab=stopped', ready: text('diverges') },
  { name: 'problems-quarantine-some', address: '#/problems?tab=quarantine', ready: text('cannot be decoded') },
  { name: 'problems-dead-letters-some', address: '#/problems?tab=dead-letters', ready: text('Redeliver') },
  { name: 'entity-blocked', address: '#/entities/stock/lamp', ready: text('Locked') },
];
