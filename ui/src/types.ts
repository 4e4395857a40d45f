// The documents of the API. `Json` is a payload of the program: any JSON value, never to be trusted.

export type Json = unknown;
/** Time as RFC 3339 in UTC. */
export type Time = string;

export const STATUSES = [
  'Pending',
  'Running',
  'Suspended',
  'ContinuedAsNew',
  'Completed',
  'Failed',
  'Terminated',
  'Canceled',
] as const;
export type RuntimeStatus = (typeof STATUSES)[number];

export interface Hub {
  name?: string | null;
  version: string;
  readOnly: boolean;
  runsHub: boolean;
  scope: 'operate' | 'read';
  now: Time;
  openedAt: Time | null;
  entities: { name: string; operations: Operation[] }[];
  orchestrations: { name: string; versions: string[] }[];
  activities: string[];
  unregistered: string[];
}

export interface Operation {
  name: string;
  parameters: string[];
}

export interface EntityId {
  name: string;
  key: string;
}

export interface Failure {
  errorType: string;
  message: string;
  nonRetriable: boolean;
  details?: Json;
  causes?: { errorType?: string | null; message: string; stack?: string | null }[];
  stack?: string | null;
}

export interface Stopped {
  kind: string;
  message: string;
}

export interface Unregistered {
  kind: 'Activity' | 'Entity' | 'Orchestration';
  name: string;
  instanceId?: string | null;
}

export interface InstanceStatus {
  name: string;
  instanceId: string;
  runtimeStatus: RuntimeStatus;
  input: Json;
  customStatus: Json;
  output: Json;
  createdTime: Time;
  lastUpdatedTime: Time;
  executionId: string;
  failure?: Failure | null;
  parentInstanceId?: string | null;
  stopped?: Stopped | null;
  tags?: Record<string, string>;
  traceparent?: string | null;
  tracestate?: string | null;
  unregistered?: Unregistered[];
  version?: string;
}

/** Links of a started orchestration. Only the id is used. */
export interface CheckStatus {
  id: string;
}

/** Error of the runtime within a history. */
export interface RuntimeError {
  kind: string;
  message: string;
  sources: string[];
}

/** Failure within a history, which is stored with other names than in a status document. */
export interface StoredFailure {
  error_type: string;
  message: string;
  details: string | null;
  causes: { error_type: string | null; message: string; stack: string | null }[];
  stack: string | null;
  non_retriable: boolean;
}

export type HistoryStep =
  | { kind: 'Activity'; name: string }
  | { kind: 'Timer'; due: Time }
  | { kind: 'Event'; name: string }
  | { kind: 'SubOrchestration'; name: string; instance: string }
  | { kind: 'EntityCall'; entity: string; operation: string }
  | { kind: 'Lock'; entities: string[] };

export type HistoryEvent = { time: Time; turn: number; label?: string } & HistoryEventKind;

export type HistoryEventKind =
  | {
      event: 'ExecutionStarted';
      name: string;
      version: string;
      input: Json;
      parent: string | null;
      tags: [string, string][];
    }
  | { event: 'StepScheduled'; sequence: number; step: HistoryStep; input: Json; attempt: number }
  | { event: 'StepCompleted'; sequence: number; step: HistoryStep | null; scheduled: Time | null; result: Json }
  | {
      event: 'StepFailed';
      sequence: number;
      step: HistoryStep | null;
      scheduled: Time | null;
      failure: StoredFailure | null;
      error: RuntimeError | null;
    }
  | { event: 'StepCanceled'; sequence: number; step: HistoryStep | null }
  | { event: 'LockReleased'; sequence: number; step: HistoryStep }
  | { event: 'StepRefused'; sequence: number; what: string; error: RuntimeError }
  | { event: 'EventRaised'; name: string; payload: Json }
  | { event: 'EventSent'; sequence: number; instance: string; name: string; payload: Json }
  | { event: 'OrchestrationStarted'; sequence: number; instance: string; name: string; input: Json }
  | {
      event: 'EntitySignaled';
      sequence: number;
      entity: string;
      operation: string;
      input: Json;
      due: Time | null;
    }
  | { event: 'SignalCanceled'; sequence: number; entity: string; timer: string }
  | { event: 'LockLost'; sequence: number; entity: string }
  | { event: 'ExecutionSuspended'; reason: string }
  | { event: 'ExecutionResumed'; reason: string }
  | { event: 'ContinuedAsNew'; input: Json; version: string | null }
  | { event: 'ExecutionCompleted'; output: Json }
  | { event: 'ExecutionFailed'; failure: StoredFailure }
  | { event: 'ExecutionTerminated'; reason: string; byParent: boolean };

/** What an orchestration waits for. */
export interface Waiting {
  id: string;
  name: string;
  status: RuntimeStatus;
  lastChange: Time;
  startsAt?: Time;
  stopped?: Stopped;
  unregistered?: { kind: 'Activity' | 'Entity' | 'Orchestration'; name: string; instance: string | null }[];
  steps: WaitingStep[];
  messages: number;
  unreadEvents?: { name: string; count: number }[];
  isTruncated?: boolean;
}

export type WaitingStep = { sequence: number; label?: string; since: Time; source?: string | null } & WaitReason;

export type WaitReason =
  | { waitsFor: 'activity'; name: string; attempt: number; progress: ActivityProgress; crashes: number }
  | { waitsFor: 'retry'; step: number; due: Time }
  | { waitsFor: 'timer'; due: Time }
  | { waitsFor: 'event'; name: string }
  | { waitsFor: 'entityCall'; entity: string; operation: string; ahead?: number; blocked?: EntityBlock }
  | { waitsFor: 'lock'; entities: string[]; held: number; blocked?: EntityBlock }
  | { waitsFor: 'subOrchestration'; name: string; instance: string; cause: Cause };

export type ActivityProgress =
  | { state: 'running' | 'queued' | 'unregistered' | 'stopped' | 'ended' | 'elsewhere' }
  | { state: 'inLine'; ahead: number; running: number; limit: number };

export type EntityBlock =
  | { by: 'lock'; entity: string; owner: string; since: Time; cause: Cause }
  | { by: 'quarantine'; entity: string; reason: string; since: Time }
  | { by: 'unregistered'; entity: string }
  | { by: 'queue'; entity: string; ahead: number };

export type Cause = 'cycle' | 'missing' | 'omitted' | { report: Waiting };

export interface InstanceTree {
  instanceId: string;
  name: string;
  runtimeStatus: RuntimeStatus;
  createdTime: Time;
  lastUpdatedTime: Time;
  sequence: number | null;
  detached: boolean;
  missing: boolean;
  children: InstanceTree[];
  truncated: boolean;
  /** Only at the root. */
  parent?: string | null;
}

/** State of an instance after one turn. */
export interface TurnDetails {
  turn: number;
  turns: number;
  time: Time;
  customStatus: Json;
  open: OpenStep[];
  replayed: boolean;
  problem: string | null;
}

export interface OpenStep {
  sequence: number;
  label: string | null;
  step: HistoryStep;
  since: Time;
  source: string | null;
}

export interface ReplayResult {
  result: 'ok' | 'diverged' | 'unregistered' | 'unreadable';
  turns: number;
  message: string | null;
}

export interface EntityRow {
  entityId: EntityId;
  lastOperationTime: Time;
  state?: Json;
}

export interface EntityDetails {
  entityId: EntityId;
  /** `null` for a stopped hub, whose code is unknown. */
  registered: boolean | null;
  state: Json;
  exists: boolean;
  lastOperationTime: Time | null;
  lock: { owner: string; executionId: string; since: Time; sequence: number } | null;
  quarantine: { reason: string; since: Time } | null;
  waiting: { count: number; atLeast: boolean; messages: EntityMessage[] };
  scheduledSignals: { id: string; operation: string; due: Time; input: Json }[];
  /** Newest first. Only of types that keep an audit. */
  changes?: { time: Time; operation: string; source: string | null; state: Json }[];
}

export interface EntityMessage {
  kind: 'signal' | 'call' | 'lock' | 'unlock' | 'schedule' | 'cancel';
  operation: string | null;
  source: string | null;
  input: Json;
}

export interface Counts {
  orchestrations: { name: string; runtimeStatus: RuntimeStatus; count: number }[];
  entities: { name: string; count: number }[];
}

export interface Lock {
  entityId: EntityId;
  owner: string;
  executionId: string;
  since: Time;
  sequence: number;
}

export interface DeadLetter {
  id: string;
  entityId?: EntityId | null;
  instanceId?: string | null;
  operation: string;
  input: Json;
  reason: string;
  deadLetteredAt: Time;
  source?: string | null;
}

export interface Quarantined {
  entityId: EntityId;
  reason: string;
  since: Time;
}

export type CatchUp = 'Skip' | 'RunOnce' | 'RunAll';

/** The part of a schedule that a client sets. */
export interface SchedulePlan {
  orchestration: string;
  version?: string | null;
  input?: Json;
  cron?: string | null;
  everySeconds?: number | null;
  from?: Time | null;
  until?: Time | null;
  catchUp?: CatchUp;
  catchUpAtMost?: number | null;
  paused?: boolean;
  tags?: Record<string, string>;
}

export interface Schedule extends SchedulePlan {
  id: string;
  input: Json;
  catchUp: CatchUp;
  paused: boolean;
  createdTime: Time;
  nextRun: Time | null;
  lastRun: Time | null;
  lastInstanceId: string | null;
  runs: number;
}

export interface Stats {
  turns: number;
  operations: number;
  failures: number;
  statesLoaded: number;
  timersFired: number;
  deadLetters: number;
  commits: number;
  written: number;
  durable: number;
  queued: number;
  waitingInstances: number;
  entitiesInMemory: number;
  waitingClients: number;
  clockBehindSeconds: number;
  clockAheadSeconds: number;
  walBytes: number;
  walLiveBytes: number;
  blockCacheBytes: number;
  frontRows: number;
  frontBytes: number;
  frontLag: number;
  frontStalls: number;
  materializedChanges: number;
  materializedRows: number;
  forwarded: number;
}

export interface Activities {
  limit: number | null;
  running: number;
  waiting: number;
  activities: ActivityLine[];
  truncated: boolean;
}

export interface ActivityLine {
  name: string;
  registered: boolean;
  limit: number | null;
  running: number;
  waiting: number;
  /** Number of attempts during which the process has crashed. */
  crashed: number;
}

export type ActivityAttempt = ActivityProgress & {
  instanceId: string;
  name: string;
  sequence: number;
  attempt: number;
  since: Time | null;
  crashes: number;
  label: string | null;
};

export interface Timeline {
  from: Time;
  to: Time;
  bucketSeconds: number;
  truncated: boolean;
  buckets: TimelineBucket[];
}

export interface TimelineBucket {
  start: Time;
  started: number;
  completed: number;
  failed: number;
  terminated: number;
}

export interface Failures {
  truncated: boolean;
  groups: FailureGroup[];
}

export interface FailureGroup {
  name: string;
  errorType: string;
  variant: string | null;
  message: string;
  count: number;
  first: Time;
  last: Time;
  instances: string[];
}

export type BatchAction = 'terminate' | 'suspend' | 'resume' | 'rewind' | 'restart' | 'purge' | 'raiseEvent';

export interface BatchRequest {
  action: BatchAction;
  reason?: string;
  event?: string;
  payload?: Json;
  ids?: string[];
  filter?: BatchFilter;
}

export interface BatchFilter {
  runtimeStatus?: RuntimeStatus[];
  instanceIdPrefix?: string;
  name?: string;
  createdTimeFrom?: Time;
  createdTimeTo?: Time;
  tags?: Record<string, string>;
  stopped?: boolean;
  unregistered?: boolean;
  errorType?: string;
  errorVariant?: string;
}

export interface Batch {
  id: string;
  action: BatchAction;
  state: 'running' | 'completed' | 'canceled' | 'failed';
  matched: number;
  succeeded: number;
  skipped: number;
  failed: number;
  errors: { instanceId: string; message: string }[];
  startedAt: Time;
  endedAt: Time | null;
  message: string | null;
}

export type HubEventKind = 'started' | 'status' | 'ended' | 'stopped' | 'purged' | 'turn' | 'entity';

/** What has changed, of an instance or an entity. */
export interface InstanceChange {
  id: string;
  name: string;
  /** Missing for an entity, and after a purge. */
  status?: RuntimeStatus;
  time: Time;
}

export interface MissedEvents {
  count?: number | null;
}

export type HubEvent =
  | { id: string | null; type: HubEventKind; change: InstanceChange }
  | { id: string | null; type: 'missed'; missed: MissedEvents }
  | { id: string | null; type: 'hello' };
