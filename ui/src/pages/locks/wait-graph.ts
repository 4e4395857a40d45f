// The graph of who waits for whom, as pure data.
import type { EntityDetails, Lock, Waiting } from '../../types';

/** Nodes in the graph. More cannot be read. */
const MOST_NODES = 80;

export interface GraphNode {
  /** Id of an instance, or `@name@key` for an entity. */
  id: string;
  isEntity: boolean;
  /** What an instance waits for, besides locks. */
  hint: string;
}

export interface GraphEdge {
  /** Who waits: `from` cannot continue before `to`. */
  from: string;
  to: string;
  /** An entity is held by its owner; an instance waits for an entity or another instance. */
  kind: 'held' | 'waits';
}

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
  isTruncated: boolean;
}

/** Builds the graph of locked entities, their owners, and those that wait in their queues. */
export function waitGraph(
  locks: readonly Lock[],
  details: readonly EntityDetails[],
  reports: readonly Waiting[],
  hintOf: (waiting: Waiting) => string,
): Graph {
  const nodes = new Map<string, GraphNode>();
  const edges: GraphEdge[] = [];
  let isTruncated = false;

  function node(id: string, isEntity = false): string {
    if (nodes.has(id)) return id;
    if (nodes.size < MOST_NODES) nodes.set(id, { id, isEntity, hint: '' });
    else isTruncated = true;
    return id;
  }

  function edge(from: string, to: string, kind: GraphEdge['kind']): void {
    const isKnown = edges.some((edge) => edge.from === from && edge.to === to);
    if (!isKnown && nodes.has(from) && nodes.has(to)) edges.push({ from, to, kind });
  }

  // An orchestration that waits for a lock is in the queue of its entity. What is left are its sub-orchestrations.
  function follow(report: Waiting): void {
    for (const step of report.steps) {
      if (step.waitsFor !== 'subOrchestration') continue;
      edge(node(report.id), node(step.instance), 'waits');
      if (typeof step.cause === 'object') follow(step.cause.report);
    }
    const told = nodes.get(report.id);
    if (told) told.hint = hintOf(report);
  }

  for (const { entityId, owner } of locks) edge(node(entityText(entityId), true), node(owner), 'held');
  for (const { entityId, waiting } of details) {
    for (const { source, kind } of waiting.messages) {
      // Who sends a signal does not wait for its effect.
      const waits = source !== null && !source.startsWith('@') && (kind === 'lock' || kind === 'call');
      if (waits) edge(node(source), node(entityText(entityId), true), 'waits');
    }
  }
  reports.forEach(follow);
  return { nodes: [...nodes.values()], edges, isTruncated };
}

function entityText({ name, key }: { name: string; key: string }): string {
  return `@${name}@${key}`;
}

export interface Layout {
  /** Column and row of each node. */
  places: Map<string, { column: number; row: number }>;
  columns: number;
  rows: number;
  /** Nodes that wait for themselves through others. */
  cycle: Set<string>;
}

/** Puts each node to the left of what it waits for. */
export function layoutOf({ nodes, edges }: Graph): Layout {
  const next = new Map<string, string[]>(nodes.map(({ id }) => [id, []]));
  for (const { from, to } of edges) next.get(from)?.push(to);
  const cycle = new Set(nodes.map(({ id }) => id).filter((id) => reaches(id, id, next)));

  // The distance to the end of the longest chain. Edges that close a cycle are left out.
  const depths = new Map<string, number>();
  const path = new Set<string>();
  const depth = (id: string): number => {
    const known = depths.get(id);
    if (known !== undefined) return known;
    path.add(id);
    const result = 1 + Math.max(-1, ...(next.get(id) ?? []).filter((to) => !path.has(to)).map(depth));
    path.delete(id);
    depths.set(id, result);
    return result;
  };
  const columns = 1 + Math.max(0, ...nodes.map(({ id }) => depth(id)));

  const places: Layout['places'] = new Map();
  let rows = 0;
  for (let column = columns - 1; column >= 0; column--) {
    const wanted = nodes
      .filter(({ id }) => columns - 1 - depths.get(id)! === column)
      .map(({ id }) => ({ id, row: average((next.get(id) ?? []).map((to) => places.get(to)?.row)) }))
      .sort((a, b) => a.row - b.row);
    let free = 0;
    for (const { id, row } of wanted) {
      const at = Math.max(free, Math.round(Number.isFinite(row) ? row : free));
      places.set(id, { column, row: at });
      free = at + 1;
      rows = Math.max(rows, free);
    }
  }
  return { places, columns, rows, cycle };
}

function reaches(from: string, to: string, next: ReadonlyMap<string, string[]>): boolean {
  const seen = new Set<string>();
  const open = [...(next.get(from) ?? [])];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id === to) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    open.push(...(next.get(id) ?? []));
  }
  return false;
}

function average(values: (number | undefined)[]): number {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? Infinity : known.reduce((sum, value) => sum + value, 0) / known.length;
}
